"""The fixed prompts of the parity gate: short, of many kinds, and the same for every export.

Plain texts in several scripts, code, numbers and conversations under the model's own template; of a
run that kept rows back, some of those come first, since they show what was learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from easytune.data import test_sets
from easytune.data.chat_template import RenderFailed
from easytune.data.rows import Message
from easytune.data.tokenizer import ModelTokenizer
from easytune.errors import EasyTuneError
from easytune.evaluation import EvaluateConfig

LENGTH = 64
"""Tokens of a prompt at most."""
_OF_THE_RUN = 8
_TEXTS = (
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there lived a clockmaker who",
    "Water boils at 100 degrees Celsius, but on a high mountain it boils at a lower",
    "To whom it may concern,\n\nI am writing to complain about the delivery of",
    "Die Hauptstadt von Deutschland ist Berlin, und die größte Stadt der Schweiz heißt",
    "La photosynthèse est le processus par lequel les plantes transforment la lumière en",
    "El perro de mi vecino ladra toda la noche porque",
    "Если завтра будет хорошая погода, мы поедем",
    "今天天气很好，我们决定去公园散步。公园里有很多",
    "人工智能的发展正在改变",
    "吾輩は猫である。名前はまだ無い。どこで生れたか",
    "안녕하세요, 저는 한국에서 온 학생입니다. 저는",
    "اللغة العربية هي لغة",
    "भारत की राजधानी",
    "def fibonacci(n: int) -> int:\n    if n < 2:\n        return n\n    return",
    "import json\n\nwith open('settings.json') as file:\n    settings = json",
    "SELECT name, COUNT(*) FROM orders WHERE price > 100 GROUP BY",
    "#include <stdio.h>\n\nint main(void) {\n    for (int i = 0; i < 10; i++) {\n",
    '{"name": "Ada", "born": 1815, "languages": ["English", "French"], "',
    "<html>\n<head><title>Welcome</title></head>\n<body>\n  <h1>",
    "17 + 25 = 42\n38 + 14 = 52\n46 + 27 =",
    "1, 1, 2, 3, 5, 8, 13, 21, 34,",
    "| Product | Price |\n|---|---|\n| Apples | 2.50 |\n| Pears |",
    "Dear diary 🌧️ today it rained again, and the café was closed — again!",
)
_QUESTIONS = (
    "Who are you?",
    "Explain in two sentences why the sky is blue.",
    "Write a short poem about autumn.",
    "List three ways to save energy at home.",
    "请用一句话介绍北京。",
    "Übersetze ins Englische: Der frühe Vogel fängt den Wurm.",
    "Write a Python function that reverses a string.",
    "What is 12 times 12? Answer with the number only.",
)


@dataclass(frozen=True)
class Prompt:
    """One prompt: its tokens, and the text or the conversation that they come from."""

    tokens: tuple[int, ...]
    text: str
    messages: tuple[Message, ...] = ()


def load(
    tokenizer: ModelTokenizer,
    context: int | None,
    count: int,
    new_tokens: int,
    run: str | None = None,
    home: Path | None = None,
) -> list[Prompt]:
    """Return `count` prompts, each short enough that `new_tokens` follow within the context.

    `run` is one whose kept-back rows come first, where it has any. Fewer where a model can read
    less than the prompts; the bundled ones come again, cut off elsewhere, where more are wanted.
    """
    own = [Prompt((), "", messages) for messages in _kept_back(run, home)] if run and home else []
    texts = [Prompt((), text) for text in _TEXTS]
    asked = [Prompt((), "", (Message("user", text),)) for text in _QUESTIONS]
    mixed = [*own, *(one for three in zip(texts[::3], texts[1::3], texts[2::3], asked, strict=True)
                     for one in three)]  # fmt: skip
    room = min(LENGTH, (context or LENGTH + new_tokens) - new_tokens)
    found: dict[tuple[int, ...], Prompt] = {}
    for number, one in enumerate(islice(cycle(mixed), count * 3)):
        prompt = _encoded(one, tokenizer, room - number // len(mixed) * 3)
        if prompt is not None and len(found) < count:
            found.setdefault(prompt.tokens, prompt)
    return list(found.values())


def _encoded(one: Prompt, tokenizer: ModelTokenizer, room: int) -> Prompt | None:
    text = one.text
    if one.messages:
        template = tokenizer.template
        try:
            text = template.render(template.fold_system(one.messages), add_generation_prompt=True)
        except RenderFailed:
            return None
    ids = tokenizer.backend.encode(text, add_special_tokens=not one.messages).ids
    # Of a conversation the end counts: there the answer begins.
    cut = ids[-room:] if one.messages else ids[:room]
    return Prompt(tuple(cut), text, one.messages) if room > 0 and len(cut) > 1 else None


def _kept_back(run: str, home: Path) -> list[tuple[Message, ...]]:
    """Return the questions of some rows that a run kept back; none where they cannot be read."""
    config = EvaluateConfig().changed(test__rows=_OF_THE_RUN)
    try:
        rows = test_sets.read(f"{test_sets.HELD_OUT}{run}", config, home).rows
    except EasyTuneError:
        return []
    return [_messages(row.messages) for row in rows if row.messages]


def _messages(turns: Sequence[object]) -> tuple[Message, ...]:
    return tuple(Message(turn.role, turn.content) for turn in turns)  # type: ignore[attr-defined]
