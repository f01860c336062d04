import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from easytune import doctor, requirements
from easytune.doctor import Finding
from easytune.export import ExportConfig
from easytune.i18n import t
from tests.conftest import ROOT, free_port
from tests.patience import PATIENCE_S


def _examined(home: Path, port: int = 1, **environment: str) -> dict[str, Finding]:
    return {finding.area: finding for finding in doctor.examine(home, port, environment)}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    return _examined(tmp_path_factory.mktemp("home"), free_port())


def test_this_machine_can_train(findings: dict[str, Finding]) -> None:
    assert [finding for finding in findings.values() if finding.level == "broken"] == []
    areas = ["python", "packages", "torch", "gpu", "bf16", "qlora", "memory", "cores", "disk"]
    assert list(findings) == [*areas, "proxy", "port"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_finding_is_a_sentence(findings: dict[str, Finding], lang: str) -> None:
    for finding in findings.values():
        assert "{" not in finding.sentence(lang)
        assert not finding.sentence(lang).startswith("doctor.")


def test_advice_comes_with_a_way_to_mend_it(findings: dict[str, Finding]) -> None:
    for finding in findings.values():
        assert finding.level == "good" or finding.remedy()


CPU = {"version": "2.13", "device": "cpu", "name": "cpu", "memory_gb": 8.0, "bf16": False,
       "built_for": "cpu"}  # fmt: skip
JUDGEMENTS: list[tuple[dict[str, Any], bool, str, str]] = [
    ({}, False, "gpu", "no_gpu"),
    ({}, True, "gpu", "gpu_unused"),
    ({"device": "cuda", "name": "H200", "bf16": True}, True, "gpu", "gpu"),
    ({"bf16": True}, False, "bf16", "bf16"),
    ({"bitsandbytes": "0.49"}, False, "qlora", "bitsandbytes"),
    ({"bitsandbytes_error": "no libcudart"}, False, "qlora", "bitsandbytes_broken"),
]


@pytest.mark.parametrize(("facts", "nvidia", "area", "code"), JUDGEMENTS)
def test_facts_about_torch_are_judged(
    facts: dict[str, Any], nvidia: bool, area: str, code: str
) -> None:
    found = {finding.area: finding for finding in doctor.judge_torch(CPU | facts, nvidia)}

    assert found[area].code == code
    assert "{" not in found[area].sentence()


PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({}, "no_proxy"),
        ({"http_proxy": PROXY}, "proxy_trouble"),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost"}, "proxy_trouble"),
        ({"HTTP_PROXY": PROXY, "no_proxy": "localhost, 127.0.0.1"}, "proxy"),
        ({"all_proxy": PROXY, "no_proxy": "*"}, "proxy"),
    ],
)
def test_a_proxy_for_this_machine_itself_is_trouble(environment: dict[str, str], code: str) -> None:
    assert doctor.examine_proxy(environment).code == code


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert doctor.examine_port(server.getsockname()[1]).code == "port_taken"


def test_the_command_prints_the_findings_in_chinese_and_succeeds(
    child_environment: dict[str, str],
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "easytune.cli", "doctor", "--lang", "zh"],
        cwd=ROOT, env=child_environment, capture_output=True, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "磁盘" in done.stdout


def test_a_torch_that_does_not_load_is_broken_and_says_why(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.99 not found')")

    done = subprocess.run(
        [sys.executable, "-m", "easytune.cli", "doctor"], cwd=ROOT,
        env=child_environment | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}"},
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "libcudart.so.99" in done.stdout
    assert "pip install" in done.stdout


def test_an_option_of_another_target_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easytune.requirements._present", lambda package: False)
    merged = ExportConfig().changed(what__target="merged")
    assert not [path for path, _ in requirements.unmet(merged)]
    rounded = merged.changed(what__target="quantized")
    assert "quantized.method" in dict(requirements.unmet(rounded))
    graph = dict(requirements.unmet(ExportConfig().changed(what__target="onnx")))["what.target"]
    said = t(f"error.{graph.code()}", **graph.values)
    assert said.startswith("ONNX needs")
    assert said.endswith("onnx onnxscript onnxruntime")
