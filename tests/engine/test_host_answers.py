"""What one answer consists of: its tokens, its text, its probabilities, its end."""

from pathlib import Path
from typing import Any

import pytest
import torch

from easytune.engine.answer_text import AnswerText, Detokenizer
from easytune.wire import Column, Piece, Reply
from tests.engine import asking, tiny
from tests.engine.asking import Desk, asked, expected, greedy, said


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tiny.save_folder(tmp_path_factory.mktemp("model")))


def test_a_seed_repeats_an_answer_alone_and_in_a_batch(desk: Desk) -> None:
    (first,) = desk.ask(asked(temperature=1, seed=5))
    others = desk.ask(
        asked("the", temperature=0.3, seed=9),
        asked(temperature=1, seed=5),
        asked(temperature=1, seed=6),
    )
    assert others[1].tokens == first.tokens
    assert others[2].tokens != first.tokens


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_every_way_to_cut_the_choice_cuts_it(desk: Desk, options: dict[str, Any]) -> None:
    cut, likeliest, free = desk.ask(
        asked(temperature=1.5, **options), asked(), asked(temperature=1.5)
    )
    assert cut.tokens == likeliest.tokens
    assert free.tokens != likeliest.tokens


def test_a_penalty_is_that_of_transformers(desk: Desk) -> None:
    free, held = desk.ask(asked(), asked(repetition_penalty=3))
    wanted = expected(desk, desk.held.folder, "hello", None, repetition_penalty=3.0)
    assert held.tokens == wanted != free.tokens


def test_probabilities_are_the_models_own(desk: Desk) -> None:
    (heard,) = desk.ask(
        asked(temperature=0.5, repetition_penalty=2).model_copy(update={"logprobs": 3})
    )
    backend = desk.held.tokenizer.backend
    ids = torch.tensor([backend.encode("hello").ids])
    with torch.no_grad():
        logs = desk.held.model(input_ids=ids).logits[0, -1].log_softmax(-1)
    best = logs.topk(3)
    chance = heard.pieces[0].chances[0]
    assert [value for _, value in chance.top] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert chance.logprob in [pytest.approx(value, abs=1e-4) for value in logs.tolist()]


def test_a_stop_text_is_never_shown_nor_its_beginning() -> None:
    backend = asking.bytes_tokenizer()
    text = AnswerText(Detokenizer(backend), ["END", "NEVER"])
    shown = [text.add(token) for token in backend.encode("an ENemy. NEVER ENDs").ids]
    stopped = [one.stopped for one in shown].index(True)
    assert "".join(one.text for one in shown[: stopped + 1]) == "an ENemy. "
    assert not any(one.text.endswith(("E", "EN", "N", "NE")) for one in shown[:stopped])


def test_a_cut_answer_gives_back_what_might_have_been_a_stop_text(desk: Desk) -> None:
    (whole,) = desk.ask(asked())
    last = whole.text[-1]
    (held,) = desk.ask(asked(stop=(last + "never said",)))
    assert held.text == whole.text


def test_characters_of_many_bytes_come_whole() -> None:
    backend = asking.bytes_tokenizer()
    said_text = "né 你好 👩‍🚀 ok"
    text = AnswerText(Detokenizer(backend), [])
    ids = backend.encode(said_text).ids
    parts = [text.add(token).text for token in ids]
    assert "".join(parts) == said_text
    assert not any("\ufffd" in part for part in parts)
    assert len(ids) > len(said_text)


def test_broken_bytes_do_not_hold_up_the_text_behind_them() -> None:
    backend = asking.bytes_tokenizer()
    ids = backend.encode("你").ids[:1] * 5 + backend.encode("ok").ids
    text = AnswerText(Detokenizer(backend), [])
    assert "".join(text.add(token).text for token in ids).endswith("ok")


def test_a_cancelled_column_ends_within_a_step_and_the_others_go_on(desk: Desk) -> None:
    def after_three(sent: list[Reply]) -> set[int]:
        mine = [reply for reply in sent if isinstance(reply, Piece) and reply.column == 0]
        return {0} if mine and mine[-1].tokens >= 3 else set()

    columns = [asked("hello"), asked("the", max_new_tokens=30), asked("world")]
    stopped, longer, third = desk.ask(*columns, cancelled=after_three)
    assert (stopped.end.reason, stopped.end.completion_tokens) == ("cancelled", 3)
    alone, other = desk.ask(columns[1])[0], desk.ask(columns[2])[0]
    assert longer.tokens == alone.tokens
    assert third.tokens == other.tokens


def test_long_prompts_are_read_in_pieces_to_the_same_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [asked("hello world, how are you " * 6), asked("the")]
    whole = desk.ask(*columns)
    monkeypatch.setattr("easytune.engine.decoding._READ_AT_ONCE", 7)
    pieces = desk.ask(*columns)
    assert [one.tokens for one in pieces] == [one.tokens for one in whole]


def test_out_of_memory_ends_the_request_and_not_the_host(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(desk.held.model, "forward", lambda **_: torch.empty(1 << 50))
        (heard,) = desk.ask(asked())
    assert heard.end.reason == "failed"
    assert (heard.end.code, heard.end.values) == ("host_out_of_memory", {"device": "cpu"})
    assert desk.ask(asked())[0].end.reason in ("stop", "length")


def test_a_thinking_block_that_the_prompt_opens_is_announced(tmp_path: Path) -> None:
    folder = tiny.save_folder(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['content'] }}</s>{% endfor %}"
        "{% if add_generation_prompt %}A:{% if enable_thinking %}<think>\n{% endif %}{% endif %}"
    )
    desk = Desk(folder)
    messages = said("what does <think> mean")
    on, off, later = desk.ask(
        Column(messages=messages, sampling=greedy(thinking="on")),
        Column(messages=messages, sampling=greedy(thinking="off")),
        Column(
            messages=said("hello", "it is </think> blue"),
            continued=True,
            sampling=greedy(thinking="on"),
        ),
    )
    assert [one.began.opens_thinking for one in (on, off, later) if one.began] == [
        True, False, False,
    ]  # fmt: skip
