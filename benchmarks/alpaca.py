"""Made-up Alpaca rows for `benchmarks.data`, the same ones each time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson

_WORDS, _AT_ONCE = 20_000, 10_000
_SYLLABLES = [
    "ba", "ce", "di", "fo", "gu", "la", "me", "ni", "ro", "su", "ta", "ve", "wi", "xo", "zu",
    "bra", "cle", "dri", "flo", "gru", "pla", "ste", "tri", "an", "er", "in", "on", "al",
]  # fmt: skip
# Words in the instruction, the input (of two rows in five) and the output: 500 bytes a row.
_INSTRUCTION, _INPUT, _OUTPUT = (6, 14), (8, 24), (60, 170)


def write(path: Path, rows: int, near: int = 0, seed: int = 7) -> None:
    """Write rows as JSON lines. The last `near` of them are earlier rows with a word changed."""
    with path.open("wb") as file:
        kept: list[dict[str, str]] = []
        for row in _rows(rows - near, seed):
            if len(kept) < near:
                kept.append(row)
            file.write(orjson.dumps(row) + b"\n")
        for row in kept:
            file.write(orjson.dumps(_nearly(row)) + b"\n")


def _rows(count: int, seed: int) -> Iterator[dict[str, str]]:
    random = np.random.default_rng(seed)
    vocabulary = _vocabulary(random)
    # As in real text: few words are frequent, and those are short; most are rare.
    frequency = 1 / (np.arange(_WORDS) + 2.7)
    share = np.cumsum(frequency / frequency.sum())
    share[-1] = 1
    for start in range(0, count, _AT_ONCE):
        size = min(_AT_ONCE, count - start)
        lengths = [random.integers(*span, size=size) for span in (_INSTRUCTION, _INPUT, _OUTPUT)]
        lengths[1] *= random.random(size) < 0.4
        total = int(sum(map(sum, lengths)))
        drawn = vocabulary[np.searchsorted(share, random.random(total))]
        texts = iter(np.split(drawn, np.cumsum(np.stack(lengths, axis=1).ravel())[:-1]))
        for instruction, addition, output in zip(texts, texts, texts, strict=True):
            yield {
                "instruction": " ".join(instruction) + ".",
                "input": " ".join(addition),
                "output": " ".join(output) + ".",
            }


def _vocabulary(random: np.random.Generator) -> np.ndarray:
    sizes = random.integers(1, 5, size=_WORDS)
    words = ["".join(random.choice(_SYLLABLES, size=size)) for size in sizes]
    return np.array(sorted(words, key=len), dtype=object)


def _nearly(row: dict[str, str]) -> dict[str, str]:
    words = row["output"].split()
    words[len(words) // 2] = "otherwise"
    return row | {"output": " ".join(words)}
