"""No dead control: every option is read by the engine or the data code."""

import ast
from pathlib import Path

import pytest

import easytune
from easytune import requirements
from easytune.config import TrainConfig, options
from easytune.engine import arguments, hardware
from easytune.engine.rhythm import rhythm
from easytune.errors import ConfigInvalid, DependencyMissing, OptionUnsupported
from easytune.i18n import t
from easytune.options import Option

ROOT = Path(easytune.__file__).parent
# Read as `options.rank` or `config.lora.rank`, so the name of the attribute is what shows a use.
SOURCES = [*ROOT.glob("engine/*.py"), *ROOT.glob("data/*.py"), ROOT / "model_files.py",
           ROOT / "model_hubs.py", ROOT / "job.py"]  # fmt: skip
SECTIONS = {
    "model": ("model", "config.model"), "data": ("options", "config.data", "data"),
    "lora": ("options", "config.lora"), "optim": ("optim", "config.optim"),
    "schedule": ("schedule", "config.schedule"), "memory": ("options", "config.memory"),
    "monitor": ("monitor", "config.monitor"), "output": ("config.output",),
}  # fmt: skip


def uses() -> set[str]:
    """Return every attribute access in the engine and data code as text: `config.lora.rank`."""
    found = set()
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                found.add(ast.unparse(node))
    return found


def is_used(option: Option, found: set[str]) -> bool:
    ends = [f"{holder}.{option.name}" for holder in SECTIONS[option.section]]
    return any(use == end or use.endswith((f".{end}", f"_{end}"))
               for use in found for end in ends)  # fmt: skip


# The goal decides other options, before the work begins.
WORKED_WITH = [option for option in options() if option.section != "goal"]


@pytest.mark.parametrize("option", WORKED_WITH, ids=lambda option: option.path)
def test_every_option_is_read_where_the_work_is_done(option: Option) -> None:
    assert is_used(option, uses())


def test_an_option_that_nobody_reads_would_be_found() -> None:
    option = next(o for o in options() if o.path == "lora.rank")
    invented = Option("lora", "invented", option.field, option.knob)
    assert not is_used(invented, uses())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dataloder_num_workers": 2}, "dataloader_num_workers"),
        ({"learning_rate": 1e-3}, "optim.learning_rate"),
        ({"label_smoothing_factor": 0.1}, "label_smoothing_factor"),
        ({"fsdp": "full_shard"}, "memory.sharding"),
        ({"deepspeed": "ds_z3_config.json"}, "memory.sharding"),
    ],
)
def test_extra_arguments_that_would_do_nothing_are_refused(given: dict, said: str) -> None:
    config = TrainConfig().changed(output__training_args=given)
    with pytest.raises(ConfigInvalid) as raised:
        arguments.check(config, hardware.device("cpu"))
    assert said in raised.value.problems


def test_an_optimizer_without_its_package_says_which_one() -> None:
    config = TrainConfig().changed(optim__optimizer="schedule_free_adamw")
    with pytest.raises(DependencyMissing) as raised:
        arguments.check(config, hardware.device("cpu"))
    assert raised.value.package == "schedulefree"


def test_options_for_gpus_are_refused_on_a_processor() -> None:
    config = TrainConfig().changed(memory__liger_kernel=True)
    with pytest.raises(OptionUnsupported):
        arguments.check(config, hardware.device("cpu"))


@pytest.mark.parametrize(
    ("sharding", "with_it"),
    [
        ("fsdp", {"model__method": "full"}),
        ("fsdp", {"lora__use_dora": True}),
        ("fsdp", {"lora__modules_to_save": ("lm_head",)}),
        ("zero2", {}),
        ("zero2", {"model__method": "qlora"}),
        ("zero2", {"model__method": "full", "optim__optimizer": "adafactor"}),
        ("zero2", {"model__method": "full", "memory__precision": "fp16"}),
        ("zero2", {"model__method": "full", "memory__torch_compile": True}),
    ],
)
def test_only_that_is_split_which_can_be(sharding: str, with_it: dict) -> None:
    config = TrainConfig().changed(memory__processes=2, memory__sharding=sharding, **with_it)
    alone = config.changed(memory__processes=1)
    assert "memory.sharding" not in dict(requirements.unmet(alone))
    with pytest.raises(OptionUnsupported) as raised:
        arguments.check(config, hardware.device("cpu"))
    assert raised.value.option == sharding


def test_what_splits_a_plain_adapter_or_a_full_training_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = hardware.device("cpu")
    arguments.check(TrainConfig().changed(memory__processes=2, memory__sharding="fsdp"), cpu)
    full = TrainConfig().changed(
        model__method="full", memory__processes=2, memory__sharding="zero2"
    )
    monkeypatch.setitem(requirements._MODULES, "deepspeed", "torch")
    arguments.check(full, cpu)
    monkeypatch.setitem(requirements._MODULES, "deepspeed", "a_package_that_nobody_has")
    with pytest.raises(DependencyMissing) as raised:
        arguments.check(full, cpu)
    assert (raised.value.option, raised.value.package) == ("zero2", "deepspeed")


@pytest.mark.parametrize("total", [1, 2, 10, 97, 1000, 30_000])
def test_a_run_of_any_length_draws_a_curve_and_saves(total: int) -> None:
    config = TrainConfig().changed(schedule__max_steps=total)
    when = rhythm(config.schedule, config.monitor, steps_per_epoch=10)
    steps = range(1, total + 1)
    assert sum(map(when.logs, steps)) >= min(total, 50)
    assert min(total, 5) <= sum(map(when.evaluates, steps)) <= 21
    assert min(total, 3) <= sum(map(when.saves, steps)) <= 11
    # An earlier checkpoint can only be proposed when it is known how it did.
    assert all(when.evaluates(step) for step in steps if when.saves(step))
    assert when.logs(total)
    assert when.evaluates(total)
    assert when.saves(total)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_refused_arguments_are_explained_in_sentences(lang: str) -> None:
    config = TrainConfig().changed(
        output__training_args={
            "learning_rat": 1, "seed": 1, "do_eval": True, "dataloader_num_workers": "many",
        }
    )  # fmt: skip
    with pytest.raises(ConfigInvalid) as raised:
        arguments.check(config, hardware.device("cpu"))
    said = t("error.config_invalid", lang, **raised.value.values)
    assert len(said.splitlines()) == 5
    assert not set("@→✗?") & set(said)


@pytest.mark.parametrize(
    ("optimizer", "settings"), [("adamw_torch", "momentum=0.9"), ("sgd", "momentum")]
)
def test_optimizer_settings_that_nobody_reads_are_refused(optimizer: str, settings: str) -> None:
    config = TrainConfig().changed(optim__optimizer=optimizer, optim__optimizer_args=settings)
    with pytest.raises(OptionUnsupported):
        arguments.check(config, hardware.device("cpu"))


def test_a_run_of_few_steps_learns_from_the_first() -> None:
    assert [arguments.warmup_steps(0.03, total) for total in (1, 3, 100)] == [0, 0, 3]
    assert arguments.warmup_steps(5.0, 100) == 5
