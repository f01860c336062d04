"""The words of a runtime whose tokenizer lies beside its model."""

from collections.abc import Sequence

from easytune.data.rows import Message
from easytune.data.tokenizer import ModelTokenizer


class OwnTokenizer:
    """What encodes, ends and renders as the tokenizer in a model's folder says."""

    def __init__(self, tokenizer: ModelTokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return self._tokenizer.backend.encode(text).ids

    def ends(self) -> frozenset[int]:
        """Return the tokens that end an answer."""
        return self._tokenizer.eos_ids

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt that asks for an answer. Raises RenderFailed."""
        template = self._tokenizer.template
        return template.render(template.fold_system(messages), add_generation_prompt=True)
