"""An evaluation asks every candidate every row, once, and ends with figures whatever happens."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from easytune.engine import evaluator, hardware
from easytune.events import Answered, Failed, Finished, Started, Stopped
from easytune.found_model import FoundModel
from easytune.i18n import t
from tests.engine import evaluated, tiny
from tests.engine.asking import save_adapter
from tests.engine.evaluated import Evaluated, answers, order, questions, run, written
from tests.patience import eventually


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_folder(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture(scope="module")
def both(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FoundModel, FoundModel]:
    tuned = save_adapter(tmp_path_factory.mktemp("adapter") / "tuned")
    return evaluated.base(model), evaluated.adapter(tuned, model)


def test_one_by_one_and_sixteen_at_once_give_what_the_plain_libraries_give(
    tmp_path: Path, both: tuple[FoundModel, FoundModel]
) -> None:
    rows = questions(tmp_path / "rows.jsonl", 12)
    alone, together = (
        run(order(tmp_path / "home", both, rows, test__batch_size=size)) for size in (1, 16)
    )

    assert (alone.code, together.code) == (0, 0)
    assert (alone.result.batch_size, together.result.batch_size) == (1, 16)
    assert len(together.answers) == 24
    for place, one in together.answers.items():
        assert one.text == alone.answers[place].text
        assert one.nll == pytest.approx(alone.answers[place].nll, rel=1e-5)
    for one, other in zip(alone.result.scores, together.result.scores, strict=True):
        assert one.figure.value == pytest.approx(other.figure.value, rel=1e-5)
    asked = [together.question(row) for row in range(3)]
    for number, candidate in enumerate(both):
        wanted = _as_generated(candidate, asked)
        assert [together.answers[number, row].text.rstrip("\ufffd") for row in range(3)] == wanted
    (end,) = together.of(Finished)
    assert end.step == together.of(Answered)[-1].done == 24


def test_a_killed_evaluation_goes_on_without_asking_twice(
    tmp_path: Path, both: tuple[FoundModel, FoundModel]
) -> None:
    rows, home = questions(tmp_path / "rows.jsonl", 40), tmp_path / "home"
    first = order(home, both, rows, test__batch_size=4)
    child = _forked(lambda: evaluator.run(first.path))
    eventually(lambda: written(first) >= 8)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    done = answers(first)
    with first.answers.open("a") as file:
        file.write('{"candidate": 0, "row": 39, "te')
    assert not first.result.exists()

    again = run(order(home, both, rows, first.id))

    assert again.code == 0
    assert len(again.answers) == 80
    # The seconds that an answer took would not be the same a second time.
    assert {place: again.answers[place] for place in done} == done
    assert again.of(Started)[0].first_step == len(done) < 80


def test_stopping_keeps_and_scores_what_there_is(
    tmp_path: Path, both: tuple[FoundModel, FoundModel]
) -> None:
    rows = questions(tmp_path / "rows.jsonl", 300)
    folder = order(tmp_path / "home", both, rows, test__batch_size=4, sampling__max_new_tokens=30)

    def stop() -> None:
        eventually(lambda: written(folder) >= 8)
        folder.stop.touch()

    thread = threading.Thread(target=stop)
    thread.start()
    found = run(folder)
    thread.join()

    assert found.code == 0
    assert len(found.of(Stopped)) == 1
    assert 8 <= len(found.answers) < 400
    measured = {one.candidate: one.figure.rows for one in found.result.scores}
    # Both candidates have been asked the same rows.
    assert measured[0] == measured[1] == len(found.answers) / 2


@pytest.mark.skipif(sys.platform != "linux", reason="only there the system refuses memory")
def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    tmp_path: Path, both: tuple[FoundModel, FoundModel]
) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {"instruction": "colour " * 30, "output": "blue"}
    rows.write_text("\n".join(json.dumps(row | {"id": i}) for i in range(2000)))
    wishes = {"test__batch_size": 2000, "loading__quantization": "none"}
    folder = order(tmp_path / "home", both[:1], rows, sampling__max_new_tokens=2, **wishes)

    def short_of_memory() -> int:
        # Loading is let alone: the limit that evaluations set for themselves comes after it.
        hardware.free_memory_gb = lambda chosen: 0.3
        return evaluator.run(folder.path)

    _, status = os.waitpid(_forked(short_of_memory), 0)

    found = Evaluated(folder, os.waitstatus_to_exitcode(status))
    assert found.code == 0
    assert all(not one.code for one in found.answers.values())
    assert len(found.answers) == 2000
    assert 1 <= (found.result.batch_size or 0) <= 1000


def test_rows_without_room_are_left_out_and_that_is_said(
    tmp_path: Path, both: tuple[FoundModel, FoundModel]
) -> None:
    rows = tmp_path / "rows.jsonl"
    texts = ("colour 1", "too long " * 200, "colour 2", "colour 3")
    given = [{"instruction": text, "output": "blue"} for text in texts]
    given[3]["output"] = "blue " * 300
    rows.write_text("\n".join(json.dumps(row) for row in given))

    ended = run(order(tmp_path / "home", both[:1], rows))

    found = ended.answers
    assert [found[0, row].code for row in range(4)] == ["", "prompt_too_long", "", ""]
    assert [found[0, row].nll is None for row in range(4)] == [False, True, False, True]
    # A random model has not learned where to end.
    assert (found[0, 0].reason, found[0, 0].tokens) == ("length", 6)
    said = {one.code: one.values for one in ended.result.findings}
    assert (said["unanswered"]["rows"], said["unanswered"]["of"]) == (1, 4)
    assert (said["references_unread"]["rows"], said["references_unread"]["of"]) == (2, 4)
    for code, values in said.items():
        assert "{" not in (sentence := t(f"evaluation.finding.{code}", "en", **values))
        assert "@" not in sentence


def test_a_model_that_cannot_be_asked_is_told_and_the_others_are_measured(
    tmp_path: Path, both: tuple[FoundModel, FoundModel], model: Path
) -> None:
    other = save_adapter(tmp_path / "other", "gpt2")
    candidates = (both[0], evaluated.adapter(other, model), both[1])
    found = run(order(tmp_path / "home", candidates, questions(tmp_path / "rows.jsonl", 4)))

    assert found.code == 0
    assert {candidate for candidate, _ in found.answers} == {0, 2}
    (finding,) = [one for one in found.result.findings if one.code == "model_unusable"]
    assert finding.values["model"] == "other"


def test_with_no_model_to_ask_the_evaluation_fails_by_its_cause(tmp_path: Path) -> None:
    gone = evaluated.base(tmp_path / "gone")
    found = run(order(tmp_path / "home", [gone], questions(tmp_path / "rows.jsonl", 4)))

    assert found.code == 1
    assert found.of(Failed)[0].code != "unexpected"


def _as_generated(candidate: FoundModel, questions: Sequence[str]) -> list[str]:
    """Return what transformers and PEFT say, without halves of characters at the end."""
    model: Any = AutoModelForCausalLM.from_pretrained(candidate.base_folder, dtype=torch.float32)
    if candidate.is_adapter:
        model = PeftModel.from_pretrained(model, candidate.folder)
    tokenizer = AutoTokenizer.from_pretrained(candidate.base_folder)
    found = []
    for question in questions:
        turns = [{"role": "user", "content": question}]
        inputs = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        ids = model.eval().generate(**inputs, max_new_tokens=6, do_sample=False)
        new = ids[0, inputs["input_ids"].shape[1] :]
        found.append(tokenizer.decode(new, skip_special_tokens=True).rstrip("\ufffd"))
    return found


def _forked(work: Callable[[], int]) -> int:
    """Do something in a process of its own that has imported everything already."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = work()
    finally:
        os._exit(code)
