"""Models that transformers runs: a folder loaded from scratch, or the trained model in memory."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from easytune.data.tokenizer import ModelTokenizer
from easytune.engine.exporting import trained
from easytune.engine.parity.reading import OwnTokenizer

if TYPE_CHECKING:
    from easytune.engine.exporting.trained import Trained

_PEFT = "peft"


class TransformersRuntime(OwnTokenizer):
    """A model of transformers or PEFT; see `Runtime`, `Reads`, `Renders` and `Tuned`."""

    def __init__(self, name: str, model: Any, tokenizer: ModelTokenizer) -> None:
        super().__init__(tokenizer)
        self.name = name
        self.version = metadata.version(_PEFT) if name == _PEFT else transformers.__version__
        self._model: Any = model

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Return the logits after each token, (len(tokens), vocabulary) float32."""
        with torch.no_grad():
            found = self._model(input_ids=self._ids(tokens), use_cache=False).logits
        return found[0].float().cpu().numpy()

    def base_logits(self, tokens: Sequence[int]) -> np.ndarray | None:
        """Return the same of the bare base; None where no adapter can be left out."""
        if not hasattr(self._model, "disable_adapter"):
            return None
        with self._model.disable_adapter():
            return self.logits(tokens)

    def greedy(self, tokens: Sequence[int], new_tokens: int) -> list[int]:
        """Return the likeliest tokens that follow, up to one that ends answers."""
        found: list[int] = []
        ids, cache = self._ids(tokens), None
        with torch.no_grad():
            while len(found) < new_tokens and (not found or found[-1] not in self.ends()):
                out = self._model(input_ids=ids, past_key_values=cache, use_cache=True)
                cache = getattr(out, "past_key_values", None)
                found.append(int(out.logits[0, -1].argmax()))
                # Some models keep their state otherwise: those read all of it again.
                ids = self._ids([*tokens, *found] if cache is None else found[-1:])
        return found

    def close(self) -> None:
        """Give the memory back."""
        self._model = None

    def _ids(self, tokens: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(tokens)], device=self._model.device)


def load(folder: Path, allow_remote_code: bool = False) -> TransformersRuntime:
    """Load a model folder as anyone would who got it. Raises EasyTuneError."""
    found = trained.load_base(folder, allow_remote_code)
    return TransformersRuntime("transformers", found.model, found.tokenizer)


def of_trained(found: "Trained") -> TransformersRuntime:
    """Return the trained model as what exports are compared with."""
    return TransformersRuntime(_PEFT, found.model, found.tokenizer)
