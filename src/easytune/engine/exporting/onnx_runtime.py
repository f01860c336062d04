"""ONNX files run by onnxruntime, as the program does that they are exported for."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from easytune.data import tokenizer
from easytune.engine.exporting.onnx_precision import GRAPH
from easytune.engine.failures import first_line
from easytune.engine.parity.reading import OwnTokenizer
from easytune.export_errors import ExportUnloadable

_NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# What onnxruntime raises has no common base.
_STATE: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
_REFUSALS = (
    _STATE.Fail, _STATE.InvalidArgument, _STATE.InvalidGraph, _STATE.InvalidProtobuf,
    _STATE.NoSuchFile, _STATE.NotImplemented, _STATE.RuntimeException, RuntimeError,
)  # fmt: skip


class OnnxRuntime(OwnTokenizer):
    """A graph with its weights in onnxruntime, on the processor."""

    name, version = "onnxruntime", onnxruntime.__version__

    def __init__(self, folder: Path) -> None:
        """Raises ExportUnloadable when onnxruntime does not take the graph."""
        super().__init__(tokenizer.load(folder))
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / GRAPH), providers=["CPUExecutionProvider"]
            )
        except _REFUSALS as error:
            raise ExportUnloadable(self.name, first_line(error)) from error
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        self._outputs = [one.name for one in self._session.get_outputs()]
        self._past = {name: one for name, one in self._inputs.items() if name.startswith("past")}

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Return the logits after each token, (len(tokens), vocabulary) float32."""
        return self._run(tokens, self._empty())[0]

    def greedy(self, tokens: Sequence[int], new_tokens: int) -> list[int]:
        """Return the likeliest tokens that follow, up to one that ends answers."""
        found: list[int] = []
        past, feed = self._empty(), list(tokens)
        while len(found) < new_tokens and (not found or found[-1] not in self.ends()):
            logits, past = self._run(feed, past)
            found.append(int(logits[-1].argmax()))
            feed = found[-1:] if self._past else [*tokens, *found]
        return found

    def close(self) -> None:
        """Give the memory back."""
        self._session = None

    def _empty(self) -> dict[str, np.ndarray]:
        """Return keys and values of no token at all."""
        return {
            name: np.zeros((1, one.shape[1], 0, one.shape[3]), _NUMBERS[one.type])
            for name, one in self._past.items()
        }

    def _run(
        self, tokens: Sequence[int], past: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        before = next((one.shape[2] for one in past.values()), 0)
        total = before + len(tokens)
        feed = {
            "input_ids": np.array([tokens], np.int64),
            "attention_mask": np.ones((1, total), np.int64),
            "position_ids": np.arange(before, total, dtype=np.int64)[None],
        }
        feed = {name: value for name, value in feed.items() if name in self._inputs}
        found = dict(zip(self._outputs, self._session.run(None, feed | past), strict=True))
        now = {name: found[name.replace("past_key_values", "present")] for name in self._past}
        return found["logits"][0].astype(np.float32), now


def load(folder: Path) -> OnnxRuntime:
    """Load an artefact's graph. Raises ExportUnloadable, ModelIncomplete."""
    return OnnxRuntime(folder)
