"""The registry in words: links of a chain, what depends on a version, what was changed."""

from easytune import quantities
from easytune.config import options
from easytune.i18n import has, t, texts
from easytune.services.registry_dependents import Dependent
from easytune.services.registry_entry import Change
from easytune.services.registry_trace import Link

_PRINT = 12


def fact(name: str, lang: str) -> str:
    """Return what a fact or a metric is called."""
    for key in (f"models.fact.{name}", f"metric.{name}", f"results.metric.{name}"):
        if has(key):
            return t(key, lang)
    return name


def option(path: str, lang: str) -> str:
    """Return the label of a training option at `section.name`."""
    known = texts(lang).get(f"option.{path}.label")
    return known or next((each.label for each in options() if each.path == path), path)


def link(one: Link, lang: str) -> str:
    """Return one link of the chain from a version back to its rows."""
    said = f"{t(f'models.link.{one.kind}', lang)}: {one.title}"
    if one.rows is not None:
        said += f" · {t('models.link.rows', lang, rows=f'{one.rows:,}')}"
    if one.fingerprint:
        said += f" · {one.fingerprint[:_PRINT]}"
    if one.was:
        said += f" · {t('models.link.was', lang, fingerprint=one.was[:_PRINT])}"
    return said if one.is_here else f"{said} · {t('models.link.gone', lang)}"


def needed_by(one: Dependent, lang: str) -> str:
    """Return what depends on a version."""
    said = t(f"models.needs.{one.kind}", lang, title=one.title, count=one.count)
    if one.is_active:
        return f"{said} · {t('models.needs.active', lang)}"
    return f"{said} · {t('models.needs.goes_too', lang)}" if one.goes_too else said


def change(one: Change, lang: str) -> str:
    """Return one line of the history: when, who, what."""
    values = {"before": _said(one.before, lang), "after": _said(one.after, lang)}
    what = t(f"models.change.{one.what}", lang, **values)
    who = f" · {one.who}" if one.who else ""
    return f"{quantities.minute(one.at)}{who} · {what}"


def _said(value: object, lang: str) -> str:
    match value:
        case None | "" | []:
            return t("monitor.none", lang)
        case list():
            return ", ".join(str(each) for each in value)
        case str() if has(f"models.stage.{value}"):
            return t(f"models.stage.{value}", lang)
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
