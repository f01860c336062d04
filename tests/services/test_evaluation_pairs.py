"""Any two models of an evaluation are compared, not only each with the first."""

import math
from pathlib import Path

import pytest

from easytune.evaluation_files import Difference
from easytune.services.catalogue import Catalogue
from easytune.services.evaluation_pairs import Pairs
from easytune.services.evaluations import Evaluations
from easytune.services.runs import Runs
from tests.webui import results_home


def test_two_models_neither_of_which_is_the_first_are_compared(home: Path) -> None:
    same = _difference(home, "exact_match", 1, 3)
    assert (same.value, same.changed, same.p, same.rows) == (0, 0, 1, results_home.ROWS)
    surer = _difference(home, "perplexity", 1, 3)
    assert surer.value == pytest.approx(math.exp(0.7) - math.exp(0.9))
    assert surer.p < 0.001


def test_a_pair_turned_round_is_the_same_difference_turned_round(home: Path) -> None:
    told, turned = (_difference(home, "exact_match", *pair) for pair in ((0, 3), (3, 0)))
    assert turned.value == -told.value == -70
    assert (turned.low, turned.high) == pytest.approx((-told.high, -told.low))


def test_what_was_not_scored_or_is_gone_has_no_difference(home: Path) -> None:
    folder = results_home.keep(home, "mine")
    pairs = _pairs(home)
    assert pairs.difference(folder.id, 0, "bleu", 0, 3) is None
    assert pairs.difference(folder.id, 1, "exact_match", 1, 3) is None
    folder.rows.unlink()
    assert _pairs(home).difference(folder.id, 0, "exact_match", 1, 3) is None


def _pairs(home: Path) -> Pairs:
    runs = Runs(home)
    return Pairs(Evaluations(home, runs, Catalogue(home, runs)))


def _difference(home: Path, metric: str, first: int, second: int) -> Difference:
    evaluation = results_home.keep(home, "mine").id
    found = _pairs(home).difference(evaluation, 0, metric, first, second)
    assert found is not None
    return found
