"""The evaluation that this one goes on from, where it measured the same models on the same rows."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel

from easytune import paths
from easytune.engine.evaluating.session import Session
from easytune.evaluation_files import EvaluationFolder, Order, lines

R = TypeVar("R", bound=BaseModel)


def taken_over(
    session: Session, kind: type[R], file: Callable[[EvaluationFolder], Path], section: str
) -> list[R]:
    """Return the records that an earlier evaluation left in a file; they become this one's own.

    Empty unless its rows, its models and this `section` of its config are those of this one.
    """
    if session.order.continues is None:
        return []
    before = EvaluationFolder(paths.evaluations(session.home) / session.order.continues)
    try:
        if not _is_same(session, before, section):
            return []
        found = [kind.model_validate(line) for line in lines(file(before))]
    except (OSError, ValueError, yaml.YAMLError):
        # Deleted meanwhile, or written by another version: done again.
        return []
    for record in found:
        append(file(session.folder), record)
    return found


def append(path: Path, record: BaseModel) -> None:
    """Add a record to a file of JSON lines. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A single write keeps lines whole for a reader in another process.
    with path.open("ab", buffering=0) as file:
        file.write(record.model_dump_json().encode() + b"\n")


def _is_same(session: Session, before: EvaluationFolder, section: str) -> bool:
    order, now = before.order(), session.order
    same = _models(order) == _models(now)
    same = same and getattr(order.config, section) == getattr(now.config, section)
    return same and before.rows.read_bytes() == session.folder.rows.read_bytes()


def _models(order: Order) -> list[tuple[str, str]]:
    return [(one.id, one.fingerprint) for one in order.candidates]
