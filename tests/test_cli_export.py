"""`easytune export` as a person and as CI use it."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from easytune import config_file, demo, paths
from easytune.cli import arguments, chosen, main
from easytune.export import ExportConfig, Target
from easytune.export_files import read_certificate
from easytune.exporters import EXPORTERS
from tests.conftest import ROOT
from tests.made_adapters import adapter_on

CONFIGS = sorted((ROOT / "configs" / "export").glob("*.yaml"))


def _chosen(*words: str) -> ExportConfig:
    return chosen.export(arguments.parse(["export", *words], "en"), "en")


def test_an_export_prints_its_certificate_and_where_it_lies(
    child_environment: dict[str, str], home: Path
) -> None:
    adapter = adapter_on(demo.MODEL, home / "models" / "voice")
    done = subprocess.run(
        [
            sys.executable, "-m", "easytune.cli", "export", str(adapter), "--target", "adapter",
            "--name", "Voice", "--gate.prompts", "4", "--gate.new_tokens", "4",
        ],
        cwd=ROOT, env=child_environment | {"LANG": "C.UTF-8"}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    (folder,) = paths.exports(home).iterdir()
    artefact = folder / "out" / "model"
    assert "This is the model that was trained." in done.stdout
    assert "KL divergence" in done.stdout
    assert f"The export is in {artefact}" in done.stdout
    assert "vllm serve" in done.stdout
    certificate = read_certificate(artefact / "certificate.json")
    assert certificate is not None
    assert certificate.files[0].sha256[:8] in done.stdout


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_bundled_export_opens_without_a_word(file: Path) -> None:
    loaded = config_file.load_file(file, "en", ExportConfig)

    assert loaded.notices == ()
    assert loaded.config.what.target in EXPORTERS


def test_every_exporter_has_a_section_of_options_and_a_bundled_file() -> None:
    assert set(EXPORTERS) <= set(get_args(Target))
    for target, exporter in EXPORTERS.items():
        assert ExportConfig.model_fields[target].annotation is exporter.Options
    opened = {
        config_file.load_file(file, "en", ExportConfig).config.what.target for file in CONFIGS
    }
    assert opened >= set(EXPORTERS) - {"hub"}


def test_models_are_named_plainly_and_flags_win_over_the_file() -> None:
    config = _chosen(
        str(ROOT / "configs/export/adapter.yaml"), "tone", "voice@20", "--strength", "0.5"
    )
    assert config.what.models == ("tone", "voice@20")
    assert (config.what.target, config.what.strength) == ("adapter", 0.5)
    assert _chosen("tone", "--target", "merged").what.target == "merged"


def test_a_saved_export_opens_again_and_its_command_says_the_same(tmp_path: Path) -> None:
    config = ExportConfig().changed(
        what__models=("my run@20",), what__strength=0.7, what__weights=(0.5,), gate__kl=0.1,
        result__name="a b",
    )  # fmt: skip
    file = tmp_path / "export.yaml"
    file.write_text(config_file.dump(config), encoding="utf-8")

    assert _chosen(str(file)) == config
    assert _chosen(*config_file.flags(config)) == config
    assert config_file.command(config).startswith("easytune export ")


WRONG = [
    (["configs/train/demo.yaml"], 1, "easytune train"),
    (["gone.yaml"], 1, "gone.yaml"),
    (["demo", "--target", "floppy"], 1, "merged"),
    (["demo", "--target", "adapter"], 1, "whole model"),
    (["nobody"], 1, "nobody"),
    (["demo", "--targt", "merged"], 2, "--target"),
    (["--resume", "gone"], 1, "gone"),
]


@pytest.mark.parametrize(("words", "code", "said"), WRONG)
def test_what_cannot_be_exported_is_one_sentence(
    words: list[str], code: int, said: str, home: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(ROOT)
    try:
        found = main(["--home", str(home), "--lang", "en", "export", *words])
    except SystemExit as ended:
        found = int(str(ended.code))

    assert found == code
    assert said in capsys.readouterr().err
