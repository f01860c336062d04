"""Sample answers are asked the way the model was trained to be asked."""

from pathlib import Path

from easytune.config import TrainConfig
from easytune.data import tokenizer
from easytune.data.rows import Message, Row
from easytune.engine.generate import prompts
from tests.data.models import model_folder


def test_a_model_without_system_role_is_sampled_as_it_is_trained(tmp_path: Path) -> None:
    turns = (
        Message("system", "You are kind."),
        Message("user", "Hello"),
        Message("assistant", "Hello there."),
    )
    row = Row(number=1, source="rows", messages=turns, text=None)
    found = prompts(tokenizer.load(model_folder(tmp_path, "gemma")), TrainConfig(), [row])
    (shown, rendered) = found[0]
    assert shown == "Hello"
    assert "<start_of_turn>user\nYou are kind.\n\nHello<end_of_turn>" in rendered
    assert rendered.endswith("<start_of_turn>model\n")
