"""What Python's JSON reader lets through and we do not: NaN, keys given twice, deep nesting."""

import json
from typing import Any, NoReturn

MAX_DEPTH = 60


class JsonRefused(Exception):
    """The text is JSON, but not the kind that can be trusted; `code` names why.

    `line` is 0 when unknown; `what` is the key or number it is about.
    """

    def __init__(self, code: str, what: str = "", line: int = 0) -> None:
        super().__init__(code, what, line)
        self.code = code
        self.what = what
        self.line = line


def read(text: str) -> Any:
    """Return what a text says that is one JSON value as a whole.

    Raises JsonRefused as `check`, or with the code `no_json`.
    """
    try:
        return _parse(text)
    except RecursionError as error:
        raise JsonRefused("too_deep") from error
    except ValueError as error:
        raise JsonRefused("no_json", str(error)[:80]) from error


def check(text: str) -> None:
    """Raise JsonRefused (`not_a_number`, `repeated_key`, `too_deep`) for such a text or line.

    What is no JSON at all passes: whoever reads it says so better.
    """
    try:
        _parse(text)
    except RecursionError as error:
        raise JsonRefused("too_deep") from error
    except ValueError:
        for number, line in enumerate(text.split("\n"), start=1):
            _check_line(line, number)


def _check_line(line: str, number: int) -> None:
    try:
        _parse(line)
    except JsonRefused as refused:
        raise JsonRefused(refused.code, refused.what, number) from refused
    except RecursionError as error:
        raise JsonRefused("too_deep", line=number) from error
    except ValueError:
        return


def _parse(text: str) -> Any:
    content = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return content
    raise JsonRefused("too_deep")


def _inside(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise JsonRefused("repeated_key", next(n for n in names if names.count(n) > 1))
    return content


def _constant(word: str) -> NoReturn:
    raise JsonRefused("not_a_number", word)
