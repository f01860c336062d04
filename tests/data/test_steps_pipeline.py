"""Pipelines as people write them."""

import re

import pytest
from pydantic import ValidationError

from easytune import i18n
from easytune.data.steps import STEPS, Steps, pipeline
from easytune.dataset_errors import PipelineUnreadable, StepInvalid, StepUnknown
from easytune.i18n import t
from easytune.options import Option, declared

OPTIONS = list(declared(Steps))


def test_a_pipeline_is_the_same_after_it_was_written_and_read() -> None:
    text = (
        "title: Mine\nsteps:\n- clean: {html: true, width: half}\n- shuffle\n- split: {share: 0.2}"
    )

    read = pipeline.loads(text)

    assert pipeline.loads(pipeline.dump(read)) == read
    assert read.title == "Mine"
    assert read.as_list == [
        {"clean": {"html": True, "width": "half"}}, {"shuffle": {}}, {"split": {"share": 0.2}},
    ]  # fmt: skip
    assert pipeline.of(read.as_list, "Mine") == read


def test_a_plain_list_of_steps_is_a_pipeline() -> None:
    assert [step.name for step in pipeline.loads("- clean\n- shuffle: {seed: 1}").steps] == [
        "clean", "shuffle",
    ]  # fmt: skip


def test_an_unknown_step_names_the_one_that_was_meant() -> None:
    with pytest.raises(StepUnknown) as caught:
        pipeline.loads("- near_duplicate")

    assert caught.value.known.startswith("near_duplicates,")


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("- near_duplicates: {treshold: 0.9}", "threshold"),
        ("- near_duplicates: {threshold: 3}", "threshold"),
        ("- filter: {matching: '('}", "missing )"),
        ("- filter: {min_characters: 5, max_characters: 3}", "5"),
        ("- personal_data: {regions: [ZZ]}", "ZZ"),
        ("- columns: {rename: {a: x, b: x}}", "x"),
        ("- mix: {datasets: [one], weights: [1, 2]}", "1"),
        ("- clean: 3", "clean"),
    ],
)
def test_a_wrong_option_is_explained_in_the_readers_language(
    text: str, named: str, lang: str
) -> None:
    with pytest.raises(StepInvalid) as caught:
        pipeline.loads(text, lang=lang)

    sentence = t("error.step_invalid", lang, **caught.value.values)
    assert named in sentence
    assert "@" not in sentence
    assert "Input should" not in sentence
    assert bool(re.search("[一-龥]", sentence.partition("\n")[2])) == (lang == "zh")


@pytest.mark.parametrize(
    "text",
    ["", "3", "title: x", "steps: []", "- {clean: {}, shuffle: {}}", "- [clean]", "- a: [", "\0"],
)
def test_what_is_no_pipeline_is_refused(text: str) -> None:
    with pytest.raises(PipelineUnreadable) as caught:
        pipeline.loads(text)

    assert "@" not in t("error.pipeline_unreadable", "zh", **caught.value.values)


@pytest.mark.parametrize("name", pipeline.bundled())
def test_every_bundled_pipeline_loads_and_has_a_title_in_every_language(name: str) -> None:
    path = pipeline.bundled()[name]

    assert pipeline.load(path).title == i18n.texts("en")[f"steps.bundled.{name}"]
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_every_step_is_declared_and_has_its_texts() -> None:
    assert list(STEPS) == list(Steps.model_fields)
    for name, step in STEPS.items():
        assert Steps.model_fields[name].annotation is step.options
        assert (step.each is None) != (step.whole is None)
        assert i18n.has(f"steps.name.{name}")
        assert i18n.has(f"steps.help.{name}")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.path)
def test_every_option_explains_itself_in_at_most_16_words(option: Option) -> None:
    assert option.help.endswith(".")
    assert 2 <= len(option.help.split()) <= 16


def test_options_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        Steps().clean.html = True  # type: ignore[misc]
