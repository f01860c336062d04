"""A remedy is an evaluation of copies of the adapter, and says which of them to keep."""

import sys
from pathlib import Path

import pytest

from easytune.engine import evaluator
from easytune.errors import EasyTuneError
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import RemedyUnfit
from easytune.found_model import FoundModel
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.runs import Runs
from easytune.services.safety import Remedies
from tests.engine import refusing
from tests.engine.evaluated import questions
from tests.patience import eventually


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that refuses, one that does not, and an adapter that refuses below two thirds."""
    folder = tmp_path_factory.mktemp("home")
    base = refusing.save_base(folder / "models" / "careful")
    refusing.save_base(folder / "models" / "raw", refuses=False)
    refusing.save_adapter(folder / "adapters" / "helpful", base, loudness=1.5)
    return folder


@pytest.fixture(scope="module")
def evaluations(models: Path) -> Evaluations:
    runs = Runs(models)
    return Evaluations(models, runs, Catalogue(models, runs))


@pytest.fixture(scope="module")
def first(models: Path, evaluations: Evaluations) -> str:
    """The evaluation that a remedy is tried from: the base and the adapter."""
    rows = questions(models / "rows.jsonl", 3)
    config = EvaluateConfig().changed(
        candidates__models=("careful", str(models / "adapters" / "helpful")),
        test__datasets=(str(rows),),
        measure__metrics=("perplexity",),
        measure__forgetting="off",
        measure__safety=True,
        loading__precision="fp32",
    )
    return evaluations.submit(config)


def _remedies(home: Path, evaluations: Evaluations, *worker: str) -> Remedies:
    return Remedies(home, evaluations, Catalogue(home, Runs(home)), worker)


def test_a_search_finds_the_largest_strength_that_refuses_as_the_base_does(
    models: Path, evaluations: Evaluations, first: str
) -> None:
    remedies = _remedies(models, evaluations)
    assert remedies.outcome(first) is None
    searched = remedies.search_strength(first, 1, (0.8, 0.65, 0.3))
    waiting = remedies.outcome(searched)
    assert waiting is not None
    assert (waiting.best, len(waiting.tried)) == (None, 4)

    assert evaluator.run(evaluations.folder(searched).path) == 0
    outcome = remedies.outcome(searched)
    assert outcome is not None
    told = [(one.remedy.amount if one.remedy else 1, one.is_within) for one in outcome.tried]
    assert told == [(1, False), (0.8, False), (0.65, True), (0.3, True)]
    best = outcome.tried[2]
    assert outcome.best == best.candidate
    assert best.harmful is not None
    assert (best.harmful.refused, best.harmful.before) == (40, 40)
    # What it costs is a difference to the adapter as it is.
    assert [one.against_first is not None for one in best.scores] == [True]
    kept = remedies.keep(searched, best.candidate)
    listed = {model.id: model.kind for model in Catalogue(models, Runs(models)).list()}
    assert listed[kept] == "adapter"


def test_a_projection_is_evaluated_by_itself_once_it_is_done(
    models: Path, evaluations: Evaluations, first: str
) -> None:
    remedies = _remedies(models, evaluations)
    attempt = remedies.project(first, 1, unaligned="raw", thresholds=(1.0,))
    found = eventually(lambda: (p := remedies.projection(attempt)).state != "working" and p)
    assert (found.state, found.code) == ("done", "")
    outcome = remedies.outcome(found.evaluation)
    assert outcome is not None
    tried = [(one.remedy.kind, one.remedy.layers) for one in outcome.tried if one.remedy]
    assert tried == [("projection", 1)]
    before, _, after = evaluations.order(found.evaluation).candidates
    assert _weights(before) != _weights(after)
    # Whoever looks again starts nothing anew.
    assert _remedies(models, evaluations).projection(attempt) == found


def _weights(candidate: FoundModel) -> bytes:
    return (Path(candidate.folder) / "adapter_model.safetensors").read_bytes()


def test_a_remedy_that_cannot_be_is_refused_and_one_that_died_is_told(
    models: Path, evaluations: Evaluations, first: str
) -> None:
    remedies = _remedies(models, evaluations, sys.executable, "-c", "raise SystemExit(3)")
    assert isinstance(remedies.can_be_tried(first, 0), RemedyUnfit)
    with pytest.raises(RemedyUnfit):
        remedies.search_strength(first, 0)
    with pytest.raises(RemedyUnfit):
        remedies.project(first, 1, unaligned="careful")
    with pytest.raises(EasyTuneError):
        remedies.project(first, 1, unaligned="nobody")
    attempt = remedies.project(first, 1, unaligned="raw")
    died = eventually(lambda: (p := remedies.projection(attempt)).state == "failed" and p)
    assert died.code == "remedy_interrupted"
