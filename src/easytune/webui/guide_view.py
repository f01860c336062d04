"""The guide and the suggestions as HTML. Everything that comes from files or people is escaped."""

from html import escape
from typing import Any

from easytune import i18n, presets
from easytune.config import TrainConfig, options
from easytune.i18n import t
from easytune.intents import EXPERT, IntentProblem, Intents
from easytune.options import applies
from easytune.services.advice import Advised
from easytune.webui import estimate_view
from easytune.webui.language import option_name, option_value
from easytune.webui.spoken import sentence
from easytune.webui.suggestions import Suggested, value
from easytune.wishes import Proposal

INTENT = "goal.intent"
# What the guide asks for itself, and names, are no differences worth a line.
_ASKED = (INTENT, "model.base_model", "data.datasets", "output.name", "output.folder")


def cards(known: Intents, chosen: str, proposed: str | None, lang: str) -> str:
    """Return the intents as cards, "expert" last, and what is wrong in files of intents."""
    shown = [
        _card(intent.id, intent.title_in(lang), intent.summary_in(lang), chosen, proposed, lang)
        for intent in known.found.values()
    ]
    expert = _card(EXPERT, t("guide.expert", lang), t("guide.expert_summary", lang), chosen,
                   proposed, lang)  # fmt: skip
    name = escape(t("guide.step.want", lang), quote=True)
    group = f'<div class="guide-cards" role="group" aria-label="{name}">'
    return f"{group}{''.join([*shown, expert])}</div>{problems(known.problems, lang)}"


def problems(found: list[IntentProblem], lang: str) -> str:
    """Return what is wrong in files of intents, each with its line; empty when nothing is."""
    if not found:
        return ""
    items = "".join(f"<li>{escape(_problem(one, lang))}</li>" for one in found)
    title = escape(t("guide.problems", lang))
    return f'<div class="guide-problems" role="alert"><b>{title}</b><ul>{items}</ul></div>'


def proposal(found: Proposal | None, known: Intents, wish: str, lang: str) -> str:
    """Return what a wish seems to ask for, said to be a proposal, with a button to take it."""
    if not wish.strip():
        return _line(t("guide.wish_empty", lang), "guide-said")
    title = _title(known, found.intent, lang) if found else None
    if found is None or title is None:
        return _line(t("guide.wish_unclear", lang), "guide-said")
    words = ", ".join(found.words)
    said = t("guide.wish_proposal", lang, intent=title, words=words)
    take = escape(t("guide.wish_take", lang, intent=title))
    return (
        f'<p class="guide-said" role="status">{escape(said)} '
        f'<button type="button" class="et-mini" data-intent="{escape(found.intent, quote=True)}">'
        f"{take}</button></p>"
    )


def data_facts(advised: Advised, lang: str) -> str:
    """Return what is known of the chosen data in one line."""
    data = advised.data
    if data is not None:
        told = {
            "rows": f"{data.own_rows:,}",
            "general": f"{data.replayed_rows:,}",
            "held_out": f"{data.held_out:,}",
            "tokens": f"{data.own_tokens:,}",
        }
        key = "guide.data_facts_general" if data.replayed_rows else "guide.data_facts"
        return _line(t(key, lang, **told))
    if advised.is_measuring:
        return _line(t("guide.counting", lang))
    if advised.problem is not None:
        return _line(sentence(advised.problem, lang), "et-bad")
    return _line(t("guide.data_unknown", lang))


def summary(suggested: Suggested, lang: str) -> str:
    """Return the choices so far, and what the run will take."""
    config = suggested.config
    intent = _title(suggested.intents, config.goal.intent, lang) or config.goal.intent
    rows = [
        (t("guide.step.data", lang), ", ".join(_known(n, lang) for n in config.data.datasets)),
        (t("guide.step.want", lang), intent),
        (t("guide.step.model", lang), _known(config.model.base_model, lang)),
    ]
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    counts = _line(_counts(suggested, lang)) if suggested.suggestion else ""
    line = estimate_view.line(suggested.advised, lang)
    return f'<dl class="guide-summary">{told}</dl>{counts}{line}'


def strip(suggested: Suggested, lang: str) -> str:
    """Return what the intent has set: how much, what could not be known, and all differences."""
    said = [*_said(suggested, lang)]
    back = ""
    if suggested.changed:
        text = escape(t("guide.back_all", lang))
        back = f' <button type="button" class="et-mini" data-back="*">{text}</button>'
    lines = "".join(_line(text) for text in said[1:])
    first = f'<p class="et-fact">{escape(said[0])}{back}</p>' if said else ""
    wrong = problems(suggested.intents.problems, lang)
    return f"{first}{lines}{wrong}{_differences(suggested, lang)}"


def marks(suggested: Suggested, lang: str) -> dict[str, Any]:
    """Return what `assets/guide.js` writes under each control that has a suggestion."""
    made = suggested.suggestion
    if made is None:
        return {}
    content = suggested.config.model_dump()
    declared = {option.path: option for option in options()}
    return {
        path: _mark(path, path in suggested.changed, suggested, lang)
        for path in made.reasons
        if path in declared and applies(declared[path], content)
    }


def _known(name: str, lang: str) -> str:
    """Return a model or dataset as its picker names it, as far as that is bundled."""
    bundled = "demo_model" if name == "demo" else name.replace("/", ".")
    return i18n.texts(lang).get(f"form.choice.{bundled}", name)


def _mark(path: str, is_changed: bool, suggested: Suggested, lang: str) -> dict[str, Any]:
    assert suggested.suggestion is not None
    why = presets.sentence(suggested.suggestion.reasons[path], lang)
    if not is_changed:
        return {"why": why}
    wanted = option_value(path, value(suggested.suggestion.config, path), lang)
    return {
        "why": t("guide.changed", lang, value=wanted, why=why),
        "mark": t("guide.mark", lang),
        "back": t("guide.back", lang, value=wanted),
    }


def _card(name: str, title: str, text: str, chosen: str, proposed: str | None, lang: str) -> str:
    note = ""
    if name == proposed:
        note = f'<em class="guide-proposed">{escape(t("guide.proposed", lang))}</em>'
    pressed = str(name == chosen).lower()
    return (
        f'<button type="button" class="guide-card" data-intent="{escape(name, quote=True)}"'
        f' aria-pressed="{pressed}"><b>{escape(title)}</b>{note}'
        f"<span>{escape(text)}</span></button>"
    )


def _title(known: Intents, name: str, lang: str) -> str | None:
    if name == EXPERT:
        return t("guide.expert", lang)
    intent = known.found.get(name)
    return intent.title_in(lang) if intent else None


def _problem(one: IntentProblem, lang: str) -> str:
    told = {"file": one.path.name, "line": one.line, "reason": one.message}
    return t("guide.problem_at" if one.line else "guide.problem", lang, **told)


def _said(suggested: Suggested, lang: str) -> list[str]:
    """Return the sentences above the differences, the most telling first."""
    if suggested.is_unknown:
        return [t("guide.intent_unknown", lang, intent=suggested.config.goal.intent)]
    if suggested.suggestion is None:
        return []
    advised, said = suggested.advised, [_counts(suggested, lang)]
    if advised.is_measuring:
        said.append(t("guide.follows", lang))
    elif advised.problem is not None:
        said.append(sentence(advised.problem, lang))
    if advised.model is None and not advised.is_measuring:
        said.append(t("guide.model_unknown", lang))
    if metrics := suggested.suggestion.intent.metrics:
        names = ", ".join(_metric(name, lang) for name in metrics)
        said.append(t("guide.metrics", lang, metrics=names))
    return said


def _metric(name: str, lang: str) -> str:
    return i18n.texts(lang).get(f"report_comparison.figure.{name}", name)


def _counts(suggested: Suggested, lang: str) -> str:
    made = suggested.suggestion
    assert made is not None
    told = {
        "intent": made.intent.title_in(lang),
        "count": len(made.reasons),
        "changed": len(suggested.changed),
    }
    return t("guide.set_changed" if suggested.changed else "guide.set", lang, **told)


def _differences(suggested: Suggested, lang: str) -> str:
    """Return every option that is not at its default, in a fold."""
    config, default = suggested.config, TrainConfig()
    content = config.model_dump()
    paths = [
        option.path
        for option in options()
        if option.path not in _ASKED
        and applies(option, content)
        and value(config, option.path) != value(default, option.path)
    ]
    if not paths:
        return ""
    items = "".join(_difference(path, suggested, default, lang) for path in paths)
    title = escape(t("guide.differences", lang, count=len(paths)))
    return f'<details class="guide-diff"><summary>{title}</summary><ul>{items}</ul></details>'


def _difference(path: str, suggested: Suggested, default: TrainConfig, lang: str) -> str:
    before = option_value(path, value(default, path), lang)
    after = option_value(path, value(suggested.config, path), lang)
    made = suggested.suggestion
    is_own = made is None or path not in made.reasons or path in suggested.changed
    source = t("guide.own" if is_own else "guide.suggested", lang)
    kind = "own" if is_own else "suggested"
    return (
        f'<li data-path="{path}"><b>{escape(option_name(path, lang))}</b> <s>{escape(before)}</s>'
        f' → {escape(after)} <small class="guide-{kind}">{escape(source)}</small></li>'
    )


def _line(text: str, more: str = "") -> str:
    return f'<p class="et-fact {more}" role="status">{escape(text)}</p>'
