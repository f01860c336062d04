"""llama.cpp as a runtime of the parity gate, through llama-cpp-python in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from easytune.export_errors import GgufToolFailed

_PACKAGE = "llama-cpp-python"
_SAID = 400


def installed() -> str | None:
    """Return the version of llama-cpp-python on this machine; None without it."""
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return None


class LlamaCppRuntime:
    """A GGUF file run by llama.cpp; see `Runtime` and `Reads`."""

    def __init__(self, file: Path, log: Path, adapter: Path | None = None) -> None:
        """`log` takes what llama.cpp says; `adapter` is a GGUF file that is put upon the other."""
        self.name, self.version = "llama.cpp", installed() or ""
        self._log = log
        command = [sys.executable, "-m", "easytune.engine.parity.llama_cpp_child", str(file)]
        command += [str(adapter)] if adapter else []
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Return the logits after each token, (len(tokens), vocabulary) float32."""
        shape = self._ask(tokens=list(tokens))["shape"]
        assert self._process.stdout is not None
        raw = self._process.stdout.read(4 * shape[0] * shape[1])
        return np.frombuffer(raw, "<f4").reshape(shape).copy()

    def greedy(self, tokens: Sequence[int], new_tokens: int) -> list[int]:
        """Return the likeliest tokens that follow, up to one that ends answers."""
        return self._ask(tokens=list(tokens), more=new_tokens)["tokens"]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, with those that begin every text."""
        return self._ask(text=text, whole=True)["tokens"]

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text alone."""
        return self._ask(text=text, whole=False)["tokens"]

    def ends(self) -> frozenset[int]:
        """Return the tokens that end an answer."""
        return frozenset(self._ask(ends=True)["tokens"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, **question: Any) -> dict[str, Any]:
        """Raises GgufToolFailed when llama.cpp cannot run the file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            self.close()
            said = self._log.read_text(encoding="utf-8", errors="replace").strip()
            raise GgufToolFailed(tool=self.name, reason=said[-_SAID:])
        return json.loads(line)
