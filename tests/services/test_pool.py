import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from easytune import demo, settings
from easytune.generation import LoadingSection
from easytune.inference_errors import MemoryShort
from easytune.services.chat import Chat
from easytune.services.pool import Pool
from easytune.settings import InferenceSection, Settings
from easytune.wire import Began
from tests.patience import eventually
from tests.services.lab import Lab, is_gone
from tests.services.talking import Reading, ask, question, stand_in_chat

# What a stand-in holds, and a budget that has room for two of them but not for three.
MEGABYTES, BUDGET_GB = 300, 1.1


def _pool(chat: Chat) -> Pool:
    return chat._pool


def _model(home: Path, name: str) -> None:
    shutil.copytree(demo.MODEL, home / "models" / name)


def _limit(home: Path, **limits: float) -> None:
    settings.save(home, Settings(inference=InferenceSection.model_validate(limits)))


def _held(chat: Chat) -> list[str]:
    return [model.id for model in chat.held()]


def _ready(chat: Chat) -> None:
    eventually(lambda: all(model.state == "ready" for model in chat.held()))


def test_the_model_used_longest_ago_goes_first(home: Path) -> None:
    for name in ("a", "b", "c"):
        _model(home, name)
    _limit(home, memory_budget_gb=BUDGET_GB)
    chat = stand_in_chat(home, megabytes=MEGABYTES)
    for name in ("a", "b", "a"):
        ask(chat, question("hi", name))
    assert _held(chat) == ["a", "b"]

    ask(chat, question("hi", "c"))

    assert _held(chat) == ["c", "a"]
    assert [(gone.id, gone.reason) for gone in chat.unloaded()] == [("b", "budget")]
    chat.close()


def test_switching_back_to_a_model_in_memory_is_immediate(home: Path) -> None:
    _model(home, "a")
    chat = stand_in_chat(home)
    ask(chat, question("hi"), question("hi", "a"))
    pids = {slot.host.pid for slot in _pool(chat).slots() if slot.host}

    ask(chat, question("hi"))
    ask(chat, question("hi", "a"))

    assert {slot.host.pid for slot in _pool(chat).slots() if slot.host} == pids
    chat.close()


def test_a_model_that_answers_is_not_unloaded_for_another(home: Path) -> None:
    for name in ("a", "b"):
        _model(home, name)
    _limit(home, memory_budget_gb=BUDGET_GB)
    chat = stand_in_chat(home, megabytes=MEGABYTES)
    busy: list[Reading] = []
    for name in ("a", "b"):
        busy.append(Reading(chat.ask([question("slow", name)])))
        busy[-1].saw(Began)

    with pytest.raises(MemoryShort) as short:
        chat.load("demo")
    [answer] = ask(chat, question("hi"))

    assert answer.code == "memory_short"
    assert short.value.free_gb < short.value.need_gb
    assert sorted(_held(chat)) == ["a", "b"]
    chat.close()
    assert [reading.finish()[0].reason for reading in busy] == ["cancelled", "cancelled"]


def test_two_models_asked_at_the_same_moment_both_answer(home: Path) -> None:
    for name in ("a", "b"):
        _model(home, name)
    # Each alone is guessed at 0.6 GB, and takes half of that once it is loaded.
    _limit(home, memory_budget_gb=1.0)
    chat = stand_in_chat(home, "load_slowly", megabytes=MEGABYTES)

    asked = [Reading(chat.ask([question("hi", name)])) for name in ("a", "b", "demo")]

    assert [reading.finish()[0].reason for reading in asked] == ["stop"] * 3
    chat.close()


def test_unloading_ends_the_process_and_says_what_came_back(home: Path) -> None:
    chat = stand_in_chat(home, megabytes=MEGABYTES)
    ask(chat, question("hi"))
    [slot] = _pool(chat).slots()
    assert slot.host is not None
    before = chat.version()

    chat.unload("demo")

    back = chat.given_back()
    assert is_gone(slot.host.pid)
    assert back is not None
    assert back[0] == "demo"
    assert back[1] >= MEGABYTES * (1 << 20) / 1e9
    assert chat.held() == []
    assert chat.version() > before
    chat.close()


def test_a_deaf_host_is_killed_when_it_is_unloaded(home: Path) -> None:
    chat = stand_in_chat(home, "deaf")
    chat.load("demo")
    _ready(chat)
    [slot] = _pool(chat).slots()
    assert slot.host is not None

    chat.unload("demo")

    assert is_gone(slot.host.pid)
    chat.close()


def test_a_model_nobody_uses_is_unloaded_after_a_while(home: Path) -> None:
    _limit(home, idle_minutes=1)
    chat = stand_in_chat(home)
    ask(chat, question("hi"))
    chat.start()
    time.sleep(1.2)
    assert _held(chat) == ["demo"]

    [slot] = _pool(chat).slots()
    slot.last_used = datetime.now(UTC) - timedelta(minutes=2)

    eventually(lambda: [gone.reason for gone in chat.unloaded()] == ["idle"])
    assert _held(chat) == []
    chat.close()


def test_a_smaller_budget_holds_at_once(home: Path) -> None:
    chat = stand_in_chat(home, megabytes=MEGABYTES)
    ask(chat, question("hi"))
    chat.start()

    _limit(home, memory_budget_gb=0.1)

    eventually(lambda: _held(chat) == [])
    chat.close()


def _enlarge(lab: Lab, parameters: int) -> None:
    """Make the model of the lab's runs look large; the file has a hole instead of weights."""
    size = parameters * 2
    facts = {"w.weight": {"dtype": "BF16", "shape": [parameters], "data_offsets": [0, size]}}
    header = json.dumps(facts).encode()
    file = Path(lab.config.model.base_model) / "model.safetensors"
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + size)


def test_idle_models_make_room_for_a_run_that_waits(lab: Lab) -> None:
    chat = stand_in_chat(lab.home)
    ask(chat, question("hi"))
    lab.runs.submit(lab.config)
    _enlarge(lab, round(psutil.virtual_memory().total / 4))

    chat.start()

    eventually(lambda: [gone.reason for gone in chat.unloaded()] == ["training"])
    assert _held(chat) == []
    chat.close()


def test_a_model_that_answers_is_offered_to_the_run_that_waits(lab: Lab) -> None:
    chat = stand_in_chat(lab.home)
    busy = Reading(chat.ask([question("slow")]))
    busy.saw(Began)
    run = lab.runs.submit(lab.config)
    _enlarge(lab, round(psutil.virtual_memory().total / 4))

    chat.start()

    eventually(lambda: chat.held()[0].wanted_by == run)
    with pytest.raises(MemoryShort):
        chat.load("demo", LoadingSection(precision="fp32"))
    busy.answering.stop()
    busy.finish()
    eventually(lambda: _held(chat) == [])
    chat.close()


def test_a_small_run_leaves_models_alone(lab: Lab) -> None:
    chat = stand_in_chat(lab.home)
    ask(chat, question("hi"))
    run = lab.start("sleeper")

    _pool(chat).tick()

    assert _held(chat) == ["demo"]
    lab.runs.stop(run, now=True)
    chat.close()


def test_the_log_of_a_host_stays_small(home: Path) -> None:
    chat = stand_in_chat(home)
    ask(chat, question("hi"))
    [log] = (home / "hosts").glob("*.log")
    with log.open("ab") as file:
        file.write(b"x" * 6_000_000)

    _pool(chat).tick()

    assert log.stat().st_size < 1_000_000
    chat.close()
