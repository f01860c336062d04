"""Which versions a query asks for, in which order."""

from collections.abc import Callable, Sequence
from typing import Any

from easytune.services.registry_entry import STAGES, Entry, Listing, Query


def listing(entries: Sequence[Entry], query: Query, pending: int = 0) -> Listing:
    """Return the versions that have all words of the search and every chosen trait."""
    words = query.search.casefold().split()
    found = [entry for entry in entries if _has(entry, query, words)]
    return Listing(
        entries=tuple(_sorted(found, query)),
        total=len(entries),
        pending=pending,
        names=_each(entry.name for entry in entries),
        bases=_each(entry.base_name for entry in entries if entry.base_name),
        tags=_each(tag for entry in entries for tag in entry.tags),
    )


def _has(entry: Entry, query: Query, words: list[str]) -> bool:
    chosen = (
        (query.stage, entry.stage),
        (query.kind, entry.facts.kind),
        (query.base, entry.base_name),
        (query.name, entry.name),
    )
    if any(wanted and wanted != own for wanted, own in chosen):
        return False
    if query.tag and query.tag not in entry.tags:
        return False
    if not words:
        return True
    text = _text(entry)
    return all(word in text for word in words)


def _text(entry: Entry) -> str:
    """Return all that a version is found by, in small letters."""
    facts = entry.facts
    return " ".join(
        [entry.ref, facts.key, facts.base, *entry.tags, entry.notes, entry.author, facts.target,
         facts.number_format, *facts.datasets]
    ).casefold()  # fmt: skip


def _sorted(found: list[Entry], query: Query) -> list[Entry]:
    value = _SORTED_BY[query.sort]
    # What has no figure comes last, whichever way the others are turned.
    known = [entry for entry in found if value(entry) is not None]
    unknown = [entry for entry in found if value(entry) is None]
    known.sort(key=value, reverse=(query.sort in _LARGEST_FIRST) != query.reverse)
    return known + unknown


def _each(values: Any) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


_LARGEST_FIRST = ("created", "size")
_SORTED_BY: dict[str, Callable[[Entry], Any]] = {
    "created": lambda entry: (entry.facts.created, entry.key),
    "name": lambda entry: (entry.name, entry.number),
    "size": lambda entry: entry.facts.bytes,
    "loss": lambda entry: entry.facts.loss,
    "forgetting": lambda entry: entry.facts.forgetting and entry.facts.forgetting[0],
    "stage": lambda entry: (STAGES.index(entry.stage), entry.name, entry.number),
}
