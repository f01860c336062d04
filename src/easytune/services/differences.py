"""Where two texts differ, word by word."""

import re
from collections import Counter
from difflib import SequenceMatcher

_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# White space | a character of a script without spaces | a word | any other sign.
_TOKEN = re.compile(rf"\s+|[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]|_")
_EXACT_UP_TO = 500_000


def differences(reference: str, text: str) -> list[tuple[str, bool]]:
    """Return `text` in parts, each with whether it differs from `reference`.

    The parts joined are `text` again. Chinese and Japanese are compared character by character,
    other scripts by word; a different amount of white space is no difference.
    """
    tokens = _TOKEN.findall(text)
    words = [place for place, token in enumerate(tokens) if not token.isspace()]
    changed = [False] * len(tokens)
    before = [token for token in _TOKEN.findall(reference) if not token.isspace()]
    for first, last in _changed(before, [tokens[place] for place in words]):
        # The blanks between two changed words belong to the change.
        for place in range(words[first], words[last] + 1):
            changed[place] = True
    return _joined(tokens, changed)


def _changed(before: list[str], after: list[str]) -> list[tuple[int, int]]:
    """Return first and last place of each stretch of `after` that is not in `before`."""
    counts = Counter(after)
    # An exact comparison looks at every pair of equal tokens: too slow for repetitive texts.
    is_repetitive = sum(counts[token] for token in before) > _EXACT_UP_TO
    opcodes = SequenceMatcher(None, before, after, autojunk=is_repetitive).get_opcodes()
    return [(j1, j2 - 1) for kind, _, _, j1, j2 in opcodes if kind != "equal" and j1 < j2]


def _joined(tokens: list[str], changed: list[bool]) -> list[tuple[str, bool]]:
    parts: list[tuple[str, bool]] = []
    for token, is_changed in zip(tokens, changed, strict=True):
        if parts and parts[-1][1] == is_changed:
            parts[-1] = (parts[-1][0] + token, is_changed)
        else:
            parts.append((token, is_changed))
    return parts
