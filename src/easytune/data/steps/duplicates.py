"""Finding rows that are the same, or nearly: the first of them stays."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from easytune.data.formats import Layout
from easytune.data.steps import alike, minhash
from easytune.data.steps.alike import Candidates
from easytune.data.steps.flow import Flow
from easytune.data.steps.options import ExactDuplicatesSection, NearDuplicatesSection
from easytune.data.steps.texts import Texts

if TYPE_CHECKING:
    import numpy as np


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

    # Each row that goes, and the one it is like that stays.
    gone: dict[int, int] = {}
    near = near_rows(flow, Texts(options.fields), options.threshold)
    for earlier, later in near:
        stays = gone.get(earlier, earlier)
        if later not in gone and near.likeness(stays, later) >= options.threshold:
            gone[later] = stays
    rows = flow.usable
    flow.keep(rows[~np.isin(rows, list(gone))], "near_duplicates")


def text_ids(flow: Flow, texts: Texts, loosely: bool = False) -> "np.ndarray":
    """Return for each usable row what tells its texts from others (dtype `S16`)."""
    import numpy as np

    def identity(value: Any, layout: Layout) -> bytes:
        parts = texts.read(value)
        return alike.text_id("".join(map(_loose, parts)) if loosely else "\0".join(parts))

    known = np.empty(len(flow), f"S{alike.TEXT_ID_BYTES}")
    for numbers, identities in flow.measure(identity, "comparing"):
        known[numbers] = identities
    return known[flow.spread()]


def near_rows(flow: Flow, texts: Texts, threshold: float) -> Candidates:
    """Return pairs of usable rows that probably have this share of their phrases in common.

    As numbers in the flow, the earlier first and in their order. Of very many rows that are alike,
    each is in a pair with the first of them, but not all pairs are there.
    """
    import numpy as np

    rows = flow.usable
    signatures = np.empty((len(flow), minhash.PERMUTATIONS), np.uint32)
    for numbers, contents in flow.measure(_joined(texts), "comparing"):
        signatures[numbers] = minhash.signatures(contents)
    pairs = rows[minhash.pairs(signatures[flow.spread()], threshold=threshold)]
    del signatures
    fingerprints = _fingerprints(flow, texts, np.unique(pairs))
    return Candidates(pairs, fingerprints, fingerprints, flow.progress)


def _fingerprints(flow: Flow, texts: Texts, rows: "np.ndarray") -> "dict[int, np.ndarray]":
    """Return what rows are compared by; only those that are in a pair are held in memory."""
    joined = _joined(texts)
    found: dict[int, np.ndarray] = {}
    if not len(rows):
        return found
    for numbers, contents in flow.measure(
        lambda value, layout: alike.fingerprint(joined(value, layout)), "comparing", rows
    ):
        found |= zip(numbers, contents, strict=True)
    return {int(row): found[int(same)] for row, same in zip(rows, flow.spread(rows), strict=True)}


def _joined(texts: Texts) -> Callable[[Any, Layout], str]:
    return lambda value, layout: "\n".join(texts.read(value))


def _loose(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(_words(plain))


def _words(text: str) -> Iterator[str]:
    return (character for character in text if character.isalnum())
