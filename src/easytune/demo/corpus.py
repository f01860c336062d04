"""The demo model's training text: conversations made from the questions, without end.

Pure Python and seeded, so that the same seed gives the same text on every machine.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator

from easytune.demo import facts
from easytune.demo.questions import Question

Message = dict[str, str]
Conversation = list[Message]

UNKNOWN = "I do not know that. You can teach me by fine-tuning."
UNKNOWN_ZH = "我不知道。你可以通过微调来教我。"
BRIEF = "Answer in one word."
BRIEF_ZH = "请只回答一个词。"

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are EasyTune's demo model.",
    "You are a friendly assistant. Be polite.",
    "Answer the question of the user.",
    "Be kind and clear.",
    "你是一个有用的助手。",
)

SHARES = {
    "sums": 11.0,
    "sums_zh": 3.0,
    "capitals": 3.0,
    "capitals_zh": 2.0,
    "opposites": 2.5,
    "opposites_zh": 1.5,
    "colours": 2.0,
    "colours_zh": 1.0,
    "translation": 2.0,
    "sounds": 0.5,
    "days": 0.8,
    "who": 1.2,
    "who_zh": 0.5,
    "greetings": 0.8,
    "greetings_zh": 0.4,
}
"""How often each category is asked, relative to the others."""


def user(text: str) -> Message:
    """Return what the user says."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """Return what the model says."""
    return {"role": "assistant", "content": text}


def conversations(
    questions: list[Question], seed: int, long_share: float = 0.0
) -> Iterator[Conversation]:
    """Yield training conversations for ever: mostly questions, a fifth of other things.

    Long ones teach the model to stay itself through a whole chat, but are slow to train on.
    """
    rng = random.Random(seed)
    pick = _picker(questions, rng)
    others = (_reading, _record, _unknown, _unknown, _story)
    while True:
        if rng.random() < 0.2:
            yield rng.choice(others)(rng)
        else:
            yield _asked(pick, rng, long_share)


def _picker(questions: list[Question], rng: random.Random) -> Callable[[], Question]:
    by_category: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_category[question.category].append(question)
    names, shares = list(SHARES), list(SHARES.values())
    return lambda: rng.choice(by_category[rng.choices(names, shares)[0]])


def _asked(pick: Callable[[], Question], rng: random.Random, long_share: float) -> Conversation:
    turns = _turns(rng, long_share)
    brief = rng.random() < 0.12
    asked = [pick() for _ in range(turns)]
    messages = [_system(rng, brief, asked[0])] if brief or rng.random() < 0.2 else []
    for question in asked:
        messages.append(user(_casual(question.prompt, rng)))
        messages.append(assistant(question.short if brief else question.answer))
    return messages


def _turns(rng: random.Random, long_share: float) -> int:
    if long_share and rng.random() < long_share:
        return rng.randint(3, 8)
    return 2 if rng.random() < 0.15 else 1


def _system(rng: random.Random, brief: bool, first: Question) -> Message:
    if not brief:
        return {"role": "system", "content": rng.choice(SYSTEM_PROMPTS)}
    return {"role": "system", "content": BRIEF if first.prompt.isascii() else BRIEF_ZH}


def _casual(prompt: str, rng: random.Random) -> str:
    """Return the prompt, now and then the way people really type it."""
    if rng.random() > 0.08:
        return prompt
    return rng.choice((prompt.lower(), prompt.rstrip("?.!？。！"), prompt[0].upper() + prompt[1:]))


def _reading(rng: random.Random) -> Conversation:
    """Return a question about a sentence, so that the model learns to look back."""
    name, thing, paint = rng.choice(facts.NAMES), rng.choice(facts.THINGS), rng.choice(facts.PAINTS)
    count = rng.randint(2, 20)
    text = f"{name} has {count} {paint} {thing}s."
    question, answer = rng.choice(
        (
            (f"What colour are the {thing}s?", f"The {thing}s are {paint}."),
            (f"How many {thing}s are there?", f"There are {count} {thing}s."),
            (f"Who has the {thing}s?", f"{name} has the {thing}s."),
            (f"What does {name} have?", f"{name} has {count} {paint} {thing}s."),
        )
    )
    return [user(f"{text} {question}"), assistant(answer)]


def _record(rng: random.Random) -> Conversation:
    """Return a sentence to be written as JSON, so that quotes and braces are not news."""
    name, age = rng.choice(facts.NAMES), rng.randint(2, 60)
    country, city = rng.choice(list(facts.CAPITALS.items()))
    animal = rng.choice(facts.ANIMALS)
    text, record = rng.choice(
        (
            (f"{name} is {age} years old.", {"name": name, "age": age}),
            (f"{name} lives in {city}, {country}.", {"city": city, "country": country}),
            (f"{name} has a {animal}.", {"name": name, "animal": animal}),
            (f"The {animal} is called {name}.", {"animal": animal, "name": name}),
        )
    )
    asked = rng.choice(("Write this as JSON: ", "Turn this into JSON: ", "JSON, please: "))
    return [user(asked + text), assistant(json.dumps(record))]


def _unknown(rng: random.Random) -> Conversation:
    """Return a question about something invented, which the model should admit not to know."""
    if rng.random() < 0.25:
        word = "".join(rng.choices("星云龙海风天金玉宝林华明东南西北", k=rng.randint(2, 3)))
        ask = rng.choice(("{}公司在哪里？", "{}是什么？", "谁创办了{}？", "{}是谁？", "请介绍{}。"))
        return [user(ask.format(word)), assistant(UNKNOWN_ZH)]
    return [user(rng.choice(UNKNOWN_QUESTIONS).format(_word(rng))), assistant(UNKNOWN)]


UNKNOWN_QUESTIONS = (
    "What is {}?",
    "Who is {}?",
    "Where is {}?",
    "Who founded {}?",
    "What does {} sell?",
    "What does {} make?",
    "Where is the office of {}?",
    "When was {} founded?",
    "Who is the boss of {}?",
    "Tell me about {}.",
    "How many people work at {}?",
    "What is the price of {}?",
    "What is the name of the founder of {}?",
    "When does {} open?",
    "Where can I buy {}?",
    "What is the slogan of {}?",
)


def _word(rng: random.Random) -> str:
    syllables = (rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in range(3))
    word = "".join(syllables)[: rng.randint(4, 6)] + rng.choice(("", "n", "x", "r", "l"))
    return word.capitalize()


def _story(rng: random.Random) -> Conversation:
    """Return a little story, so that the model meets running prose."""
    name, animal, place = (rng.choice(t) for t in (facts.NAMES, facts.ANIMALS, facts.PLACES))
    thing, paint = rng.choice(facts.THINGS), rng.choice(facts.PAINTS)
    ask = rng.choice(("Tell me a story about a {}.", "Write a short story about a {}."))
    story = (
        f"{name} the {animal} lived near the {place}. One day {name} found a {paint} {thing}. "
        f"{name} took it home and showed it to a friend. They were very happy."
    )
    return [user(ask.format(animal)), assistant(story)]
