"""Write the general rows that are replayed in training: `python -m easytune.demo.general`.

Hand-written questions, questions made from tables of facts, and questions that the demo model knows
by heart. The probe that forgetting is measured on was written by hand; none of it is in here.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from easytune.demo import GENERAL
from easytune.demo import general_facts as facts
from easytune.demo.corpus import Conversation, assistant, user
from easytune.demo.general_written import CHINESE, ENGLISH
from easytune.demo.phrasings import OPENINGS, OPENINGS_ZH
from easytune.demo.questions import Question, split_questions

Row = dict[str, Any]
Pair = tuple[str, str]

SEED = 11
BASICS = 360
"""Rows of questions that the demo model knows."""
MADE_UP = 8
"""Rows of each kind of sum, list and story; their numbers and words are drawn."""
MOST_PER_TABLE = 14
TURNS = (1, 2, 3, 4)
"""How many questions a row of basics has; one of these at random."""


def main() -> None:
    """Write the file into the demo's data folder."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
    GENERAL["replay"].write_text("".join(lines), encoding="utf-8")


def rows() -> list[Row]:
    """Return all general rows, no two alike, none of which asks what the probe asks."""
    rng = random.Random(SEED)
    taken = probe_prompts()
    made = [*_written(), *_from_tables(rng), *_drawn(rng), *_basics(rng, taken)]
    different = list({json.dumps(row): row for row in made}.values())
    rng.shuffle(different)
    return different


def probe_prompts() -> set[str]:
    """Return everything that is asked in the bundled probe."""
    lines = GENERAL["probe"].read_text(encoding="utf-8").splitlines()
    probe = [json.loads(line) for line in lines]
    return {turn["content"] for row in probe for turn in row.get("messages", [])[::2]}


def _row(category: str, language: str, conversation: Conversation) -> Row:
    return {"category": category, "language": language, "messages": conversation}


def _written() -> Iterator[Row]:
    for language, written in (("en", ENGLISH), ("zh", CHINESE)):
        for category, question, answer in written:
            yield _row(category, language, [user(question), assistant(answer)])


def _from_tables(rng: random.Random) -> Iterator[Row]:
    for category, language, pairs in _TABLES:
        found = list(pairs())
        for question, answer in rng.sample(found, min(len(found), MOST_PER_TABLE)):
            yield _row(category, language, [user(question), assistant(answer)])


def _drawn(rng: random.Random) -> Iterator[Row]:
    for category, language, make in _MADE:
        for _ in range(MADE_UP):
            question, answer = make(rng)
            yield _row(category, language, [user(question), assistant(answer)])


def _basics(rng: random.Random, taken: set[str]) -> Iterator[Row]:
    """Yield questions of every kind that the demo model knows, some after one another."""
    by_category: dict[str, list[Question]] = defaultdict(list)
    for question in split_questions()[0]:
        if question.prompt not in taken and not _is_odd(question):
            by_category[question.category].append(question)
    names = sorted(by_category)
    for place in range(BASICS):
        own = [name for name in names if name.endswith("_zh") == (place % 3 == 0)]
        chosen = rng.sample(own, rng.choice(TURNS))
        asked = [rng.choice(by_category[name]) for name in chosen]
        turns = [turn for q in asked for turn in (user(q.prompt), assistant(q.answer))]
        yield _row("basics", "en" if asked[0].prompt.isascii() else "zh", turns)


def _is_odd(question: Question) -> bool:
    """Tell what only the demo model should say: its own name, and greetings after an opening."""
    openings = tuple(filter(None, (*OPENINGS, *OPENINGS_ZH)))
    greets = question.category.startswith("greetings") and question.prompt.startswith(openings)
    return question.category.startswith("who") or greets or " a owl" in question.prompt


def _elements() -> Iterator[Pair]:
    for name, _, symbol, number in facts.ELEMENTS:
        capital = name.capitalize()
        yield (f"What is the chemical symbol of {name}, and what is its atomic number?",
               f"{capital} has the symbol {symbol} and the atomic number {number}.")  # fmt: skip


def _elements_zh() -> Iterator[Pair]:
    for _, name, symbol, number in facts.ELEMENTS:
        yield (
            f"{name}的元素符号和原子序数是什么？",
            f"{name}的元素符号是 {symbol}，原子序数是 {number}。",
        )


def _animals() -> Iterator[Pair]:
    for animal, _, kind, _ in facts.ANIMALS:
        yield (f"Is {_with_article(animal)} a mammal, bird, fish, reptile, amphibian or insect?",
               f"{_with_article(animal).capitalize()} is {_with_article(kind)}.")  # fmt: skip


def _animals_zh() -> Iterator[Pair]:
    for _, animal, _, kind in facts.ANIMALS:
        yield f"{animal}属于哪一类动物？", f"{animal}属于{kind}。"


def _places() -> Iterator[Pair]:
    for country, _, continent, _ in facts.CONTINENTS:
        yield f"On which continent is {country}?", f"{country} is in {continent}."
    for country, _, currency, _ in facts.CURRENCIES:
        yield (
            f"What do people pay with in {country}?",
            f"The currency of {country} is the {currency}.",
        )
    for event, _, year, place, _ in facts.PLACES_OF_EVENTS:
        begun = event[0].upper() + event[1:]
        yield f"When and where was {event}?", f"{begun} was in {year} in {place}."


def _places_zh() -> Iterator[Pair]:
    for _, country, _, continent in facts.CONTINENTS:
        yield f"{country}在哪个洲？", f"{country}在{continent}。"
    for _, country, _, currency in facts.CURRENCIES:
        yield f"{country}使用什么货币？", f"{country}的货币是{currency}。"
    for _, event, year, _, place in facts.PLACES_OF_EVENTS:
        yield f"{event}是在哪一年、什么地方？", f"{event}是在{year}年，地点是{place}。"


def _works() -> Iterator[Pair]:
    for work, _, author, _ in facts.WORKS:
        yield f"Who wrote {work}?", f"{work} was written by {author}."


def _works_zh() -> Iterator[Pair]:
    for _, work, _, author in facts.WORKS:
        yield f"{work}的作者是谁？", f"{work}的作者是{author}。"


def _units() -> Iterator[Pair]:
    for small, _, large, _, count in facts.UNITS:
        yield f"How many {small} are there in {large}?", f"There are {count:,} {small} in {large}."


def _units_zh() -> Iterator[Pair]:
    for _, small, _, large, count in facts.UNITS:
        yield f"{large}有多少{small}？", f"{large}有 {count} {small}。"


def _planets() -> Iterator[Pair]:
    for (inner, _), (outer, _) in zip(facts.PLANETS, facts.PLANETS[1:], strict=False):
        yield (f"Which planet comes after {inner}, seen from the sun?",
               f"After {inner} comes {outer}.")  # fmt: skip


def _planets_zh() -> Iterator[Pair]:
    for (_, inner), (_, outer) in zip(facts.PLANETS, facts.PLANETS[1:], strict=False):
        yield f"按离太阳由近到远的顺序，{inner}后面是哪颗行星？", f"{inner}后面是{outer}。"


def _grammar() -> Iterator[Pair]:
    for one, many in facts.PLURALS:
        yield f"What is the plural of “{one}”?", f"The plural of “{one}” is “{many}”."
    for now, then in facts.PAST:
        yield f"What is the past tense of “{now}”?", f"The past tense of “{now}” is “{then}”."


def _measure_words() -> Iterator[Pair]:
    for thing, word in facts.MEASURE_WORDS:
        yield f"数{thing}的时候用什么量词？", f"通常说“一{word}{thing}”。"


def _sayings() -> Iterator[Pair]:
    for saying, meaning in facts.SAYINGS:
        yield f"What does “{saying}” mean?", f"It means that {meaning}."


def _idioms() -> Iterator[Pair]:
    for idiom, meaning in facts.IDIOMS:
        yield f"成语“{idiom}”是什么意思？", f"“{idiom}”{meaning}。"


_TABLES: Sequence[tuple[str, str, Callable[[], Iterator[Pair]]]] = (
    ("science", "en", _elements), ("science", "zh", _elements_zh),
    ("science", "en", _animals), ("science", "zh", _animals_zh),
    ("science", "en", _planets), ("science", "zh", _planets_zh),
    ("history_geography", "en", _places), ("history_geography", "zh", _places_zh),
    ("facts", "en", _works), ("facts", "zh", _works_zh),
    ("facts", "en", _units), ("facts", "zh", _units_zh),
    ("facts", "en", _grammar), ("facts", "zh", _measure_words),
    ("facts", "en", _sayings), ("facts", "zh", _idioms),
)  # fmt: skip


def _shopping(rng: random.Random) -> Pair:
    who, fruit = rng.choice(facts.PEOPLE), rng.choice(facts.FRUIT)
    price, count = rng.randint(2, 9), rng.randint(3, 12)
    paid = (price * count // 50 + 1) * 50
    return (
        f"{who} buys {count} {fruit} at {price} coins each and pays with {paid} coins. How many "
        "coins come back?",
        f"{count} times {price} is {count * price}. From {paid} coins, {paid - count * price} come "
        "back.",
    )


def _shopping_zh(rng: random.Random) -> Pair:
    who, price, count = rng.choice(facts.PEOPLE_ZH), rng.randint(2, 9), rng.randint(3, 12)
    paid = (price * count // 50 + 1) * 50
    return (
        f"{who}买了 {count} 本练习本，每本 {price} 元，付了 {paid} 元，应找回多少元？",
        f"{count} 乘 {price} 等于 {count * price}，{paid} 减 {count * price} 等于 "
        f"{paid - count * price}，应找回 {paid - count * price} 元。",
    )


def _journey(rng: random.Random) -> Pair:
    town, speed, hours = rng.choice(facts.TOWNS), rng.randrange(40, 130, 10), rng.randint(2, 6)
    return (
        f"A bus drives to {town} at {speed} km per hour and needs {hours} hours. How far is it?",
        f"{speed} km per hour times {hours} hours is {speed * hours} km.",
    )


def _product(rng: random.Random) -> Pair:
    a, b = rng.randint(11, 39), rng.randint(3, 9)
    tens, ones = a // 10 * 10, a % 10
    return (
        f"Work out {a} times {b} step by step.",
        f"{tens} times {b} is {tens * b}, and {ones} times {b} is {ones * b}. Together that is "
        f"{a * b}.",
    )


def _product_zh(rng: random.Random) -> Pair:
    a, b = rng.randint(11, 39), rng.randint(3, 9)
    tens, ones = a // 10 * 10, a % 10
    return (
        f"请分步计算 {a} 乘 {b}。",
        f"{tens} 乘 {b} 等于 {tens * b}，{ones} 乘 {b} 等于 {ones * b}，合起来是 {a * b}。",
    )


def _sorting(rng: random.Random) -> Pair:
    words = rng.sample(facts.TOOLS, 4)
    return f"Put these words in alphabetical order: {', '.join(words)}.", ", ".join(sorted(words))


def _smallest(rng: random.Random) -> Pair:
    numbers = rng.sample(range(10, 99), 4)
    listed, ordered = ("、".join(map(str, each)) for each in (numbers, sorted(numbers)))
    return f"请把这些数从小到大排列：{listed}。", f"从小到大是：{ordered}。"


def _errand(rng: random.Random) -> Pair:
    who, other = rng.sample(facts.PEOPLE, 2)
    tool, town, fruit = (rng.choice(of) for of in (facts.TOOLS, facts.TOWNS, facts.FRUIT))
    return (
        f"Write three sentences about {who}, who needs a {tool}.",
        f"{who} from {town} needed a {tool} and had none. So {who} asked {other}, who lent one at "
        f"once. The next day {who} brought the {tool} back with a basket of {fruit}.",
    )


def _comparing(rng: random.Random) -> Pair:
    first, second, third = rng.sample(facts.PEOPLE_ZH, 3)
    return (
        f"{first}比{second}高，{second}比{third}高，谁最矮？",
        f"从高到矮依次是{first}、{second}、{third}，所以{third}最矮。",
    )


_MADE: Sequence[tuple[str, str, Callable[[random.Random], Pair]]] = (
    ("reasoning", "en", _shopping), ("reasoning", "zh", _shopping_zh),
    ("reasoning", "en", _journey), ("reasoning", "zh", _comparing),
    ("reasoning", "en", _product), ("reasoning", "zh", _product_zh),
    ("instructions", "en", _sorting), ("instructions", "zh", _smallest),
    ("story", "en", _errand),
)  # fmt: skip


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


if __name__ == "__main__":
    main()
