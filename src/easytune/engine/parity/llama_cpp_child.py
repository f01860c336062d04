"""Runs a GGUF file in llama.cpp: `python -m easytune.engine.parity.llama_cpp_child <file>`.

The file of an adapter may follow.

A process of its own, because a file that llama.cpp cannot run ends the whole process. Questions
come as lines of JSON, answers go as lines of JSON; logits follow their line as raw float32.
"""

import importlib
import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np

_LEAST_CONTEXT = 512
_F32_CACHE = 0  # GGML_TYPE_F32: the cache shall not add an error of its own.


class Model:
    """A model whose context grows with what it is asked."""

    def __init__(self, file: str, adapter: str | None = None) -> None:
        self.file, self.adapter, self.context, self.loaded = file, adapter, 0, None

    def answer(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the line of the answer, and the bytes after it."""
        if (text := question.get("text")) is not None:
            whole = question["whole"]
            tokens = self._model(1).tokenize(text.encode(), add_bos=whole, special=True)
            return {"tokens": tokens}, b""
        if question.get("ends"):
            return {"tokens": self._ends()}, b""
        tokens, more = question["tokens"], question.get("more", 0)
        logits = self._read(tokens, more)
        if not more:
            return {"shape": logits.shape}, np.ascontiguousarray(logits, "<f4").tobytes()
        return {"tokens": self._greedy(len(tokens), more)}, b""

    def _read(self, tokens: list[int], more: int) -> np.ndarray:
        model = self._model(len(tokens) + more)
        model.reset()
        model.eval(tokens)
        return model.scores[: len(tokens)]

    def _ends(self) -> list[int]:
        llama_cpp = importlib.import_module("llama_cpp")

        model = self._model(1)
        vocabulary = llama_cpp.llama_model_get_vocab(model.model)
        every = range(model.n_vocab())
        return [token for token in every if llama_cpp.llama_vocab_is_eog(vocabulary, token)]

    def _greedy(self, length: int, more: int) -> list[int]:
        model, found, ends = self._model(length + more), [], set(self._ends())
        while len(found) < more and (not found or found[-1] not in ends):
            found.append(int(model.scores[length + len(found) - 1].argmax()))
            model.eval(found[-1:])
        return found

    def _model(self, tokens: int) -> Any:
        llama_cpp = importlib.import_module("llama_cpp")

        if self.loaded is None or tokens > self.context:
            self.context = max(_LEAST_CONTEXT, 1 << (tokens - 1).bit_length())
            self.loaded = None
            self.loaded = llama_cpp.Llama(
                self.file, n_ctx=self.context, n_batch=_LEAST_CONTEXT, logits_all=True,
                type_k=_F32_CACHE, type_v=_F32_CACHE, verbose=False, lora_path=self.adapter,
            )  # fmt: skip
        return self.loaded


def main() -> int:
    """Answer until nobody asks any more."""
    # llama.cpp may write to standard output: that goes to the log, and answers go where it went.
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    model = Model(*sys.argv[1:])
    for line in sys.stdin:
        _send(wire, *model.answer(json.loads(line)))
    return 0


def _send(wire: BinaryIO, answer: dict[str, Any], raw: bytes) -> None:
    wire.write(json.dumps(answer).encode() + b"\n" + raw)
    wire.flush()


if __name__ == "__main__":
    sys.exit(main())
