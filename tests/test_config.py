import pytest
from pydantic import ValidationError

from easytune.config import TrainConfig, options
from easytune.options import Option, applies
from easytune.validation import explain

OPTIONS = list(options())


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.path)
def test_every_option_explains_itself_in_at_most_16_words(option: Option) -> None:
    assert option.help.endswith(".")
    assert 2 <= len(option.help.split()) <= 16


def test_every_declared_field_is_an_option() -> None:
    declared = [f"{s}.{name}" for s, part in TrainConfig().model_dump().items() for name in part]

    assert [option.path for option in OPTIONS] == declared


def test_conditions_name_options_and_values_that_exist() -> None:
    for option in OPTIONS:
        for path, values in option.knob.when:
            section, _, name = path.partition(".")
            for value in values:
                TrainConfig().changed(**{f"{section}__{name}": value})


def test_an_option_applies_only_under_its_condition() -> None:
    bits = next(option for option in OPTIONS if option.path == "memory.quantization_bits")

    assert not applies(bits, TrainConfig().model_dump())
    assert applies(bits, TrainConfig().changed(model__method="qlora").model_dump())


def test_a_config_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        TrainConfig().lora.rank = 3  # type: ignore[misc]


def test_secrets_are_refused_because_a_config_is_shared() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainConfig().changed(output__training_args={"hub_token": "abc"})

    [(path, sentence)] = explain(caught.value)
    assert path == "output.training_args"
    assert "environment" in sentence


BROKEN = {
    "lora__rank": 0,
    "lora__alpha": "many",
    "schedule__batch_size": 2.5,
    "optim__learning_rate": 5,
    "model__method": "magic",
    "data__packing": "perhaps",
    "data__datasets": (),
    "data__columns": {"question": "q"},
    "output__name": "x" * 61,
    "output__folder": 7,
}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("option", "value"), BROKEN.items())
def test_a_broken_rule_is_explained_at_its_option_in_the_readers_language(
    option: str, value: object, lang: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainConfig().changed(**{option: value})

    [(path, sentence)] = explain(caught.value, lang)
    assert path == option.replace("__", ".")
    assert "Input should" not in sentence
    assert sentence.endswith("." if lang == "en" else "。")


def test_a_wrong_weight_is_named_by_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainConfig().changed(data__datasets=("a", "b"), data__weights=(1, -2))

    assert explain(caught.value) == [("data.weights", "entry 2: should be more than 0, not -2.")]
