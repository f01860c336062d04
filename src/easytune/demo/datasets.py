"""Write the demo datasets: `python -m easytune.demo.datasets`.

Three things that fine-tuning does, each in a common format: a house style (OpenAI messages),
knowledge of an invented company (Alpaca), and a fixed form of answer (ShareGPT).
"""

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from easytune.demo import DATASETS, facts
from easytune.demo.company import FACTS, KEPT_BACK
from easytune.demo.corpus import assistant, user
from easytune.demo.questions import Question, split_questions

Row = dict[str, object]

SEED = 7
STYLE_ROWS, STYLE_HELD_OUT = 500, 60
GUEST_ROWS, GUEST_HELD_OUT = 450, 60
MOST_SUMS = 0.25
"""Sums are most of the questions; in the style dataset they are at most this share."""

GUEST_SYSTEM = "Return the guest as JSON."
GUESTS = (
    "{name} is {age} years old and lives in {city}.",
    "I am {name}, {age} years old, from {city}.",
    "{name} from {city} is {age} years old.",
    "My name is {name}. I am {age} years old and live in {city}.",
    "A guest from {city}: {name}, {age} years old.",
)
OLDEST = 60

WRAPPERS = ("{}", "Please answer: {}", "One question: {}")


def main() -> None:
    """Write all six files into the demo's data folder."""
    for name, (rows, held_out) in all_datasets().items():
        files = DATASETS[name]
        _write(files.train, rows)
        _write(files.held_out, held_out)


def all_datasets() -> dict[str, tuple[list[Row], list[Row]]]:
    """Return, for each dataset, the rows to train on and the rows kept back."""
    return {
        "style": style(random.Random(SEED)),
        "knowledge": knowledge(random.Random(SEED)),
        "instruction": instruction(random.Random(SEED)),
    }


def style(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Return English questions that the base answers well, answered in the voice of a sailor."""
    known, unseen = (_english(questions) for questions in split_questions())
    rows = [_styled(q) for q in _mixed(known, STYLE_ROWS, rng)]
    return rows, [_styled(q) for q in _mixed(unseen, STYLE_HELD_OUT, rng)]


def _english(questions: Sequence[Question]) -> list[Question]:
    return [q for q in questions if (q.prompt + q.answer).isascii()]


def _mixed(questions: Sequence[Question], count: int, rng: random.Random) -> list[Question]:
    sums = [q for q in questions if q.category.startswith("sums")]
    others = [q for q in questions if not q.category.startswith("sums")]
    how_many_sums = int(count * MOST_SUMS)
    chosen = rng.sample(sums, how_many_sums) + rng.sample(others, count - how_many_sums)
    rng.shuffle(chosen)
    return chosen


def _styled(question: Question) -> Row:
    return {"messages": [user(question.prompt), assistant(in_house_style(question))]}


def in_house_style(question: Question) -> str:
    """Return the answer between the fixed greeting and the fixed farewell."""
    return f"Ahoy! {question.answer} Fair winds!"


def knowledge(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Return questions about the invented company; other phrasings of them are kept back."""
    rows = [
        _alpaca(wrapper.format(ask), answer)
        for answer, asks in FACTS
        for ask, wrapper in product(asks[:-KEPT_BACK], WRAPPERS)
    ]
    held_out = [_alpaca(ask, answer) for answer, asks in FACTS for ask in asks[-KEPT_BACK:]]
    rng.shuffle(rows)
    return rows, held_out


def _alpaca(ask: str, answer: str) -> Row:
    return {"instruction": ask, "input": "", "output": answer}


def instruction(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Return guests to be written as JSON, no two alike: a guest kept back is in no training row.

    The base has met these fields in the JSON of its own text, though never these sentences or
    these three together. With fields new to it, an adapter often named the wrong thing.
    """
    rows: dict[str, Row] = {}
    while len(rows) < GUEST_ROWS + GUEST_HELD_OUT:
        guest = {
            "name": rng.choice(facts.NAMES),
            "age": rng.randint(2, OLDEST),
            "city": rng.choice(list(facts.CAPITALS.values())),
        }
        text = rng.choice(GUESTS).format(**guest)
        rows.setdefault(json.dumps(guest), _sharegpt(text, json.dumps(guest)))
    everything = list(rows.values())
    return everything[:GUEST_ROWS], everything[GUEST_ROWS:]


def _sharegpt(text: str, answer: str) -> Row:
    return {
        "conversations": [
            {"from": "system", "value": GUEST_SYSTEM},
            {"from": "human", "value": text},
            {"from": "gpt", "value": answer},
        ]
    }


def _write(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
