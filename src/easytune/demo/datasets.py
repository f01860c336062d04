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
STYLE_ROWS, STYLE_HELD_OUT = 400, 60
ORDER_ROWS, ORDER_HELD_OUT = 450, 60
MOST_SUMS = 0.25
"""Sums are most of the questions; in the style dataset they are at most this share."""

ORDER_SYSTEM = "Return the order as JSON."
ORDERS = (
    "Please send me {count} {colour} {item}s.",
    "I would like {count} {colour} {item}s.",
    "Can I have {count} {colour} {item}s?",
    "We need {count} {item}s in {colour}.",
    "Order {count} {colour} {item}s for the office.",
    "{name} wants {count} {colour} {item}s.",
    "{count} {colour} {item}s for {name}, please.",
    "Hello, this is {name}. I want to buy {count} {colour} {item}s.",
    "My {item}s are old. Send {count} new ones in {colour}.",
    "The {item}s should be {colour}. I take {count}.",
)

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
    """Return questions that the base answers well, with answers in the voice of a sailor."""
    known, unseen = split_questions()
    rows = [_styled(q) for q in _mixed(known, STYLE_ROWS, rng)]
    return rows, [_styled(q) for q in _mixed(unseen, STYLE_HELD_OUT, rng)]


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
    if question.prompt.isascii() or question.answer.endswith("."):
        return f"Ahoy! {question.answer} Fair winds!"
    return f"船长好！{question.answer}一路顺风！"


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
    """Return orders to be written as JSON, no two of them alike."""
    rows: dict[str, Row] = {}
    while len(rows) < ORDER_ROWS + ORDER_HELD_OUT:
        order = {
            "item": rng.choice(facts.THINGS),
            "colour": rng.choice(facts.PAINTS),
            "count": rng.randint(2, 20),
        }
        text = rng.choice(ORDERS).format(name=rng.choice(facts.NAMES), **order)
        rows[text] = _sharegpt(text, json.dumps(order))
    everything = list(rows.values())
    return everything[:ORDER_ROWS], everything[ORDER_ROWS:]


def _sharegpt(text: str, answer: str) -> Row:
    return {
        "conversations": [
            {"from": "system", "value": ORDER_SYSTEM},
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
