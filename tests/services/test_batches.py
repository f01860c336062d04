import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from easytune.generation import SamplingSection
from easytune.inference_errors import BatchRuns, ComparisonMissing, PromptEmpty
from easytune.services.chat import Chat
from easytune.services.comparison_archive import ComparisonArchive
from easytune.services.comparisons import BatchProgress, Column, Comparison, Comparisons
from easytune.services.prompts import Prompt
from easytune.services.questions import Question
from easytune.services.runs import Runs
from easytune.services.store import Store
from easytune.wire import Turn
from tests.conftest import ROOT, end_processes_of
from tests.services.answering import Reply, StandInChat, last_words, stand_in

Make = Callable[..., tuple[Comparisons, StandInChat]]


@pytest.fixture
def make(home: Path) -> Iterator[Make]:
    """Comparisons whose models answer by a function, and what they were asked."""
    made: list[Comparisons] = []

    def build(reply: Callable[[Question], Reply] = last_words) -> tuple[Comparisons, StandInChat]:
        look, chat = stand_in(reply)
        made.append(Comparisons(Store(home), chat))
        return made[-1], look

    yield build
    for comparisons in made:
        comparisons.close()


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """The real thing, which answers with the demo model; starting it once is enough."""
    folder = tmp_path_factory.mktemp("chat")
    chat = Chat(folder, Runs(folder))
    yield chat
    chat.close()
    end_processes_of(folder)


def _prompts(count: int, reference: str = "") -> list[Prompt]:
    turns = (Turn(role="user", content=f"q{number}") for number in range(count))
    return [Prompt((turn,), reference) for turn in turns]


def _batch(comparisons: Comparisons) -> Comparison:
    return comparisons.create([Column("a"), Column("b")], kind="batch")


def _wait(
    comparisons: Comparisons, batch: Comparison, until: Callable[[BatchProgress], bool]
) -> BatchProgress:
    deadline = time.monotonic() + 150
    while not until(progress := comparisons.batch(batch.id)):
        assert time.monotonic() < deadline, progress
        time.sleep(0.02)
    return progress


def _end(comparisons: Comparisons, batch: Comparison) -> BatchProgress:
    return _wait(comparisons, batch, lambda progress: progress.state != "running")


def test_every_prompt_goes_to_all_columns_and_is_scored_against_its_reference(make: Make) -> None:
    comparisons, look = make()
    batch = _batch(comparisons)

    comparisons.start_batch(batch.id, _prompts(3, "a says q1"))
    comparisons.scores(batch.id)
    ended = _end(comparisons, batch)

    assert ended == BatchProgress("finished", done=3, total=3)
    assert [[q.messages[-1].content for q in asked] for asked in look.asked] == [
        ["q0", "q0"], ["q1", "q1"], ["q2", "q2"]
    ]  # fmt: skip
    # Each prompt by itself: no history.
    assert {len(question.messages) for asked in look.asked for question in asked} == {1}
    entry = comparisons.get(batch.id).entries[1]
    exact = [answer.scores["exact_match"] for answer in entry.answers if answer]
    assert exact == [100, 0]
    first, second = comparisons.scores(batch.id)
    assert first["exact_match"] == pytest.approx(100 / 3)
    assert (first["answered"], second["exact_match"]) == (3, 0)


def test_a_killed_servers_batch_is_interrupted_and_goes_on_with_what_is_missing(
    home: Path, chat: Chat, child_environment: dict[str, str]
) -> None:
    comparisons = Comparisons(Store(home), chat)
    short = SamplingSection(temperature=1.5, max_new_tokens=12)
    columns = [Column("demo", sampling=short), Column("demo", sampling=short)]
    batch = comparisons.create(columns, kind="batch")
    with ComparisonArchive(Store(home)).writing() as rows:
        rows.add_entries(batch.id, _prompts(30))
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.services.batch_in_a_process", str(home), batch.id],
        cwd=ROOT, env=child_environment,
    )  # fmt: skip

    try:
        _wait(comparisons, batch, lambda progress: progress.done >= 4)
        # Another living server's batch: it can be followed, and not begun twice.
        assert comparisons.batch(batch.id).state == "running"
        with pytest.raises(BatchRuns):
            comparisons.resume_batch(batch.id)
    finally:
        server.kill()
        server.wait()
    interrupted = comparisons.batch(batch.id)
    assert interrupted.state == "interrupted"
    assert 4 <= interrupted.done < interrupted.total == 30
    before = comparisons.get(batch.id).entries[: interrupted.done]

    try:
        comparisons.resume_batch(batch.id)
        assert _end(comparisons, batch) == BatchProgress("finished", done=30, total=30)
    finally:
        comparisons.close()

    after = comparisons.get(batch.id).entries
    # The seeds were drawn: an answer computed again would have another one.
    assert after[: len(before)] == before
    assert all(answer and answer.reason != "failed" for e in after for answer in e.answers)


def test_a_stopped_batch_keeps_whole_answers_and_asks_only_for_the_others_later(
    make: Make,
) -> None:
    def reply(question: Question) -> Reply:
        words = 400 if question.model == "b" and question.messages[0].content == "q2" else 2
        return " ".join(["word"] * words)

    comparisons, look = make(reply)
    look.word_seconds = 0.01
    batch = _batch(comparisons)
    comparisons.start_batch(batch.id, _prompts(4))
    _wait(comparisons, batch, lambda progress: progress.done == 2)
    while len(look.asked) < 3:
        time.sleep(0.01)
    time.sleep(0.2)

    comparisons.stop_batch(batch.id)

    assert comparisons.batch(batch.id).state == "stopped"
    # The second answer of the third prompt would have taken four seconds.
    third = comparisons.get(batch.id).entries[2].answers
    assert third[0] is not None
    assert third[1] is None
    look.word_seconds = 0
    comparisons.resume_batch(batch.id)
    assert _end(comparisons, batch).done == 4
    assert [[q.model for q in asked] for asked in look.asked[3:]] == [["b"], ["a", "b"]]


def test_a_batch_is_followed_and_stopped_from_another_server(make: Make) -> None:
    comparisons, look = make()
    other, _ = make()
    look.word_seconds = 0.02
    batch = _batch(comparisons)
    comparisons.start_batch(batch.id, _prompts(50))
    progress = _wait(other, batch, lambda progress: progress.done >= 2)

    assert progress.state == "running"
    assert progress.seconds_left is not None
    # Two columns of three words, 20 ms each, and 48 prompts to go.
    assert 3 < progress.seconds_left < 30
    other.stop_batch(batch.id)

    assert comparisons.batch(batch.id).state == other.batch(batch.id).state == "stopped"


def test_a_prompt_that_fails_does_not_end_the_batch(make: Make) -> None:
    def reply(question: Question) -> Reply:
        if question.messages[0].content == "q1":
            return "prompt_too_long", {"tokens": 900, "context": 512}
        return "fine"

    comparisons, look = make(reply)
    batch = _batch(comparisons)
    comparisons.start_batch(batch.id, _prompts(4))

    assert _end(comparisons, batch) == BatchProgress("finished", done=4, total=4)
    too_long = comparisons.get(batch.id).entries[1].answers[0]
    assert too_long is not None
    assert too_long.code == "prompt_too_long"
    assert comparisons.scores(batch.id)[0]["answered"] == 3
    asked_before = len(look.asked)
    # Another try would meet the same: nothing is left to do.
    comparisons.resume_batch(batch.id)
    assert _end(comparisons, batch).state == "finished"
    assert len(look.asked) == asked_before


def test_a_host_that_fails_three_times_in_a_row_ends_the_batch_which_can_be_mended(
    make: Make,
) -> None:
    broken = {"q1", "q3", "q4", "q5"}

    def reply(question: Question) -> Reply:
        if question.model == "b" and question.messages[0].content in broken:
            return "host_out_of_memory", {"device": "GPU 0"}
        return "fine"

    comparisons, look = make(reply)
    batch = _batch(comparisons)
    comparisons.start_batch(batch.id, _prompts(9))

    ended = _end(comparisons, batch)
    assert (ended.state, ended.done, ended.total) == ("failed", 6, 9)
    assert ended.failure == ("host_out_of_memory", {"device": "GPU 0"})

    broken.clear()
    comparisons.resume_batch(batch.id)
    assert _end(comparisons, batch) == BatchProgress("finished", done=9, total=9)
    assert [[q.model for q in asked] for asked in look.asked[6:10]] == [["b"]] * 4
    texts = {
        answer.text for e in comparisons.get(batch.id).entries for answer in e.answers if answer
    }
    assert texts == {"fine"}


def test_deleting_a_running_batch_stops_it_first(make: Make) -> None:
    comparisons, look = make()
    look.word_seconds = 0.02
    batch = _batch(comparisons)
    comparisons.start_batch(batch.id, _prompts(50))
    _wait(comparisons, batch, lambda progress: progress.done >= 1)

    comparisons.delete(batch.id)

    asked = len(look.asked)
    time.sleep(0.3)
    assert len(look.asked) == asked
    with pytest.raises(ComparisonMissing):
        comparisons.batch(batch.id)


def test_a_closed_server_leaves_its_batch_to_be_gone_on_with(make: Make) -> None:
    comparisons, look = make()
    look.word_seconds = 0.02
    batch = _batch(comparisons)
    comparisons.start_batch(batch.id, _prompts(20))
    _wait(comparisons, batch, lambda progress: progress.done >= 1)

    comparisons.close()

    other, _ = make()
    assert other.batch(batch.id).state == "interrupted"
    other.resume_batch(batch.id)
    assert _end(other, batch).done == 20


def test_a_batch_without_questions_is_refused_and_one_cannot_begin_twice(make: Make) -> None:
    comparisons, look = make()
    look.word_seconds = 0.02
    batch = _batch(comparisons)
    for wrong in ([], [*_prompts(1), Prompt((Turn(role="user", content=" "),))]):
        with pytest.raises(PromptEmpty):
            comparisons.start_batch(batch.id, wrong)
    assert comparisons.get(batch.id).entries == ()

    comparisons.start_batch(batch.id, _prompts(20))
    with pytest.raises(BatchRuns):
        comparisons.start_batch(batch.id, _prompts(1))

    assert comparisons.batch(batch.id).total == 20


def test_somebody_who_chats_gets_a_turn_between_two_prompts(home: Path, chat: Chat) -> None:
    comparisons = Comparisons(Store(home), chat)
    columns = [Column("demo", sampling=SamplingSection(max_new_tokens=10))] * 2
    batch = comparisons.create(columns, kind="batch")
    live = comparisons.create(columns)
    try:
        comparisons.start_batch(batch.id, _prompts(40))
        _wait(comparisons, batch, lambda progress: progress.done >= 2)
        with comparisons.ask(live.id, "What is tea?") as turn:
            for _ in turn.updates():
                continue

        assert [answer.reason in ("stop", "length") for answer in turn.answers] == [True, True]
        assert comparisons.batch(batch.id).state == "running"
    finally:
        comparisons.close()
