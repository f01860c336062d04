"""Evaluations as the app knows them: real processes in the queue of the runs, no model."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from easytune import demo
from easytune.dataset_errors import VersionUnknown
from easytune.errors import FileMissing, ModelMissing, RunMissing
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import (
    CandidateChanged,
    EvaluationActive,
    EvaluationInvalid,
    EvaluationMissing,
    HeldOutMissing,
    NothingToAsk,
)
from easytune.inference_errors import ModelUnknown
from easytune.services import folders
from easytune.services.catalogue import Catalogue
from easytune.services.datasets import Datasets
from easytune.services.dispatch import Dispatcher
from easytune.services.evaluation_story import EvaluationStory
from easytune.services.evaluations import Evaluations
from easytune.services.room import Room
from easytune.services.runs import Runs
from tests.patience import eventually
from tests.services.lab import Lab
from tests.services.made_datasets import make_dataset

STAND_IN = Path(__file__).parent / "stand_in_evaluator.py"


@dataclass
class Bench:
    """A home in which the demo model and a copy of it can be evaluated."""

    home: Path
    evaluations: Evaluations
    config: EvaluateConfig
    tests: Path

    def dispatcher(self, pause_s: float = 0.0, die_at: int = 0) -> Dispatcher:
        words = [sys.executable, str(STAND_IN), str(pause_s), str(die_at)]
        return Dispatcher(self.home, words)

    def started(self, pause_s: float = 0.0, die_at: int = 0) -> str:
        evaluation = self.evaluations.submit(self.config)
        assert self.dispatcher(pause_s, die_at).tick() == evaluation
        return evaluation

    def wait(self, evaluation: str, is_so: Callable[[EvaluationStory], object]) -> EvaluationStory:
        def look() -> EvaluationStory | None:
            story = self.evaluations.story(evaluation)
            return story if is_so(story) else None

        return eventually(look, lambda: str(self.evaluations.story(evaluation)))

    def ended(self, evaluation: str) -> EvaluationStory:
        return self.wait(evaluation, lambda story: story.has_ended)

    def later(self) -> Evaluations:
        """Return the service of another process, or of the app after it was started again."""
        runs = Runs(self.home)
        return Evaluations(self.home, runs, Catalogue(self.home, runs))


@pytest.fixture
def bench(home: Path, tmp_path: Path) -> Bench:
    shutil.copytree(demo.MODEL, home / "models" / "copy")
    tests = tmp_path / "tests.jsonl"
    rows = [{"prompt": f"q {n}", "completion": f"a {n}"} for n in range(6)]
    tests.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = EvaluateConfig().changed(
        candidates__models=("demo", "copy"), test__datasets=(str(tests),),
        measure__metrics=("exact_match",),
    )  # fmt: skip
    runs = Runs(home)
    return Bench(home, Evaluations(home, runs, Catalogue(home, runs)), config, tests)


def test_an_evaluation_runs_to_its_end_and_anybody_can_read_it_later(bench: Bench) -> None:
    evaluation = bench.started(0.05)
    seen = bench.wait(evaluation, lambda story: story.state == "running" and story.done > 2)
    assert (seen.total, seen.phase, seen.result) == (12, "answering", None)
    assert seen.seconds_left is not None
    assert seen.seconds_left > 0
    assert Room(bench.home).is_training()
    story = bench.ended(evaluation)
    assert (story.state, story.done, story.name) == ("finished", 12, "demo, copy · tests.jsonl")
    assert story.result is not None
    assert [figure.figure.value for figure in story.result.scores] == [50.0, 60.0]
    later = bench.later()
    assert later.story(evaluation) == story
    assert later.latest() == evaluation
    assert [row.reference for row in later.rows(evaluation)] == [f"a {n}" for n in range(6)]
    assert [answer.text for answer in later.answers(evaluation)][-1] == "1 says 5"
    assert later.scores(evaluation) == {"exact_match": [[0.0] * 6, [1.0] * 6]}


def test_stopping_keeps_what_there_is_and_resuming_repeats_nothing(bench: Bench) -> None:
    evaluation = bench.started(0.05)
    bench.wait(evaluation, lambda story: story.done > 1)
    with pytest.raises(EvaluationActive):
        bench.evaluations.resume(evaluation)
    with pytest.raises(EvaluationActive):
        bench.evaluations.delete(evaluation)
    bench.evaluations.stop(evaluation)
    story = bench.ended(evaluation)
    assert story.state == "stopped"
    assert 1 < story.done < 12
    assert story.result is not None
    kept = bench.evaluations.answers(evaluation)
    again = bench.evaluations.resume(evaluation)
    eventually(bench.evaluations.folder(evaluation).exit.exists)
    assert bench.dispatcher().tick() == again
    assert bench.ended(again).done == 12
    answers = bench.evaluations.folder(again).answers.read_text().splitlines()
    assert [json.loads(line)["text"] for line in answers[: len(kept)]] == [a.text for a in kept]
    assert len(answers) == 12


def test_a_job_killed_twice_still_hands_its_answers_on(bench: Bench) -> None:
    evaluation = bench.started(0.0, die_at=5)
    story = bench.ended(evaluation)
    assert story.state == "crashed"
    assert story.failure is not None
    assert story.failure.code == "evaluation_interrupted"
    assert len(bench.later().answers(evaluation)) == 5
    with bench.evaluations.folder(evaluation).answers.open("a") as file:
        file.write('{"candidate": 1, "ro')
    assert len(bench.evaluations.answers(evaluation)) == 5
    # The next one is taken out of the queue before it could take anything over.
    second = bench.evaluations.resume(evaluation)
    bench.evaluations.stop(second)
    assert bench.evaluations.story(second).state == "stopped"
    third = bench.evaluations.resume(second)
    assert bench.evaluations.order(third).continues == evaluation


def test_a_runner_killed_with_its_machine_leaves_a_story_that_can_be_resumed(bench: Bench) -> None:
    evaluation = bench.started(0.2)
    bench.wait(evaluation, lambda story: story.done > 0)
    before = bench.evaluations.version(evaluation)
    process = json.loads(bench.evaluations.folder(evaluation).process.read_text())
    os.kill(process["runner"]["pid"], signal.SIGKILL)
    story = bench.ended(evaluation)
    assert (story.state, story.failure and story.failure.code) == ("lost", "evaluation_interrupted")
    assert bench.evaluations.version(evaluation) != before
    assert bench.evaluations.resume(evaluation) != evaluation


def test_evaluations_and_runs_take_turns_in_one_queue(bench: Bench, lab: Lab) -> None:
    run = lab.runs.submit(lab.config)
    evaluation = bench.evaluations.submit(bench.config)
    assert bench.evaluations.story(evaluation).queue_position == 2
    queue = [folder.id for folder in folders.waiting(bench.home)]
    assert queue == [run, evaluation]
    assert lab.dispatcher("sleeper").tick() == run
    assert bench.evaluations.story(evaluation).queue_position == 1
    assert bench.dispatcher().tick() is None
    lab.runs.stop(run, now=True)
    lab.wait(run, "stopped")
    assert eventually(bench.dispatcher().tick) == evaluation
    assert bench.ended(evaluation).state == "finished"
    assert [summary.id for summary in lab.runs.list()] == [run]


def test_what_cannot_be_evaluated_is_said_before_it_is_queued(bench: Bench, lab: Lab) -> None:
    empty = bench.tests.with_name("empty.jsonl")
    empty.write_text('{"prompt": ""}\n')
    run = lab.runs.submit(lab.config.changed(data__held_out_share=0))
    cases: list[tuple[dict[str, object], type[Exception]]] = [
        ({"candidates__models": ("nobody",)}, ModelUnknown),
        ({"candidates__models": ("owner/model",)}, ModelMissing),
        ({"test__datasets": ("gone.jsonl",)}, FileMissing),
        ({"test__datasets": (str(empty),)}, NothingToAsk),
        ({"test__datasets": ("held-out:nobody",)}, RunMissing),
        ({"test__datasets": (f"held-out:{run}",)}, HeldOutMissing),
        ({"measure__metrics": ("loudness",)}, EvaluationInvalid),
        ({"measure__pattern": "("}, EvaluationInvalid),
        ({"judge__by": "endpoint", "judge__model": "m", "judge__url": "here"}, EvaluationInvalid),
        ({"test__datasets": (), "measure__forgetting": "off"}, EvaluationInvalid),
    ]
    for changes, problem in cases:
        with pytest.raises(problem):
            bench.evaluations.submit(bench.config.changed(**changes))
    assert bench.evaluations.list() == []
    for name in ("nobody", "../runs", ".hidden"):
        with pytest.raises(EvaluationMissing):
            bench.evaluations.story(name)


def test_an_order_names_versions_folders_and_weights_so_that_it_can_be_repeated(
    bench: Bench, datasets: Datasets
) -> None:
    name = f"dataset:{make_dataset(datasets, 'a', 'b')}"
    evaluation = bench.evaluations.submit(bench.config.changed(test__datasets=(name, name)))
    order = bench.evaluations.order(evaluation)
    assert order.config.test.datasets == (f"{name}@1",)
    first, second = order.candidates
    assert (first.id, second.id, second.kind) == ("demo", "copy", "base")
    assert second.folder == str((bench.home / "models" / "copy").resolve())
    assert first.fingerprint == second.fingerprint != ""
    with pytest.raises(VersionUnknown):
        bench.evaluations.submit(bench.config.changed(test__datasets=(f"{name}@7",)))


def test_a_model_that_has_changed_is_not_mixed_with_its_earlier_answers(bench: Bench) -> None:
    evaluation = bench.evaluations.submit(bench.config)
    bench.evaluations.stop(evaluation)
    weights = next((bench.home / "models" / "copy").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CandidateChanged):
        bench.later().resume(evaluation)


def test_evaluations_are_found_renamed_deleted_and_shown_where_they_belong(
    bench: Bench, lab: Lab
) -> None:
    run = lab.runs.submit(lab.config)
    kept = bench.evaluations.submit(bench.config.changed(test__datasets=(f"held-out:{run}",)))
    other = bench.evaluations.submit(bench.config.changed(candidates__models=("copy",)))
    bench.evaluations.rename(other, "  Friday   check ")
    listed = bench.later()
    assert [one.name for one in listed.list()] == ["Friday check", "demo, copy · held-out:rows"]
    assert [one.id for one in listed.list("FRIDAY copy")] == [other]
    assert [one.id for one in listed.list("exact_match held-out")] == [kept]
    assert [one.id for one in listed.of_run(run)] == [kept]
    assert [one.id for one in listed.of_model("demo")] == [kept]
    assert [one.id for one in listed.of_model("copy")] == [other, kept]
    listed.rename(other, "")
    assert listed.story(other).name == "copy · tests.jsonl"
    bench.evaluations.delete(other)
    assert [one.id for one in bench.evaluations.list()] == [kept]
    assert listed.latest() == kept


def test_evaluations_side_by_side_show_what_differs_and_whether_it_was_measured_alike(
    bench: Bench,
) -> None:
    first = bench.started()
    bench.ended(first)
    eventually(bench.evaluations.folder(first).exit.exists)
    bench.config = bench.config.changed(test__rows=4, candidates__models=("copy",))
    second = bench.started()
    bench.ended(second)
    table = bench.later().compare([first, second])
    assert [(one.evaluation, one.title) for one in table.columns] == [
        (first, "demo"), (first, "copy"), (second, "copy"),
    ]  # fmt: skip
    assert table.columns[1].fingerprint == table.columns[2].fingerprint
    score, forgot = table.rows
    assert (score.kind, score.metric) == ("metric", "exact_match")
    assert [figure and figure.value for figure in score.figures] == [50.0, 60.0, 50.0]
    assert score.apart
    # Four of the six rows were drawn the second time.
    assert not score.same_rows
    assert (forgot.set, forgot.figures[1], forgot.differs) == ("demo/probe", None, False)
    assert forgot.same_rows
    assert [(one.path, one.values) for one in table.options] == [("test.rows", (None, 4))]
