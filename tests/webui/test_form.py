"""The form against the declaration it derives from: no option may be forgotten or misread."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import pytest

from easytune import demo, i18n
from easytune.config import TrainConfig, options
from easytune.errors import ConfigInvalid
from easytune.options import Option
from easytune.webui.context import Context
from easytune.webui.form import Form
from easytune.webui.language import all_options
from easytune.webui.late_config import Page
from easytune.webui.tabs import train
from easytune.webui.train_handlers import TrainHandlers

OPTIONS = {option.path: option for option in options()}
CHANGED: dict[str, Any] = {
    "goal.intent": "style", "data.replay": "dataset:general", "monitor.probe": "p.jsonl",
    "monitor.forgetting_limit": 0.5,
    "model.base_model": "someone/model", "model.method": "qlora", "model.hub": "modelscope",
    "model.revision": "v2", "model.adapter": "/adapters/mine", "model.trust_remote_code": True,
    "model.allow_pickle": True, "data.datasets": ("a.jsonl", "b, c.csv"),
    "data.weights": (0.5, 2.0), "data.columns": {"prompt": "frage", "response": "回答"},
    "data.stage": "pretrain", "data.chat_template": "t.jinja",
    "data.train_on": "all", "data.max_rows": 1_234_567,
    "data.held_out_file": "h.jsonl", "data.thinking": "off",
    "lora.target_modules": ("q_proj", "v_proj"), "lora.modules_to_save": ("lm_head",),
    "lora.init": "pissa", "lora.lora_plus_ratio": 16.5, "optim.learning_rate": 1.5e-7,
    "optim.optimizer": "lion_8bit", "optim.optimizer_args": "a=1,b=2", "optim.neftune_alpha": 5.0,
    "schedule.scheduler": "linear", "schedule.max_steps": 77, "memory.device": "cpu",
    "memory.sharding": "fsdp",
    "memory.precision": "fp32", "memory.quantization_bits": 8,
    "memory.gradient_checkpointing": "off", "memory.attention": "eager",
    "monitor.logging_steps": 3, "monitor.eval_steps": 4, "monitor.save_steps": 5,
    "monitor.early_stopping": 6, "monitor.sample_prompts": ("Who are you?", "1 + 1 = ?"),
    "monitor.report_to": "wandb", "output.name": "my run", "output.folder": "/out",
    "output.training_args": {"group_by_length": True, "adam_epsilon": 1e-7},
}  # fmt: skip


@pytest.fixture
def form(home: Path) -> Iterator[Form]:
    """The form of the real Train tab."""
    with gr.Blocks():
        yield train.build(Context.of(home)).form


def _values(form: Form, config: TrainConfig, **typed: Any) -> list[Any]:
    """Return what the controls hold after `config` was filled in and some were typed over."""
    shown = [update["value"] for update in form.fill(config)[: len(form.inputs)]]
    for name, value in typed.items():
        shown[form.placed.index(name.replace("__", "."))] = value
    return shown


def _visible(form: Form, values: list[Any]) -> dict[str, bool]:
    painted = form.paint(values, {})
    return {path: painted[place]["visible"] for place, path in enumerate(form.placed)}


def _other(option: Option) -> Any:
    """Return a value of the option that is not its default."""
    default = option.field.default
    if option.path in CHANGED:
        return CHANGED[option.path]
    return not default if isinstance(default, bool) else default + 1 if default >= 1 else 0.25


def test_every_option_has_one_control_that_people_can_find(form: Form) -> None:
    ids = [component.elem_id for component in form.inputs]

    assert form.placed == list(OPTIONS)
    assert ids == [f"option-{path.replace('.', '-')}" for path in OPTIONS]
    assert all(component.label and component.info for component in form.inputs)


def test_a_config_with_every_option_changed_survives_the_form(form: Form) -> None:
    content = TrainConfig().model_dump()
    for option in OPTIONS.values():
        content[option.section][option.name] = _other(option)
    config = TrainConfig.model_validate(content)
    same = [o.path for o in OPTIONS.values() if _other(o) == o.field.default]

    assert same == []
    assert form.parse(*_values(form, config)) == config


def test_the_defaults_survive_the_form(form: Form) -> None:
    assert form.parse(*_values(form, TrainConfig())) == TrainConfig()


@pytest.mark.parametrize(
    ("path", "typed", "words"),
    [
        ("lora.rank", 0, "at least 1"),
        ("lora.rank", 2.5, "whole number"),
        ("lora.rank", None, "Enter a number"),
        ("optim.learning_rate", 2, "at most 1"),
        ("optim.weight_decay", -1, "at least 0"),
        ("schedule.epochs", 0, "more than 0"),
        ("schedule.max_steps", "ten", "whole number"),
        ("monitor.early_stopping", "0", "at least 1"),
        ("lora.lora_plus_ratio", "nan", "at most 64"),
        ("data.datasets", [], "at least one dataset"),
        ("data.weights", "1, 2", "1 weight"),
        ("data.weights", "much", "number"),
        ("data.columns", '{"prompt": ', "JSON"),
        ("data.columns", '{"question": "q"}', "question"),
        ("model.base_model", "", "not be empty"),
        ("output.name", "x" * 61, "60 characters"),
        ("output.training_args", "[1]", "name"),
    ],
)
def test_a_bad_value_is_explained_at_its_own_control(
    form: Form, path: str, typed: Any, words: str
) -> None:
    values = _values(form, TrainConfig(), **{path: typed})

    problems = form.validate(*values)
    painted = form.paint(values, problems)[form.placed.index(path)]

    assert list(problems) == [path]
    assert words in problems[path]
    assert painted["info"] == problems[path]
    with pytest.raises(ConfigInvalid, match=path):
        form.parse(*values)


def test_all_problems_are_reported_at_once_in_the_order_of_the_form(form: Form) -> None:
    values = _values(form, TrainConfig(), optim__weight_decay=7, lora__rank=0, data__max_length=1)

    assert list(form.validate(*values)) == ["data.max_length", "lora.rank", "optim.weight_decay"]


def test_problems_are_told_in_chinese(form: Form) -> None:
    problems = form.validate(*_values(form, TrainConfig(), lora__rank=None), lang="zh")

    assert problems == {"lora.rank": "请填写一个数字。"}


def test_a_problem_inside_an_accordion_opens_it(form: Form) -> None:
    values = _values(form, TrainConfig(), optim__weight_decay=7)

    boxes = form.paint(values, form.validate(*values))[len(form.inputs) :]

    assert sum(box.get("open", False) for box in boxes) == 1


def test_options_without_effect_are_hidden_as_the_method_changes(form: Form) -> None:
    lora = _visible(form, _values(form, TrainConfig()))
    full = _visible(form, _values(form, TrainConfig(), model__method="full"))
    qlora = _visible(form, _values(form, TrainConfig(), model__method="qlora"))

    assert [shown["lora.rank"] for shown in (lora, qlora, full)] == [True, True, False]
    bits = [shown["memory.quantization_bits"] for shown in (lora, qlora, full)]
    assert bits == [False, True, False]


def test_options_of_conversations_are_hidden_for_plain_text(form: Form) -> None:
    shown = _visible(form, _values(form, TrainConfig(), data__stage="pretrain"))

    assert (shown["data.max_length"], shown["data.train_on"]) == (True, False)


def test_a_bad_value_that_nobody_can_see_stops_nothing(form: Form) -> None:
    values = _values(form, TrainConfig(), model__method="full", lora__rank=0, lora__alpha=None)

    assert form.validate(*values) == {}
    assert form.parse(*values).model.method == "full"


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_qlora_says_what_it_needs_where_it_cannot_work(form: Form) -> None:
    problems = form.validate(*_values(form, TrainConfig(), model__method="qlora"))
    labels = {value: str(name) for name, value in form.component("model.method").choices}

    assert "bitsandbytes" in problems["model.method"]
    assert "bitsandbytes" in labels["qlora"]
    assert "bitsandbytes" not in labels["lora"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_missing_file_is_explained_at_the_control_that_names_it(form: Form, home: Path) -> None:
    on = TrainHandlers(Context.of(home), form)
    request: Any = None
    for path in ("data.replay", "monitor.probe", "data.datasets"):
        section, _, name = path.partition(".")
        given = (str(home / "no.jsonl"),) if name == "datasets" else str(home / "no.jsonl")
        config = TrainConfig().changed(data__replay_share=0.1, **{f"{section}__{name}": given})
        painted = on.started(request, "", *_values(form, config))

        shown = {p: painted[place]["info"] for place, p in enumerate(form.placed)}
        assert [p for p, text in shown.items() if "no.jsonl" in text] == [path]


def test_texts_for_choices_belong_to_choices_that_exist() -> None:
    prefix = "form.choice."
    keys = [key.removeprefix(prefix) for key in i18n.texts("en") if key.startswith(prefix)]
    known = {f"{o.path}.{value}" for o in all_options() for value in get_args(o.field.annotation)}
    bundled = {"demo_model"} | {f"demo.{name}" for name in (*demo.DATASETS, *demo.GENERAL)}

    assert set(keys) - known == bundled


def test_texts_for_empty_controls_belong_to_options_that_exist() -> None:
    prefix = "form.placeholder."
    keys = {key.removeprefix(prefix) for key in i18n.texts("en") if key.startswith(prefix)}

    assert keys <= {option.path for option in all_options()}


def test_browsers_are_told_of_what_came_to_the_page_later() -> None:
    with Page(analytics_enabled=False) as page:
        gr.Textbox(elem_id="first")
    assert _described(page) == ["first"]
    with page:
        gr.Textbox(elem_id="second").change(lambda: None)
    assert _described(page) == ["first", "second"]
    assert len(page.config["dependencies"]) == 1


def _described(page: Page) -> list[str]:
    told = [each["props"].get("elem_id") for each in page.config["components"]]
    return [name for name in told if name]
