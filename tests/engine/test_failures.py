"""The cause that is shown is the true cause."""

import errno
import json
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils.versions import require_version

from easytune.config import TrainConfig
from easytune.engine import failures
from easytune.events import Notice, Step
from easytune.i18n import languages, t
from tests.engine import tiny
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


def test_a_package_that_transformers_asks_for_is_named_and_nothing_more(tmp_path: Path) -> None:
    with pytest.raises(PackageNotFoundError) as caught:
        require_version("no-such-package>=1.2")
    event = failures.failed(caught.value, TrainConfig(), tmp_path)
    assert event.values["package"] == "no-such-package"
    assert t("error.dependency_missing", **event.values) == (
        "This run needs a package that is not installed. "
        "Install what is missing with: pip install no-such-package"
    )


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
    ran = train(config.changed(optim__optimizer="sgd", optim__optimizer_args="momentum=much"))
    assert ran.end.code == "unexpected"
    assert "Traceback" in ran.end.detail


def test_quantization_without_its_package_says_so(train: Train, config: TrainConfig) -> None:
    ran = train(config.changed(model__method="qlora"))
    assert ran.end.code in ("dependency_missing", "option_unsupported")


def test_a_weight_that_is_not_in_the_files_is_never_made_up(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    folder = tiny.save_folder(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    gone = "model.layers.1.mlp.up_proj.weight"
    save_file({n: w for n, w in weights.items() if n != gone}, folder / "model.safetensors")
    end = train(config.changed(model__base_model=str(folder))).end
    assert (end.code, end.values["missing"]) == ("model_incomplete", gone)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": 64}, "does not have the shape"),
        ({"model_type": "no_such_family"}, "no_such_family"),
    ],
)
def test_a_model_that_does_not_match_its_configuration_is_named(
    train: Train, config: TrainConfig, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = tiny.save_folder(tmp_path / "model")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    end = train(config.changed(model__base_model=str(folder))).end
    assert end.code == "model_unloadable"
    assert said in t(f"error.{end.code}", "en", **end.values)


def test_a_model_without_a_tokenizer_says_what_is_missing(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    folder = tiny.save_folder(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    end = train(config.changed(model__base_model=str(folder))).end
    assert (end.code, end.values["missing"]) == ("model_incomplete", "tokenizer.json")


def test_an_output_folder_that_cannot_be_made_is_found_before_training(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    ran = train(config.changed(output__folder=str(tmp_path / "file" / "adapter")))
    assert ran.end.code == "folder_unwritable"
    assert not ran.of(Step)


def test_rows_beyond_the_context_are_told_or_refused(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    rows = tmp_path / "long.jsonl"
    rows.write_text(json.dumps({"prompt": "Hi", "response": "yes " * 300}) + "\n")
    long = config.changed(
        data__datasets=(str(rows),), data__held_out_share=0.0, data__max_length=2048,
        schedule__max_steps=1,
    )  # fmt: skip
    assert "beyond_context" in train(long).notices()
    table = tiny.save_folder(tmp_path / "gpt2", "gpt2")
    end = train(long.changed(model__base_model=str(table))).end
    assert (end.code, end.values["option"]) == ("option_unsupported", "data.max_length")


def test_dropped_rows_are_named_by_number(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    good, bad = {"prompt": "Hi", "response": "Ho"}, {"prompt": "Hi", "response": None}
    rows.write_text("\n".join(map(json.dumps, [good, bad, good, bad])))
    ran = train(config.changed(data__datasets=(str(rows),), schedule__max_steps=1))
    notice = next(n for n in ran.of(Notice) if n.code == "rows_dropped")
    assert "rows 2, 4" in t("notice.rows_dropped", "en", **notice.values)
