"""Finding rows that are the same, or nearly: the first of them stays."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from easytune.data.formats import Layout
from easytune.data.steps import minhash
from easytune.data.steps.flow import Flow
from easytune.data.steps.options import ExactDuplicatesSection, NearDuplicatesSection
from easytune.data.steps.texts import Texts

if TYPE_CHECKING:
    import numpy as np

_DIGEST_BYTES = 16


def drop_exact(options: ExactDuplicatesSection, flow: Flow, found: Counter[str]) -> None:
    """Go on with the first of rows that are the same."""
    import numpy as np

    rows = flow.usable
    if options.compare == "row" and not options.loosely:
        contents = flow.ids()[rows]
    else:
        contents = text_ids(flow, Texts(everywhere=options.compare == "row"), options.loosely)
    _, first = np.unique(contents, return_index=True)
    flow.keep(rows[np.sort(first)], "exact_duplicates")


def drop_near(options: NearDuplicatesSection, flow: Flow, found: Counter[str]) -> None:
    """Go on with the first of rows that are nearly the same; how like they are is exact."""
    import numpy as np

    gone: set[int] = set()
    for earlier, later in near_pairs(flow, Texts(options.fields), options.threshold):
        if earlier not in gone:
            gone.add(later)
    rows = flow.usable
    flow.keep(rows[~np.isin(rows, list(gone))], "near_duplicates")


def text_ids(flow: Flow, texts: Texts, loosely: bool = False) -> "np.ndarray":
    """Return for each usable row what tells its texts from others (dtype `S16`)."""
    import numpy as np

    def digest(value: Any, layout: Layout) -> bytes:
        parts = texts.read(value)
        content = "".join(map(_loose, parts)) if loosely else "\0".join(parts)
        raw = content.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=_DIGEST_BYTES).digest()

    known = np.empty(len(flow), f"S{_DIGEST_BYTES}")
    for numbers, digests in flow.measure(digest, "comparing"):
        known[numbers] = digests
    return known[flow.spread()]


def near_pairs(flow: Flow, texts: Texts, threshold: float) -> list[tuple[int, int]]:
    """Return pairs of usable rows that have this share of their phrases in common.

    As numbers in the flow, the earlier first and in their order. Of very many rows that are alike,
    each is in a pair with the first of them, but not all pairs are there.
    """
    import numpy as np

    rows = flow.usable
    signatures = np.empty((len(flow), minhash.PERMUTATIONS), np.uint32)
    for numbers, contents in flow.measure(_joined(texts), "comparing"):
        signatures[numbers] = minhash.signatures(contents)
    candidates = minhash.pairs(signatures[flow.spread()], threshold=threshold)
    del signatures
    pairs = [(int(rows[a]), int(rows[b])) for a, b in candidates]
    phrases = _phrases(flow, texts, np.unique(np.array(pairs, np.int64)))
    return [(a, b) for a, b in pairs if minhash.likeness(phrases[a], phrases[b]) >= threshold]


def _phrases(flow: Flow, texts: Texts, rows: "np.ndarray") -> dict[int, frozenset[int]]:
    """Return what rows are compared by; only those that are in a pair are held in memory."""
    joined = _joined(texts)
    found: dict[int, frozenset[int]] = {}
    if not len(rows):
        return found
    for numbers, contents in flow.measure(
        lambda value, layout: minhash.fingerprints(joined(value, layout)), "comparing", rows
    ):
        found |= zip(numbers, contents, strict=True)
    return {int(row): found[int(same)] for row, same in zip(rows, flow.spread(rows), strict=True)}


def _joined(texts: Texts) -> Any:
    return lambda value, layout: "\n".join(texts.read(value))


def _loose(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(_words(plain))


def _words(text: str) -> Iterator[str]:
    return (character for character in text if character.isalnum())
