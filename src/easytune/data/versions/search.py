"""Which rows of a version fit a filter."""

from dataclasses import dataclass

from easytune.data.stored import StoredRow


@dataclass(frozen=True)
class Filter:
    """What rows to find; what is left as it is does not narrow. All that is given must fit.

    `text` is looked for in a row's JSON whatever its case; with `regex` it is an RE2 pattern.
    `role`: somebody speaks in it as system, user, assistant or tool. `min_length`, `max_length`:
    characters of all messages or of the text, both included. `language`: as "en", "zh".
    `problem`: rows that have any, none, or the one of this code. `held_out`: rows that are or are
    not. `duplicates`: rows whose content occurs more than once, or rows whose content does not.
    """

    text: str = ""
    regex: bool = False
    role: str = ""
    min_length: int | None = None
    max_length: int | None = None
    language: str = ""
    problem: str | None = None
    held_out: bool | None = None
    duplicates: bool | None = None


@dataclass(frozen=True)
class Found:
    """A page of the rows that fit, in the order of the version, and how many fit in all."""

    total: int
    rows: list[StoredRow]
