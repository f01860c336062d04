"""Every question the demo model should answer: each phrasing of each fact, split once for all.

The split keeps back combinations: the model has met the phrasing and it has met the fact, but
never this fact in this phrasing. Sums are kept back as pairs of numbers, in every phrasing.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from easytune.demo import facts
from easytune.demo.phrasings import (
    CAPITAL,
    CAPITAL_ZH,
    CHAT,
    COLOUR,
    COLOUR_ZH,
    COUNTRY,
    DAY_AFTER,
    DAY_BEFORE,
    OPENINGS,
    OPENINGS_ZH,
    OPPOSITE,
    OPPOSITE_ZH,
    SOUND,
    SUM,
    SUM_ZH,
    TRANSLATE,
    TRANSLATE_ZH,
)

LARGEST_ADDEND = 50
HELD_OUT_SHARE = 12
"""One combination in this many is kept back."""


@dataclass(frozen=True)
class Question:
    """A prompt with the one answer that counts as right, and the same answer in one word."""

    category: str
    prompt: str
    answer: str
    short: str
    key: str
    """What decides whether this question is kept back."""


def split_questions() -> tuple[list[Question], list[Question]]:
    """Return the questions to train on and those kept back, with no prompt in both."""
    everything = list(_all_questions())
    held_out = {q.prompt: q for q in everything if _is_kept_back(q.key)}
    prompts = {prompt.lower() for prompt in held_out}
    return [q for q in everything if q.prompt.lower() not in prompts], list(held_out.values())


def _is_kept_back(key: str) -> bool:
    return zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0


def _all_questions() -> Iterator[Question]:
    yield from _small_talk()
    yield from _sums()
    yield from _capitals()
    yield from _opposites()
    yield from _colours()
    yield from _translations()
    yield from _sounds()
    yield from _days()


def _small_talk() -> Iterator[Question]:
    for category, prompts, answer in CHAT:
        openings = OPENINGS if prompts[0].isascii() else OPENINGS_ZH
        for opening, prompt in product(openings, prompts):
            text = opening + prompt
            yield Question(category, text, answer, answer, text)


def _sums() -> Iterator[Question]:
    numbers = range(LARGEST_ADDEND + 1)
    for a, b in product(numbers, numbers):
        for category, stop, phrasings in (("sums", ".", SUM), ("sums_zh", "。", SUM_ZH)):
            for phrasing in phrasings:
                answer, short = f"{a} + {b} = {a + b}{stop}", f"{a + b}{stop}"
                yield Question(category, phrasing.format(a, b), answer, short, f"{a}+{b}")


def _fill(
    category: str, phrasings: tuple[str, ...], word: str, answer: str, short: str
) -> Iterator[Question]:
    for phrasing in phrasings:
        prompt = phrasing.format(word)
        yield Question(category, prompt, answer, short, prompt)


def _capitals() -> Iterator[Question]:
    for country, city in facts.CAPITALS.items():
        forward = f"The capital of {country} is {city}."
        yield from _fill("capitals", CAPITAL, country, forward, f"{city}.")
        backward = f"{city} is the capital of {country}."
        yield from _fill("capitals", COUNTRY, city, backward, f"{country}.")
    for country, city in facts.CAPITALS_ZH.items():
        answer = f"{country}的首都是{city}。"
        yield from _fill("capitals_zh", CAPITAL_ZH, country, answer, f"{city}。")


def _opposites() -> Iterator[Question]:
    for pair in facts.OPPOSITES.items():
        for word, other in (pair, pair[::-1]):
            answer = f"The opposite of {word} is {other}."
            yield from _fill("opposites", OPPOSITE, word, answer, f"{other.capitalize()}.")
    for pair in facts.OPPOSITES_ZH.items():
        for word, other in (pair, pair[::-1]):
            answer = f"“{word}”的反义词是“{other}”。"
            yield from _fill("opposites_zh", OPPOSITE_ZH, word, answer, f"{other}。")


def _colours() -> Iterator[Question]:
    for thing, colour in facts.COLOURS.items():
        answer = f"{thing[0].upper()}{thing[1:]} is {colour}."
        yield from _fill("colours", COLOUR, thing, answer, f"{colour.capitalize()}.")
    for thing, colour in facts.COLOURS_ZH.items():
        yield from _fill("colours_zh", COLOUR_ZH, thing, f"{thing}是{colour}的。", f"{colour}。")


def _translations() -> Iterator[Question]:
    for word, chinese in facts.TRANSLATIONS.items():
        answer = f"“{word}” in Chinese is “{chinese}”."
        yield from _fill("translation", TRANSLATE, word, answer, f"{chinese}。")
        answer = f"“{chinese}”的英文是“{word}”。"
        yield from _fill("translation", TRANSLATE_ZH, chinese, answer, f"{word.capitalize()}.")


def _sounds() -> Iterator[Question]:
    for animal, sound in facts.SOUNDS.items():
        answer = f"The {animal} says {sound}."
        yield from _fill("sounds", SOUND, animal, answer, f"{sound.capitalize()}.")


def _days() -> Iterator[Question]:
    for day, following in zip(facts.DAYS, facts.DAYS[1:] + facts.DAYS[:1], strict=True):
        answer = f"The day after {day} is {following}."
        yield from _fill("days", DAY_AFTER, day, answer, f"{following}.")
        answer = f"The day before {following} is {day}."
        yield from _fill("days", DAY_BEFORE, following, answer, f"{day}.")
