"""Folders that others run: Ollama's Modelfile, and a server's Dockerfile."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from easytune.data import tokenizer as tokenizers
from easytune.engine.exporting import ollama_export
from easytune.errors import DependencyMissing
from easytune.export_errors import ExportInvalid, OllamaTemplateUntranslatable
from easytune.exporters import ollama
from tests.engine import gguf_made, merged


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_made.save(tmp_path_factory.mktemp("folders") / "model", "llama")


def test_a_modelfile_says_all_that_ollama_has_to_know(model: Path, tmp_path: Path) -> None:
    asked = gguf_made.order(
        model, what__target="ollama", ollama__system='Say "hi".', ollama__temperature=0.2,
        ollama__context_length=2048, ollama__language="zh",
    )  # fmt: skip
    folder = gguf_made.export(tmp_path, asked)
    lines = (folder.artefact / "Modelfile").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "FROM ./Tiny-one-ollama-q8_0.gguf"
    assert (folder.artefact / lines[0].removeprefix("FROM ./")).is_file()
    assert 'SYSTEM """Say "hi"."""' in lines
    assert "PARAMETER temperature 0.2" in lines
    assert "PARAMETER num_ctx 2048" in lines
    assert 'PARAMETER stop "</s>"' in lines
    assert any(line.startswith('TEMPLATE """{{- range $i, $_ := .Messages }}') for line in lines)
    readme = (folder.artefact / "README.md").read_text(encoding="utf-8")
    assert "ollama create tiny-one-ollama-q8_0 -f Modelfile" in readme
    assert "训练" in readme
    certificate = folder.certificate()
    assert certificate is not None
    assert certificate.passed
    assert {fact.path for fact in certificate.files} >= {"Modelfile", "README.md"}


def test_a_template_that_cannot_be_translated_ends_it_before_anything_large(
    model: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    for file in model.iterdir():
        if file.suffix != ".gguf":
            (odd / file.name).write_bytes(file.read_bytes())
    (odd / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}"
    )
    asked = gguf_made.order(odd, what__target="ollama")
    with pytest.raises(OllamaTemplateUntranslatable):
        gguf_made.export(tmp_path, asked)
    asked = gguf_made.order(odd, what__target="ollama", ollama__template="{{ .Prompt }}")
    folder = gguf_made.export(tmp_path, asked)
    assert 'TEMPLATE """{{ .Prompt }}"""' in (folder.artefact / "Modelfile").read_text()


def test_texts_that_would_end_a_modelfiles_quotation_are_refused(model: Path) -> None:
    asked = gguf_made.order(model, what__target="ollama")
    for options in (ollama.Options(system='a """ b'), ollama.Options(template='"""')):
        with pytest.raises(ExportInvalid):
            ollama.refuse(options, asked)


def test_formats_of_llama_cpp_are_refused_without_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easytune.requirements.missing", lambda path, value: "llama-cpp-python")
    with pytest.raises(DependencyMissing, match="llama-cpp-python"):
        ollama.refuse(ollama.Options(number_format="q4_k_m"), gguf_made.order(model))


def test_stop_texts_are_ends_and_marks_of_the_template(model: Path) -> None:
    tokenizer = tokenizers.load(model)
    found = ollama_export.stops(tokenizer, ollama_export.translated(tokenizer))
    assert found == ["</s>", "<s>"]


def test_a_deployment_folder_serves_the_model_without_a_secret_in_it(
    model: Path, tmp_path: Path
) -> None:
    adapter = merged.adapter(model, tmp_path / "adapter")
    asked = gguf_made.order(
        model, adapter, what__target="deployment", deployment__port=9000,
        deployment__context_length=4096, deployment__number_format="bf16",
    )  # fmt: skip
    folder = gguf_made.export(tmp_path, asked).artefact
    assert sorted(path.name for path in folder.iterdir()) == [
        ".dockerignore", "Dockerfile", "README.md", "certificate.json", "model", "start.sh",
    ]  # fmt: skip
    entry = next(
        line.removeprefix("ENTRYPOINT ")
        for line in (folder / "Dockerfile").read_text().splitlines()
        if line.startswith("ENTRYPOINT ")
    )
    command = json.loads(entry)
    assert command[:3] == ["vllm", "serve", "/model"]
    assert command[command.index("--max-model-len") + 1] == "4096"
    readme = (folder / "README.md").read_text()
    assert "http://127.0.0.1:9000/v1/chat/completions" in readme
    assert (folder / "model" / "model.safetensors").is_file()
    texts = " ".join(path.read_text() for path in folder.iterdir() if path.is_file())
    assert "--api-key" not in texts
    assert "sk-" not in texts


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_the_start_command_asks_for_a_key(model: Path, tmp_path: Path) -> None:
    asked = gguf_made.order(model, what__target="deployment", deployment__server="tgi")
    folder = gguf_made.export(tmp_path, asked).artefact
    done = subprocess.run(
        ["sh", str(folder / "start.sh")], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "API_KEY" in done.stderr
