"""What is missing among the answers: such rows are left out of figures, and that has to be said."""

from collections import Counter
from collections.abc import Sequence

from easytune.engine.evaluating.records import wanted
from easytune.engine.evaluating.session import Session
from easytune.evaluation_files import RowAnswer

# What a chat says of these is no advice here.
_OWN_WORDS = ("host_out_of_memory", "prompt_empty", "prompt_too_long")


def tell(session: Session) -> None:
    """Note how many rows each candidate could not answer, and references that it could not read."""
    for number, candidate in enumerate(session.order.candidates):
        own = [one for one in session.answers if one.candidate == number]
        _unanswered(session, candidate.title, own)
        if wanted(session.order.config).likelihood:
            _unread(session, candidate.title, own)


def _unanswered(session: Session, model: str, own: Sequence[RowAnswer]) -> None:
    for code, rows in Counter(one.code for one in own if one.code).items():
        example = next(one.values for one in own if one.code == code)
        problem = f"@evaluation.unanswered.{code}" if code in _OWN_WORDS else f"@error.{code}"
        facts = {"model": model, "rows": rows, "of": len(own), "problem": problem}
        session.result.find("unanswered", **example | facts)


def _unread(session: Session, model: str, own: Sequence[RowAnswer]) -> None:
    known = [one for one in own if (session.rows[one.row].reference or "").strip()]
    rows, found = sum(one.nll is None for one in known), session.result
    # That nothing could be read with a model at all has been said.
    said = any(f.code == "no_likelihood" and f.values["model"] == model for f in found.findings)
    if rows and not said:
        found.find("references_unread", model=model, rows=rows, of=len(known))
