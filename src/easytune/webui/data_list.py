"""The datasets of this home and the bundled demos, to choose from."""

from collections.abc import Sequence
from html import escape
from typing import Any

from easytune import demo, quantities
from easytune.data.versions.manifest import DatasetFacts
from easytune.i18n import t
from easytune.webui import data_looked


def draw(datasets: Sequence[DatasetFacts], shown: str, lang: str) -> str:
    """Return the list as HTML; `shown` is the name of what is looked at: "house-style@3"."""
    reference = data_looked.parse(shown)
    own = "".join(_own(one, reference is not None and reference.id == one.id, lang)
                  for one in datasets)  # fmt: skip
    if not own:
        own = f'<p class="data-hint">{escape(t("datasets.list.empty", lang))}</p>'
    demos = "".join(_demo(name, shown, lang) for name in demo.DATASETS)
    return (
        f'<div class="data-list"><h3>{escape(t("datasets.list.own", lang))}</h3>{own}'
        f"<h3>{escape(t('datasets.list.demos', lang))}</h3>{demos}</div>"
    )


def demo_title(name: str, lang: str) -> str:
    """Return what people call a demo: "demo/style" or "style"."""
    return t(f"form.choice.demo.{name.removeprefix(data_looked.DEMO)}", lang)


def choices(datasets: Sequence[DatasetFacts]) -> list[tuple[str, str]]:
    """Return the datasets as choices of a dropdown."""
    return [(one.title, one.id) for one in datasets]


def _own(one: DatasetFacts, is_shown: bool, lang: str) -> str:
    facts = [t("datasets.list.rows", lang, rows=f"{one.current.rows:,}")]
    facts.append(t("datasets.list.version", lang, number=one.current.number))
    problems = one.current.problems
    mark = ""
    if problems:
        said = escape(t("datasets.list.problems", lang, rows=f"{problems:,}"))
        mark = f'<span class="data-mark">{said}</span>'
    name = f"{one.id}@{one.current.number}"
    return _entry(name, one.title, facts, mark, is_shown, quantities.minute(one.current.created))


def _demo(name: str, shown: str, lang: str) -> str:
    whole = data_looked.DEMO + name
    rows = data_looked.look_at_demo(name).rows
    facts = [t("datasets.list.rows", lang, rows=f"{rows:,}"), t("datasets.list.read_only", lang)]
    return _entry(whole, demo_title(name, lang), facts, "", whole == shown)


def _entry(
    name: str, title: str, facts: list[str], mark: str, is_shown: bool, hint: str = ""
) -> str:
    attributes: dict[str, Any] = {"data-act": "open", "data-name": name, "title": hint}
    said = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items() if value)
    current = ' aria-current="true"' if is_shown else ""
    return (
        f'<button type="button" class="data-entry"{said}{current}><b>{escape(title)}</b>'
        f"<small>{escape(' · '.join(facts))}</small>{mark}</button>"
    )
