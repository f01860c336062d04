"""What a check has found, in words: for the page, the command line and programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from easytune import quantities
from easytune.i18n import t
from easytune.inspection_files import SEVERITIES, UNSEEN, Finding, Health, Inspection, Severity
from easytune.services.inspection_story import InspectionStory

_WARNS = ("high", "medium")


@dataclass(frozen=True)
class Group:
    """Findings of one severity."""

    severity: Severity
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """A check as people read it."""

    verdict: str
    """The verdict in a sentence."""
    groups: tuple[Group, ...]
    facts: tuple[str, ...]
    """What it was checked on, how much there is, what it says of itself."""
    health: tuple[str, ...]
    behaviour: str
    unseen: tuple[str, ...]
    state: str
    """What goes on or was decided; empty when it is for somebody to decide."""


def sheet(story: InspectionStory, lang: str, doing: str = "") -> Sheet:
    """Return a check in words; `doing` is what its job does now."""
    found = story.inspection
    return Sheet(
        verdict=_verdict(story, lang),
        groups=tuple(_groups(found, lang)),
        facts=tuple(_facts(found, lang)),
        health=tuple(_health(found.health, lang)) if found.health else (),
        behaviour=_behaviour(found, lang),
        unseen=tuple(t(f"inspection.unseen.{code}", lang) for code in UNSEEN),
        state=_state(story, lang, doing),
    )


def sentence(finding: Finding, lang: str) -> str:
    """Return one finding in words."""
    values = {"file": finding.file, **finding.values}
    if finding.code == "load_failed":
        problem = f"error.{finding.values.get('code', '')}"
        values["problem"] = t(problem, lang, **finding.values)
    return t(f"inspection.finding.{finding.code}", lang, **values)


def _verdict(story: InspectionStory, lang: str) -> str:
    found, verdict = story.inspection, story.verdict
    kinds = ("critical",) if verdict == "refused" else _WARNS
    count = sum(one.severity in kinds for one in found.all_findings)
    return t(f"inspection.verdict_text.{verdict}", lang, name=story.name, count=count)


def _groups(found: Inspection, lang: str) -> Iterator[Group]:
    for severity in SEVERITIES:
        own = [one for one in found.all_findings if one.severity == severity]
        if own:
            title = t(f"inspection.severity.{severity}", lang)
            yield Group(severity, title, tuple(sentence(one, lang) for one in own))


def _facts(found: Inspection, lang: str) -> Iterator[str]:
    if found.base:
        print_ = found.base.fingerprint
        yield t("inspection.pinned", lang, title=found.base.title, fingerprint=print_)
    files = found.static.files
    size = quantities.size(sum(one.bytes for one in files))
    yield t("inspection.files_kept", lang, count=len(files), size=size)
    for one in found.conversions:
        if one.ok:
            locks = ", ".join(t(f"inspection.lock.{lock}", lang) for lock in one.isolation)
            yield t("inspection.conversion", lang, file=one.file, locks=locks)
    if found.static.declared:
        said = "; ".join(f"{n}: {_plain(value)}" for n, value in found.static.declared.items())
        yield f"{t('inspection.declared', lang)}: {said}"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _health(card: Health, lang: str) -> Iterator[str]:
    if card.modules:
        values = {
            "relative": percent(card.relative),
            "modules": len(card.modules),
            "rank": f"{card.effective_rank:.1f}",
        }
        yield t("inspection.health_text", lang, **values)
    if card.whole:
        yield t("inspection.health_whole", lang, modules=", ".join(card.whole))
    for peer in card.peers:
        values = {"title": peer.title, "relative": percent(peer.relative)}
        yield t("inspection.health_peer", lang, rank=f"{peer.effective_rank:.1f}", **values)


def percent(share: float | None) -> str:
    """Return a share of the base's weights for people; a dash where it is not known."""
    return f"{share:.2%}" if share is not None else "–"


def _behaviour(found: Inspection, lang: str) -> str:
    said = found.behaviour
    if said is None or not said.pairs:
        return ""
    kl = f"{said.kl:.3f}" if said.kl is not None else "–"
    values: dict[str, Any] = {"same": said.same_answers, "prompts": len(said.pairs), "kl": kl}
    return t("inspection.behaviour_text", lang, **values)


def _state(story: InspectionStory, lang: str, doing: str) -> str:
    if not story.has_ended:
        return t("inspection.state.going", lang, doing=doing)
    if story.decision:
        return t(f"inspection.state.{story.decision}", lang, id=story.imported)
    if story.failure is not None:
        return t(f"error.{story.failure.code}", lang, **story.failure.values)
    if not story.is_whole:
        return t("inspection.state.short", lang)
    return ""
