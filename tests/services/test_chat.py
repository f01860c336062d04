import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from easytune import checkpoints, demo, model_files
from easytune.config import ModelSection
from easytune.errors import AdapterMismatch, RemoteCodeRefused
from easytune.generation import SamplingSection
from easytune.inference_errors import ModelUnknown, PromptEmpty, TooManyColumns
from easytune.services.chat import Chat, LoadingModel, Question, Waiting
from easytune.services.questions import Update
from easytune.services.runs import Runs
from easytune.wire import Began, Ended, Piece, Turn
from tests.conftest import ROOT
from tests.patience import PATIENCE_S, eventually
from tests.services import trained
from tests.services.lab import is_gone
from tests.services.talking import GREEDY, Reading, ask, question, read, stand_in_chat


@pytest.fixture
def chat(home: Path) -> Iterator[Chat]:
    """A chat whose host is a stand-in."""
    made = stand_in_chat(home)
    yield made
    made.close()


@pytest.fixture
def real(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """A chat with real hosts."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = Chat(home, Runs(home))
    yield made
    made.close()


def _host_pids() -> list[int]:
    children = psutil.Process().children()
    return [child.pid for child in children if "easytune.engine.host" in child.cmdline()]


def test_base_adapter_and_checkpoint_answer_as_one_batch(
    home: Path, trained_home: Path, real: Chat
) -> None:
    run = trained.copy_runs(trained_home, home)
    names = ("demo", run, f"{run}@2")
    loading = Reading(real.ask([question("Who are you?", name) for name in names]))
    assert loading.saw(LoadingModel) == LoadingModel(0, "demo", "importing", None)

    answers = loading.finish(120)

    assert [answer.reason for answer in answers] == ["stop"] * 3
    assert [answer.mode for answer in answers] == ["batch"] * 3
    assert "demo model" in answers[0].text
    assert all(answer.first_token_seconds and answer.tokens > 5 for answer in answers)
    [held] = real.held()
    assert (held.id, held.state, held.requests) == ("demo", "ready", 0)
    assert set(held.adapters) == {run, f"{run}@2"}
    assert held.memory_gb > 0.1

    [pid] = _host_pids()
    again = ask(real, question("Who are you?"))
    assert again[0].text == answers[0].text
    assert again[0].mode == "alone"
    assert _host_pids() == [pid]

    real.unload("demo")
    back = real.given_back()
    assert is_gone(pid)
    assert back is not None
    assert back[1] == pytest.approx(held.memory_gb, rel=0.3)


def test_a_killed_host_is_told_and_the_next_message_starts_another(real: Chat) -> None:
    killed: list[int] = []

    def kill_at_once(update: Update) -> None:
        if isinstance(update, Piece) and not killed:
            killed.extend(_host_pids())
            os.kill(killed[0], signal.SIGKILL)

    long = question("Who are you?", sampling=SamplingSection(temperature=0, max_new_tokens=900))
    [answer] = read(real.ask([long]), kill_at_once)

    assert (answer.reason, answer.code) == ("failed", "host_killed")
    assert answer.values == {"model": "demo", "signal": 9}
    assert answer.text
    eventually(lambda: real.held()[0].state == "failed")
    assert real.held()[0].failure == ("host_killed", answer.values)
    [after] = ask(real, question("Who are you?"))
    assert after.reason == "stop"
    assert _host_pids() != killed


def test_a_checkpoint_of_a_whole_model_answers_with_the_tokenizer_of_its_base(
    home: Path, trained_home: Path, real: Chat
) -> None:
    run = trained.copy_runs(trained_home, home)
    checkpoint = home / "runs" / run / "out" / "checkpoints" / "checkpoint-2"
    for old in [*checkpoint.glob("adapter_*"), *checkpoint.glob("*.md")]:
        old.unlink()
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        shutil.copy(demo.MODEL / name, checkpoint / name)
    checkpoints.seal(checkpoint, 2)

    [answer] = ask(real, question("Who are you?", f"{run}@2"))

    assert answer.reason == "stop"
    assert "demo model" in answer.text
    assert real.held()[0].id == f"{run}@2"
    assert not (checkpoint / "tokenizer.json").exists()


def test_the_hosts_end_with_the_process_that_started_them(
    home: Path, child_environment: dict[str, str]
) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.services.talking import *;"
        "home = Path(sys.argv[1]); chat = stand_in_chat(home, sys.argv[2]); chat.load('demo');"
        "slot = chat._pool.slots()[0]; slot.settled.wait(150); print(slot.host.pid, flush=True);"
        "time.sleep(600)"
    )
    for behaviour in ("answer", "deaf"):
        parent = subprocess.Popen(
            [sys.executable, "-c", code, str(home), behaviour], cwd=ROOT, env=child_environment,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)

        parent.kill()
        parent.wait()

        eventually(lambda pid=pid: is_gone(pid))


@pytest.mark.parametrize(("word", "code"), [("die", "host_killed"), ("crash", "host_crashed")])
def test_every_column_is_told_when_the_host_ends(chat: Chat, word: str, code: str) -> None:
    answers = ask(chat, question("hi"), question(word), question("hi"))

    assert [answer.reason for answer in answers] == ["failed"] * 3
    assert {answer.code for answer in answers} == {code}
    assert [answer.reason for answer in ask(chat, question("hi"))] == ["stop"]


def test_a_host_that_refuses_says_why_each_time(home: Path) -> None:
    chat = stand_in_chat(home, "refuse")
    answers = [*ask(chat, question("hi")), *ask(chat, question("hi"))]

    assert [answer.code for answer in answers] == ["model_unloadable"] * 2
    assert chat.held()[0].failure == ("model_unloadable", {"model": "m", "reason": "odd"})
    chat.close()


def test_a_text_that_cannot_be_written_fails_alone(chat: Chat) -> None:
    broken = replace(question("hi"), sampling=GREEDY.model_copy(update={"stop": ("\ud800",)}))

    [failed] = ask(chat, broken)
    [answer] = ask(chat, question("hi"))

    assert (failed.reason, failed.code) == ("failed", "unexpected")
    assert answer.reason == "stop"


def test_stopping_one_column_leaves_the_others(chat: Chat) -> None:
    reading = Reading(chat.ask([question("slow"), question("hi")]))
    reading.saw(Piece)
    chat.stop(reading.answering.id, 0)
    eventually(lambda: any(isinstance(u, Ended) for u in [*reading.updates]))
    before = len(reading.updates)
    time.sleep(0.2)

    assert len(reading.updates) > before
    reading.answering.stop()
    answers = reading.finish()
    assert [answer.reason for answer in answers] == ["cancelled", "cancelled"]
    assert answers[0].tokens < answers[1].tokens


def test_leaving_an_answering_stops_it_within_a_step(chat: Chat) -> None:
    with chat.ask([question("slow")]) as answering:
        for updates in answering.updates():
            if any(isinstance(update, Piece) for update in updates):
                break

    eventually(lambda: chat.answering() == [], seconds=7)
    assert chat.held()[0].requests == 0


def test_a_host_that_does_not_react_cannot_hold_a_stopped_answer(home: Path) -> None:
    chat = stand_in_chat(home, "deaf")
    reading = Reading(chat.ask([question("x" * 500_000)]))
    eventually(lambda: chat.held() and chat.held()[0].state == "answering")

    reading.answering.stop()

    [answer] = reading.finish(5)
    assert answer.reason == "cancelled"
    chat.close()


def test_stopping_while_the_model_loads_ends_at_once(home: Path) -> None:
    chat = stand_in_chat(home, "load_for_ever")
    reading = Reading(chat.ask([question("hi")]))
    eventually(lambda: LoadingModel(0, "demo", "reading", 0.5) in [*reading.updates])

    reading.answering.stop()

    assert reading.finish(1)[0].reason == "cancelled"
    assert chat.held()[0].state == "loading"
    chat.close()


def test_a_busy_host_tells_who_waits_and_where(chat: Chat) -> None:
    first = Reading(chat.ask([question("slow")], owner="ann"))
    first.saw(Began)
    second = Reading(chat.ask([question("hi")], owner="ben"))

    assert second.saw(Waiting) == Waiting(0, 1)
    assert [one.owner for one in chat.answering()] == ["ann", "ben"]
    assert chat.held()[0].state == "answering"
    first.answering.stop()
    assert second.finish()[0].reason == "stop"
    first.finish()


def test_several_bases_answer_in_turn(home: Path, chat: Chat) -> None:
    shutil.copytree(demo.MODEL, home / "models" / "other")
    reading = Reading(chat.ask([question("hi", "demo"), question("hi", "other"), question("hi")]))

    answers = reading.finish()

    assert [answer.reason for answer in answers] == ["stop"] * 3
    order = [u.column for u in reading.updates if isinstance(u, Began)]
    assert order == [0, 2, 1]
    assert {held.id for held in chat.held()} == {"demo", "other"}


def test_a_seed_is_drawn_where_none_was_given(chat: Chat) -> None:
    answering = chat.ask([question("hi"), question("hi")])
    seeds = [asked.sampling.seed for asked in answering.questions]

    answers = Reading(answering).finish()

    assert None not in seeds
    assert seeds[0] != seeds[1]
    assert [str(seed) in answer.text for seed, answer in zip(seeds, answers, strict=True)] == [
        True, True,
    ]  # fmt: skip


def test_a_wrong_question_is_refused_before_anything_starts(
    home: Path, trained_home: Path, chat: Chat
) -> None:
    run = trained.copy_runs(trained_home, home)
    other = Path(shutil.copytree(demo.MODEL, home / "models" / "other"))
    weights = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(weights[:-1] + b"\x01")
    own_code = '{"auto_map": {"AutoModelForCausalLM": "m.M"}, "model_type": "unheard-of"}'
    coded = Path(shutil.copytree(demo.MODEL, home / "models" / "coded"))
    (coded / "config.json").write_text(own_code)
    said = (Turn(role="user", content="hi"),)

    for wrong, problem in (
        ([], TooManyColumns),
        ([question("hi")] * 9, TooManyColumns),
        ([question("hi"), question(" \n")], PromptEmpty),
        ([Question("demo")], PromptEmpty),
        ([Question("demo", prompt="")], PromptEmpty),
        ([question("hi", "nobody")], ModelUnknown),
        ([Question(run, said, base="other")], AdapterMismatch),
        ([question("hi", "coded")], RemoteCodeRefused),
    ):
        with pytest.raises(problem):
            chat.ask(wrong)
    assert chat.held() == []
    assert chat.answering() == []


def test_a_hundred_failures_leave_nothing_behind(chat: Chat) -> None:
    process = psutil.Process()

    def held() -> tuple[int, int, int]:
        return threading.active_count(), process.num_fds(), len(process.children())

    ask(chat, question("crash"))
    ask(chat, question("hi"))
    eventually(lambda: chat.answering() == [])
    before = held()

    for number in range(90):
        with pytest.raises((ModelUnknown, PromptEmpty)):
            chat.ask([question("hi", f"nobody-{number}"), question("")])
    for _ in range(10):
        assert [answer.code for answer in ask(chat, question("crash"))] == ["host_crashed"]
    ask(chat, question("hi"))

    eventually(
        lambda: all(now <= then for now, then in zip(held(), before, strict=True)),
        lambda: f"before {before}, now {held()}",
    )
    assert len(chat.held()) == 1
    assert chat.answering() == []


def test_a_model_of_the_hub_without_network_ends_in_a_sentence(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    seen, fetch = threading.Event(), model_files.fetch

    def fetch_once_seen(section: ModelSection, home: Path) -> Path:
        assert seen.wait(PATIENCE_S)
        return fetch(section, home)

    monkeypatch.setattr(model_files, "fetch", fetch_once_seen)
    reading = Reading(chat.ask([question("hi", "org/not-here")]))

    assert reading.saw(LoadingModel) == LoadingModel(0, "org/not-here", "downloading", None)
    seen.set()
    [answer] = reading.finish()

    assert (answer.reason, answer.code) == ("failed", "no_network")
