"""The cause that is shown is the true cause."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from easytune.config import TrainConfig
from easytune.engine import failures
from easytune.i18n import languages, t
from tests.engine.ran import Ran

Train = Callable[..., Ran]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "out_of_memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate"),
            "out_of_memory",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (ModuleNotFoundError("No module named 'wandb'", name="wandb"), "dependency_missing"),
        (ZeroDivisionError("division by zero"), "unexpected"),
    ],
)
def test_exceptions_are_named_by_cause(tmp_path: Path, error: Exception, code: str) -> None:
    event = failures.failed(error, TrainConfig(), tmp_path)
    assert event.code == code
    for language in languages():
        sentence = t(f"error.{code}", language, **event.values)
        assert "{" not in sentence


def test_an_odd_save_error_on_a_full_disk_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("PytorchStreamWriter failed: unexpected pos 64 vs 0")
    assert failures.failed(error, None, tmp_path).code == "unexpected"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert failures.failed(error, None, tmp_path).code == "disk_full"


def test_a_memory_allocation_that_fails_for_real_is_out_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    assert failures.failed(raised.value, TrainConfig(), tmp_path).code == "out_of_memory"


def test_a_full_disk_is_found_before_the_run(
    train: Train, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    ran = train(config)
    assert (ran.code, ran.end.code) == (1, "disk_full")


def test_a_disk_that_fills_up_ends_the_run_gracefully(
    train: Train, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([10**12, 10**12, *[150 * 10**6] * 10_000])
    real = shutil.disk_usage
    monkeypatch.setattr(
        shutil, "disk_usage", lambda p: SimpleNamespace(free=min(next(free), real(p).free))
    )
    monkeypatch.setattr("easytune.engine.disk.MARGIN_GB", 0.2)
    ran = train(config.changed(schedule__max_steps=3000, monitor__eval_steps=3000))
    assert ran.end.kind == "stopped"
    assert ran.end.step < 3000
    assert "disk_low" in ran.notices()
    assert (ran.folder.adapter / "adapter_model.safetensors").is_file()


def test_a_missing_model_and_a_missing_file_fail_by_name(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    gone = str(tmp_path / "nowhere")
    assert train(config.changed(model__base_model=gone)).end.code == "model_missing"
    assert train(config.changed(data__datasets=(f"{gone}.jsonl",))).end.code == "file_missing"


def test_an_output_folder_that_is_not_empty_loses_nothing(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not touch")
    ran = train(config.changed(output__folder=str(tmp_path / "full")))
    assert ran.end.code == "output_not_empty"
    assert (tmp_path / "full" / "thesis.txt").read_text() == "do not touch"


def test_the_traceback_is_kept_for_the_report(train: Train, config: TrainConfig) -> None:
    ran = train(config.changed(optim__optimizer_args="nonsense"))
    assert ran.end.code == "unexpected"
    assert "Traceback" in ran.end.detail


def test_quantization_without_its_package_says_so(train: Train, config: TrainConfig) -> None:
    ran = train(config.changed(model__method="qlora"))
    assert ran.end.code in ("dependency_missing", "option_unsupported")
