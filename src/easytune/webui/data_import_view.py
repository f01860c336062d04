"""What files seem to hold, before they are imported, as HTML."""

from collections.abc import Sequence
from html import escape
from typing import Any

from easytune import quantities
from easytune.data.reading.probing import Probe, ProbedEntry, ProbedFile, example
from easytune.i18n import has, t
from easytune.webui import data_mapping

SHOWN_FILES = 12
SHOWN_COLUMNS = 12
_PLAIN = ("utf-8", "utf8", "ascii", "")


def found(probe: Probe, lang: str) -> str:
    """Return the list of files, or of the datasets that a list names, and what to know."""
    # What is said of a single file says it all.
    is_one = len(probe.files) == 1 and not probe.entries
    parts = [] if is_one else [_summary(probe, lang)]
    if probe.entries:
        parts.append(_entries(probe.entries, lang))
    else:
        parts.append(_files(probe.files, lang))
    parts.append(_notices(probe, lang))
    return f'<div class="data-found-files">{"".join(parts)}</div>'


def examples(probe: Probe, lang: str) -> str:
    """Return the first rows as what they become."""
    contents = [
        example(value, file.layout)
        for file in probe.files if file.layout is not None for value in file.examples
    ]  # fmt: skip
    return data_mapping.drawn(contents[:3], lang)


def said(text: str) -> str:
    """Return a sentence that says what is wrong."""
    return f'<p class="data-said" role="alert">{escape(text)}</p>' if text else ""


def hub(name: str, lang: str) -> str:
    """Return what is known about a dataset of a hub before it is fetched."""
    hint = escape(t("datasets.import.hub_found", lang))
    return (
        f'<div class="data-found-files"><p><b>{escape(name)}</b></p>'
        f'<p class="data-hint">{hint}</p></div>'
    )


def format_name(name: str | None, lang: str) -> str:
    """Return what people call a format."""
    if name is None:
        return t("datasets.format.unknown", lang)
    key = f"datasets.format.{name}"
    return t(key, lang) if has(key) else name


def _summary(probe: Probe, lang: str) -> str:
    formats = list(dict.fromkeys(format_name(file.format, lang) for file in probe.files))
    total = quantities.size(sum(file.bytes for file in probe.files))
    facts = [t("datasets.unit.files", lang, count=len(probe.files)), total, *formats[:3]]
    if probe.entries:
        usable = sum(not entry.reason for entry in probe.entries)
        facts = [t("datasets.import.list", lang, count=usable, of=len(probe.entries))]
    return f"<p><b>{escape(' · '.join(facts))}</b></p>"


def _files(files: Sequence[ProbedFile], lang: str) -> str:
    lines = [_file(file, lang) for file in files[:SHOWN_FILES]]
    if len(files) > SHOWN_FILES:
        more = t("datasets.import.more_files", lang, count=len(files) - SHOWN_FILES)
        lines.append(f"<li>{escape(more)}</li>")
    return f'<ul class="et-list">{"".join(lines)}</ul>'


def _file(file: ProbedFile, lang: str) -> str:
    facts: list[Any] = [format_name(file.format, lang), quantities.size(file.bytes)]
    if file.encoding.lower() not in _PLAIN:
        facts.append(file.encoding.upper())
    if file.columns:
        names = ", ".join(file.columns[:SHOWN_COLUMNS])
        more = " …" if len(file.columns) > SHOWN_COLUMNS else ""
        facts.append(t("datasets.import.columns", lang, names=names + more))
    trouble = ""
    if file.problems_seen:
        text = t("datasets.import.problems_seen", lang, count=file.problems_seen)
        trouble = f' <span class="data-mark">{escape(text)}</span>'
    return f"<li><b>{escape(file.name)}</b> {escape(' · '.join(facts))}{trouble}</li>"


def _entries(entries: Sequence[ProbedEntry], lang: str) -> str:
    lines = "".join(_entry(entry, lang) for entry in entries)
    return f'<ul class="et-list">{lines}</ul>'


def _entry(entry: ProbedEntry, lang: str) -> str:
    if entry.reason:
        why = t("notice.data.entry_skipped", lang, name=entry.name, reason=entry.reason)
        return f'<li><span class="et-bad">{escape(why)}</span></li>'
    facts = ""
    if entry.unmapped:
        facts = t("datasets.import.unmapped", lang, keys=", ".join(entry.unmapped))
    return f"<li><b>{escape(entry.name)}</b> {escape(facts)}</li>"


def _notices(probe: Probe, lang: str) -> str:
    lines = "".join(
        f"<li>{escape(t(f'notice.{code}', lang, **values))}</li>" for code, values in probe.notices
    )
    return f'<ul class="et-list data-notices">{lines}</ul>' if lines else ""
