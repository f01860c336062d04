"""From a conversation to a prompt: what fits, what is dropped, and templates that misbehave."""

from pathlib import Path

import pytest

from easytune.data.chat_template import ChatTemplate
from easytune.engine.prompting import Prompter, Renderer
from easytune.errors import EasyTuneError
from easytune.wire import Column, Turn
from tests.engine import tiny
from tests.engine.asking import Desk, Heard, greedy, said

LOOPING = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = a %}{% endfor %}{% endfor %}"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tiny.save_folder(tmp_path_factory.mktemp("model")))


def answer(desk: Desk, *texts: str, system: str = "", **changes: object) -> Heard:
    turns = (Turn(role="system", content=system),) if system else ()
    column = Column(messages=(*turns, *said(*texts)), sampling=greedy())
    return desk.ask(column.model_copy(update=changes))[0]


def with_template(folder: Path, template: str) -> Desk:
    tiny.save_folder(folder)
    (folder / "chat_template.jinja").write_text(template)
    return Desk(folder)


def test_the_oldest_questions_are_dropped_with_their_answers(desk: Desk) -> None:
    """The context is 256 tokens, a quarter of it is kept for the answer."""
    texts = [text for i in range(12) for text in (f"colour {i}", f"it is number {i}")]
    column = Column(
        messages=(Turn(role="system", content="be kind"), *said(*texts, "and now")),
        sampling=greedy(max_new_tokens=200),
    )
    prompt = desk.prompter.prompt(column, template(desk))
    text = desk.held.tokenizer.backend.decode(list(prompt.ids), skip_special_tokens=False)
    assert prompt.dropped % 2 == 0
    assert 0 < prompt.dropped < 24
    first = prompt.dropped // 2
    assert text.startswith(f"<s>system: be kind</s><s>user: colour {first}</s>")
    assert text.endswith("<s>user: and now</s><s>assistant: ")
    assert 256 - 64 - 60 < len(prompt.ids) <= 256 - 64
    assert prompt.limit == min(200, 256 - len(prompt.ids))


def test_what_does_not_fit_even_alone_is_refused_with_its_length(desk: Desk) -> None:
    for heard in (answer(desk, "hm", "hm", "?" * 300), answer(desk, prompt="?" * 300)):
        assert heard.end.code == "prompt_too_long"
        assert heard.end.values["context"] == 256
        assert heard.end.values["tokens"] >= 300


def test_an_answer_never_leaves_the_context(desk: Desk) -> None:
    heard = answer(desk, "?" * 230, sampling=greedy(max_new_tokens=10_000))
    assert heard.began
    assert heard.began.prompt_tokens + heard.began.limit == 256
    assert heard.end.completion_tokens <= heard.began.limit


def test_nothing_asked_is_said(desk: Desk) -> None:
    assert answer(desk).end.code == "prompt_empty"
    assert answer(desk, "  ").end.code == "prompt_empty"
    assert answer(desk, prompt="").end.code == "prompt_empty"


def test_a_cut_answer_goes_on_where_it_was_cut(desk: Desk) -> None:
    whole = answer(desk, "hello", sampling=greedy(max_new_tokens=8))
    turns = [*said("hello"), Turn(role="assistant", content="the answer")]
    column = Column(messages=tuple(turns), continued=True, sampling=greedy())
    prompt = desk.prompter.prompt(column, template(desk))
    text = desk.held.tokenizer.backend.decode(list(prompt.ids), skip_special_tokens=False)
    assert text == "<s>user: hello</s><s>assistant: the answer"
    assert prompt.goes_on
    assert whole.began
    assert whole.began.dropped == 0


def test_a_template_that_loops_is_given_up_and_the_next_one_works(desk: Desk) -> None:
    prompter = Prompter(desk.held.tokenizer, desk.held.context)
    prompter.renderer = Renderer(seconds=1.5)
    column = Column(messages=said("hello"), sampling=greedy())
    bad = ChatTemplate(LOOPING, {})
    with pytest.raises(EasyTuneError) as raised:
        prompter.prompt(column, bad)
    assert raised.value.code() == "template_too_slow"
    prompter.renderer = Renderer()
    assert prompter.prompt(column, template(desk)).ids


def test_a_template_that_refuses_or_is_broken_leaves_the_model_usable(tmp_path: Path) -> None:
    refusing = with_template(tmp_path / "a", "{{ raise_exception('only poems') }}")
    heard = answer(refusing, "hello")
    assert (heard.end.code, heard.end.values) == (
        "conversation_unrenderable", {"reason": "only poems"},
    )  # fmt: skip
    broken = with_template(tmp_path / "b", "{% for %}")
    assert answer(broken, "hello").end.code == "template_invalid"
    assert answer(broken, prompt="hello").end.reason in ("stop", "length")


def test_a_template_that_eats_memory_is_stopped(tmp_path: Path) -> None:
    doubling = "{% for i in range(40) %}{% set n.t = n.t + n.t %}{% endfor %}"
    desk = with_template(tmp_path, "{% set n = namespace(t='x') %}" + doubling)
    heard = answer(desk, "hello")
    assert heard.end.code in ("conversation_unrenderable", "template_too_slow")


def test_a_system_message_reaches_a_model_without_that_role(tmp_path: Path) -> None:
    desk = with_template(
        tmp_path,
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "{{ m.role }}: {{ m.content }}\n{% endfor %}",
    )
    heard = answer(desk, "hello", system="be kind")
    assert heard.end.reason in ("stop", "length")


def template(desk: Desk) -> ChatTemplate:
    """The model's own template."""
    assert isinstance(desk.held.template, ChatTemplate)
    return desk.held.template
