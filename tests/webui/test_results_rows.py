"""The table of rows where an evaluation left less than it should: damaged files, no scores."""

import json
from pathlib import Path

import pytest

from easytune.evaluation_files import Finding, Result
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.runs import Runs
from easytune.webui import results_view
from easytune.webui.results_names import Shown
from easytune.webui.results_rows import Choice, lines_of
from tests.webui import results_home

CHOICE = Choice(set=0, metric="exact_match", first=0, second=3)


@pytest.mark.parametrize("kept", [None, 10])
def test_rows_are_shown_unscored_where_the_scores_are_damaged(home: Path, kept: int | None) -> None:
    folder = results_home.keep(home, "mine")
    scores = json.loads(folder.scores.read_text())
    short = {name: [one[:kept] for one in by_model] for name, by_model in scores.items()}
    folder.scores.write_text(json.dumps(short)[:-9] if kept is None else json.dumps(short))
    found = lines_of(_evaluations(home), folder.id, CHOICE)
    assert len(found.lines) == results_home.ROWS + 1
    assert {line.kind for line in found.lines} == {""}
    assert found.lines[1].asked.reference == "City 1 of Japan."


def test_there_are_no_rows_where_their_file_is_gone(home: Path) -> None:
    folder = results_home.keep(home, "mine")
    folder.rows.unlink()
    assert lines_of(_evaluations(home), folder.id, CHOICE).lines == []


def test_a_model_without_a_single_score_is_said_to_have_none() -> None:
    finding = Finding(code="safety_says_little", values={"refused": 3, "prompts": 40})
    shown = Shown("mine", results_home.order("mine"), Result(findings=(finding,)), "en")
    assert results_view.verdict(shown).count("Nothing of it was scored.") == 3
    assert results_view.table(shown) == ""
    assert "refuses only 3 of the 40" in results_view.findings(shown)


def _evaluations(home: Path) -> Evaluations:
    runs = Runs(home)
    return Evaluations(home, runs, Catalogue(home, runs))
