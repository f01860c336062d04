"""What the page says about an evaluation that goes on: pure functions from its story to markup.

Every text that comes from an evaluation, a file or a person is escaped here.
"""

from collections.abc import Sequence
from html import escape

from easytune import quantities
from easytune.i18n import has, t
from easytune.services.evaluation_story import ASKING_MORE, EvaluationStory
from easytune.services.evaluations import EvaluationSummary
from easytune.webui import job_view
from easytune.webui.run_view import ACTIVE

MOST_LISTED = 4
_ASKING = "answering"
_NAMED = 3


class EvaluationView:
    """How an evaluation is shown while it goes on."""

    name = "evaluate"
    more: tuple[str, ...] = ()
    clicks = ""

    def status(self, story: EvaluationStory, lang: str) -> str:
        """Return the state, how far it is, and how long the rest takes."""
        return status(story, lang)

    def further(self, story: EvaluationStory, lang: str) -> dict[str, str]:
        """Return nothing: the results have a view of their own."""
        return {}


def status(story: EvaluationStory, lang: str) -> str:
    """Return the state, how far it is, and how long the rest takes."""
    share = min(1.0, story.done / story.total) if story.total else 0.0
    left = story.seconds_left if story.done < story.total else None
    progress = job_view.bar(share, story, is_known=bool(story.total))
    times = job_view.times("evaluate", story, left, lang)
    progress += job_view.under("evaluate", _so_far(story, lang), times)
    return job_view.status("evaluate", story, doing(story, lang), progress, lang)


def doing(story: EvaluationStory, lang: str) -> str:
    """Return what it does now, or what it waits for."""
    if (waiting := job_view.waiting("evaluate", story, lang)) is not None:
        return waiting
    return _phase(story, lang) if story.state in ("starting", "running") and story.phase else ""


def asked(counts: Sequence[int | str | None], models: int, lang: str) -> str:
    """Return how many answers there will be: per test set its rows, None where nobody has counted
    them yet, or why it cannot be asked.
    """
    rows = sum(count for count in counts if isinstance(count, int))
    said = [count for count in counts if isinstance(count, str)]
    values = {"rows": f"{rows:,}", "models": models, "answers": f"{rows * models:,}"}
    if None in counts:
        said.insert(0, t("evaluate.asked_more", lang, **values))
    elif rows:
        said.insert(0, t("evaluate.asked", lang, **values))
    return "".join(f'<p class="et-fact">{escape(one)}</p>' for one in said)


def links(evaluations: Sequence[EvaluationSummary], lang: str) -> str:
    """Return the newest of some evaluations, each a button that opens it."""
    if not evaluations:
        return ""
    newest = sorted(evaluations, key=lambda one: one.created, reverse=True)
    buttons = " ".join(
        job_view.link("data-et-evaluation", one, lang) for one in newest[:MOST_LISTED]
    )
    told = t("evaluate.earlier", lang, count=len(newest))
    return f'<p class="et-fact evaluate-earlier">{escape(told)} {buttons}</p>'


def _phase(story: EvaluationStory, lang: str) -> str:
    """Return the phase; while models are asked, which of them."""
    if story.phase == _ASKING and story.asked:
        known, asked = len(story.order.candidates), [one.title for one in story.asked]
        more = f" +{len(asked) - _NAMED}" if len(asked) > _NAMED else ""
        key = "asking" if len(asked) == known else "asking_some"
        names = ", ".join(asked[:_NAMED]) + more
        return t(f"evaluate.{key}", lang, models=names, count=len(asked), of=known)
    key = f"evaluate.phase.{story.phase}"
    return t(key, lang) if has(key) else t(f"monitor.phase.{story.phase}", lang)


def _so_far(story: EvaluationStory, lang: str) -> str:
    if not story.total:
        return ""
    done, total = f"{story.done:,}", f"{story.total:,}"
    of = "done_of" if story.phase in ASKING_MORE else "answers_of"
    parts = [t(f"evaluate.{of}", lang, done=done, total=total)]
    if story.rows_per_second and story.state in ACTIVE and story.done < story.total:
        pace = quantities.pace(story.rows_per_second)
        parts.append(t("evaluate.pace", lang, rows=pace))
    if story.batch_size and story.state in ACTIVE:
        parts.append(t("evaluate.batch", lang, size=story.batch_size))
    return " · ".join(parts)
