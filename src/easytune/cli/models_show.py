"""The registry on a terminal: the list, the sheet of a version, two versions side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from easytune import quantities
from easytune.i18n import has, t
from easytune.services import forgotten
from easytune.services.registry_comparison import Compared
from easytune.services.registry_dependents import Dependent
from easytune.services.registry_entry import Change, Entry
from easytune.services.registry_trace import Link
from easytune.services.registry_words import change, fact, link, needed_by, option
from easytune.services.trash import Trashed

if TYPE_CHECKING:
    from easytune.services.registry_hashes import Files

__all__ = ["compared", "needed_by", "sheet", "table", "trash"]
COLUMNS = (
    "version",
    "stage",
    "kind",
    "base",
    "held_out_loss",
    "forgetting",
    "size",
    "created",
    "tags",
)


def table(entries: Sequence[Entry], lang: str) -> Table:
    """Return the list."""
    drawn = _table(COLUMNS, lang)
    for entry in entries:
        score = entry.facts.forgetting
        drawn.add_row(
            f"{entry.ref} *" if entry.is_current else entry.ref,
            t(f"models.stage.{entry.stage}", lang), t(f"models.kind.{entry.facts.kind}", lang),
            entry.base_name, f"{entry.facts.loss:.4f}" if entry.facts.loss is not None else "",
            forgotten.number(score[0]) if score else "", quantities.size(entry.facts.bytes),
            quantities.minute(entry.facts.created), ", ".join(entry.tags),
        )  # fmt: skip
    return drawn


def sheet(
    entry: Entry, files: "Files", chain: Sequence[Link], needs: Sequence[Dependent],
    history: Sequence[Change], lang: str,
) -> None:  # fmt: skip
    """Print all about one version."""
    current = f" ({t('models.current', lang)})" if entry.is_current else ""
    print(f"{entry.ref}{current}  {t(f'models.stage.{entry.stage}', lang)}")
    for name in ("id", "kind", "base", "author", "created", "size", "tags", "notes"):
        _line(name, _fact(entry, name, lang), lang)
    for name, value in entry.facts.metrics.items():
        print(f"  {fact(name, lang)}: {value:.6g}")
    if (score := entry.facts.forgetting) is not None:
        ends = f"{forgotten.number(score[1])} … {forgotten.number(score[2])}"
        _line("forgetting", f"{forgotten.number(score[0])} [{ends}]", lang)
    print(t("models.part.trace", lang))
    for one in chain:
        print(f"  {link(one, lang)}")
    print(t("models.part.files", lang))
    for file in files.now:
        print(f"  {file.sha256}  {quantities.size(file.bytes)}  {file.path}")
    for path, outcome in files.changes.items():
        print(f"  {t(f'models.file.{outcome}', lang, path=path)}")
    for title, lines in (
        ("needed_by", [needed_by(one, lang) for one in needs]),
        ("history", [change(one, lang) for one in history]),
    ):
        if lines:
            print(t(f"models.part.{title}", lang), *(f"  {line}" for line in lines), sep="\n")


def compared(line: Compared, lang: str) -> tuple[str, str, str]:
    """Return a line of a comparison as the cells of a row."""
    name = option(line.name, lang) if line.part == "settings" else fact(line.name, lang)
    name = f"{name} · {line.detail}" if line.detail else name
    return name, _value(line.a), _value(line.b)


def trash(there: Sequence[Trashed], lang: str) -> Table:
    """Return what is in the trash."""
    drawn = _table(("item", "version", "kind", "size", "deleted"), lang)
    for one in there:
        drawn.add_row(
            one.id, one.title, t(f"models.kind.{one.kind}", lang), quantities.size(one.bytes),
            quantities.minute(one.at),
        )  # fmt: skip
    return drawn


def _fact(entry: Entry, name: str, lang: str) -> str:
    match name:
        case "id":
            return entry.key
        case "kind":
            target = " ".join([entry.facts.target, entry.facts.number_format]).strip()
            kind = t(f"models.kind.{entry.facts.kind}", lang)
            return f"{kind}: {target}" if target else kind
        case "base":
            return entry.base_name
        case "created":
            return quantities.minute(entry.facts.created)
        case "size":
            return quantities.size(entry.facts.bytes)
        case "tags":
            return ", ".join(entry.tags)
    return str(getattr(entry, name))


def _line(name: str, value: str, lang: str) -> None:
    if value:
        print(f"  {fact(name, lang)}: {value}")


def _value(value: Any) -> str:
    match value:
        case None | "" | ():
            return "-"
        case float():
            return f"{value:.6g}"
        case tuple() | list():
            return ", ".join(str(one) for one in value)
    text = str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text


def _table(columns: Sequence[str], lang: str) -> Table:
    drawn = Table(box=None, header_style="bold")
    for name in columns:
        numbers = name in ("held_out_loss", "forgetting", "size")
        key = f"models.fact.{name}"
        drawn.add_column(
            t(key, lang) if has(key) else name, justify="right" if numbers else "left",
            overflow="fold", no_wrap=name in ("version", "item", "created", "deleted"),
        )  # fmt: skip
    return drawn
