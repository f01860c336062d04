"""Models as ONNX: traced in a process of their own, run by onnxruntime, made smaller."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from easytune import demo
from easytune.engine.exporting import onnx_precision, onnx_runtime
from easytune.engine.exporting.onnx_precision import GRAPH, WEIGHTS, Precision
from easytune.export_errors import ArchitectureUnsupported, ExportUnloadable
from easytune.export_files import ExportFolder
from easytune.exporters import onnx as exporter
from tests.engine import exported, merged, tiny

TOKENS = [5, 17, 40, 8, 99, 120, 33, 7, 61, 250, 14]
LARGEST_KL: dict[Precision, float] = {"int8": 1e-3, "int4": 0.05, "int8_dynamic": 0.02}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ExportFolder:
    """Return the export of an adapter on the demo model, made by a process of its own."""
    home = tmp_path_factory.mktemp("home")
    adapter = merged.adapter(demo.MODEL, home / "tuned")
    found = exported.order(home, exported.source(demo.MODEL, adapter), "onnx")
    command = [sys.executable, "-m", "easytune.engine.exporter", str(found.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return found


def test_a_graph_predicts_what_the_trained_model_does(folder: ExportFolder) -> None:
    certificate = folder.certificate()

    assert certificate is not None
    assert certificate.passed
    assert certificate.number_format == "fp32"
    (found,) = certificate.parity
    assert found.runtime == "onnxruntime"
    assert found.kl is not None
    assert found.kl < 1e-6
    assert found.greedy_agreement == 1.0
    assert {one.path for one in certificate.files} >= {GRAPH, "tokenizer.json", "README.md"}


def test_a_graph_reads_any_length_and_goes_on_from_any_past(folder: ExportFolder) -> None:
    graph = onnx_runtime.load(folder.artefact)
    names = [one.name for one in graph._session.get_inputs()]
    whole = graph.logits(TOKENS)

    _, past = graph._run(TOKENS[:4], graph._empty())
    rest, _ = graph._run(TOKENS[4:], past)

    assert names[:3] == ["input_ids", "attention_mask", "position_ids"]
    assert names[3:5] == ["past_key_values.0.key", "past_key_values.0.value"]
    assert np.abs(rest - whole[4:]).max() < 1e-3
    assert graph.logits(TOKENS[:1]).shape == (1, whole.shape[1])


def test_the_program_in_the_readme_runs(
    folder: ExportFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder.artefact / "README.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert program is not None
    monkeypatch.chdir(folder.artefact)

    exec(program[1], {})

    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("precision", LARGEST_KL)
def test_fewer_bits_stay_close_and_take_less_room(
    precision: Precision, folder: ExportFolder, tmp_path: Path
) -> None:
    onnx_precision.shrink(folder.artefact, tmp_path, precision, 32)

    assert (tmp_path / GRAPH).stat().st_size < (folder.artefact / GRAPH).stat().st_size / 2
    assert _kl(folder.artefact, tmp_path) < LARGEST_KL[precision]


@pytest.mark.parametrize("precision", ["int8", "int8_dynamic"])
def test_weights_beyond_two_gigabytes_lie_beside_the_graph(
    precision: Precision, folder: ExportFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx_ir

    large, small = tmp_path / "large", tmp_path / "small"
    large.mkdir()
    small.mkdir()
    monkeypatch.setattr(onnx_precision, "_LARGEST", 1000)
    onnx_precision.save(onnx_ir.load(folder.artefact / GRAPH), large)

    onnx_precision.shrink(large, small, precision, 32)

    assert sorted(path.name for path in large.iterdir()) == [GRAPH, WEIGHTS]
    assert sorted(path.name for path in small.iterdir()) == [GRAPH, WEIGHTS]
    assert _kl(folder.artefact, large) < 1e-6
    assert _kl(folder.artefact, small) < LARGEST_KL[precision]


def test_a_model_that_remembers_by_a_state_is_refused_before_anything_is_loaded(
    tmp_path: Path,
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    order = exported.order(tmp_path, exported.source(tiny.save_folder(base, "mamba")), "onnx")

    with pytest.raises(ArchitectureUnsupported) as raised:
        exporter.refuse(exporter.Options(), order.order())

    assert raised.value.architecture == "mamba"


def test_a_damaged_graph_is_reported_by_what_should_run_it(
    folder: ExportFolder, tmp_path: Path
) -> None:
    whole = (folder.artefact / GRAPH).read_bytes()
    (tmp_path / GRAPH).write_bytes(whole[: len(whole) // 2])
    _copy_tokenizer(folder.artefact, tmp_path)

    with pytest.raises(ExportUnloadable):
        onnx_runtime.load(tmp_path)


def _kl(one: Path, other: Path) -> float:
    """Return the mean KL divergence of two graphs, in nats per token."""
    if not (other / "tokenizer.json").exists():
        _copy_tokenizer(one, other)
    p, q = (_log_softmax(onnx_runtime.load(folder).logits(TOKENS)) for folder in (one, other))
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    moved = logits - logits.max(axis=1, keepdims=True)
    return moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))


def _copy_tokenizer(source: Path, target: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "chat_template.jinja"):
        (target / name).write_bytes((source / name).read_bytes())
