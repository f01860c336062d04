"""How alike texts are, word by word: what exact and near duplicates and leaks are told by."""

import hashlib
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from easytune.data.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Fingerprint = NDArray[np.uint32]
    Places = NDArray[np.int64]

TEXT_ID_BYTES = 16
_WORDS_TOGETHER = 3
# Written without blanks between words: each character stands for itself.
_UNSPACED = r"\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
_PARTS = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_TOLD_EVERY = 10_000


def text_id(text: str) -> bytes:
    """Return 16 bytes that tell a text from all others."""
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=TEXT_ID_BYTES).digest()


def phrases(text: str) -> set[bytes]:
    """Return what a text is compared by: all runs of three words, or of three Chinese characters.

    Case, width, punctuation and spacing make no difference. A shorter text is one phrase.
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    words = _PARTS.findall(plain.lower())
    if len(words) <= _WORDS_TOGETHER:
        return {" ".join(words).encode("utf-8", "surrogatepass")} if words else set()
    runs = zip(words, words[1:], words[2:], strict=False)
    return {" ".join(run).encode("utf-8", "surrogatepass") for run in runs}


def fingerprint(text: str) -> "Fingerprint":
    """Return the phrases of a text as rising numbers, which take 4 bytes each. See `likeness`."""
    import numpy as np

    return np.unique(np.array([zlib.crc32(phrase) for phrase in phrases(text)], np.uint32))


def likeness(a: "Fingerprint", b: "Fingerprint") -> float:
    """Return the share of phrases two texts have in common, 0 to 1 (the Jaccard index).

    Texts without any word are like no other.
    """
    import numpy as np

    together = np.concatenate([a, b])
    together.sort()
    common = int(np.count_nonzero(together[1:] == together[:-1]))
    return common / (len(together) - common) if common else 0.0


def similarity(a: str, b: str) -> float:
    """Return the share of phrases two texts have in common, 0 to 1 (the Jaccard index)."""
    return likeness(fingerprint(a), fingerprint(b))


class Candidates:
    """Pairs of rows that are probably alike (see `minhash.pairs`), to be looked at one by one.

    The fingerprints of all rows in them are in memory, about half a kilobyte for each.
    """

    def __init__(
        self,
        pairs: "Places",
        first: "Mapping[int, Fingerprint]",
        second: "Mapping[int, Fingerprint]",
        progress: Progress = silent,
    ) -> None:
        """Compare `pairs` (two columns): rows of the `first` set with rows of the `second`."""
        self._pairs, self._first, self._second = pairs, first, second
        self._progress = progress

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs in their order. Raises TaskCancelled."""
        for start in range(0, len(self._pairs), _TOLD_EVERY):
            self._progress("comparing", start, len(self._pairs))
            yield from self._pairs[start : start + _TOLD_EVERY].tolist()

    def likeness(self, first: int, second: int) -> float:
        """Return how alike two of the rows are, also of different pairs."""
        return likeness(self._first[first], self._second[second])
