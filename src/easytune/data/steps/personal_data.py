"""Replacing personal data: addresses and numbers, each proved by its own check where it has one.

Detection is strict on purpose: a number is replaced when its check digits are right, or when it is
valid where it belongs. Names of people are not found.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from easytune.data.formats import Layout
from easytune.data.steps.check_digits import (
    cpf_fits,
    dni_fits,
    iban_length,
    is_chinese_company,
    is_chinese_resident,
    is_iban,
    luhn_fits,
    verhoeff_fits,
)
from easytune.data.steps.options import PersonalDataSection
from easytune.data.steps.step import Transform
from easytune.data.steps.texts import Texts

Mask = Callable[[str], str]
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}"
    r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"
)
_CARD = re.compile(r"(?<![\d.,-])[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\d]|[.,]\d)"
                   r"|(?<![\d.,-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?!\d|[.,]\d)")  # fmt: skip
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,32}")
_RESIDENT = re.compile(r"(?<![A-Za-z0-9])[1-9]\d{16}[\dXx](?![A-Za-z0-9])")
_COMPANY = re.compile(r"(?<![A-Za-z0-9])[0-9A-HJ-NPQRTUWXY]{18}(?![A-Za-z0-9])")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_CPF = re.compile(r"(?<!\d)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
_AADHAAR = re.compile(r"(?<!\d)(?<!\d[ -])[2-9]\d{3}([ -])\d{4}\1\d{4}(?![ -]?\d)")
_DNI = re.compile(r"(?<![A-Za-z0-9])\d{8}-?[A-Z](?![A-Za-z0-9])")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"
                 r"|(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")  # fmt: skip
_DIGITS = re.compile(r"\d(?:[ \t\u3000().\-/\u2010-\u2015]{0,4}\d){6,}")
_CONTEXT = 24
_FEWEST_GROUPS = 3
# Those of the shortest phone numbers.
_FEWEST_DIGITS = 7
_NUMERALS = "0123456789０１２３４５６７８９"
_SEPARATED = re.compile(r"[ -]")


def prepare(options: PersonalDataSection, found: Counter[str]) -> Transform:
    """Return what replaces the personal data of a row, counting what it found by kind."""
    texts, mask = Texts(options.fields, everywhere=True), masker(options, found)

    def replace(value: Any, layout: Layout) -> list[Any]:
        return [texts.changed(value, mask)]

    return replace


def masker(options: PersonalDataSection, found: Counter[str]) -> Mask:
    """Return what replaces the personal data of a text."""
    masks = [*_masks(options, found)]
    addresses = [*_addresses(options, found)]

    def mask(text: str) -> str:
        new = text
        for change in addresses:
            new = change(new)
        # Most texts have no number of any length, and ten patterns take a while.
        if sum(map(text.count, _NUMERALS)) >= _FEWEST_DIGITS:
            for change in masks:
                new = change(new)
        return text if new == text else new

    return mask


def _addresses(options: PersonalDataSection, found: Counter[str]) -> Iterator[Mask]:
    if options.email:
        yield _if_any("@", _by_pattern("email", _EMAIL, None, found))
    if options.ip_address:
        yield _by_pattern("ip", _IP, _is_address, found)


def _masks(options: PersonalDataSection, found: Counter[str]) -> Iterator[Mask]:
    """Yield a mask per kind, the strictest first: what one has replaced the next does not see."""
    if options.iban:
        yield _ibans(found)
    if options.id_number:
        yield from (_by_pattern("id", pattern, fits, found) for pattern, fits in _IDS)
    if options.card:
        yield _by_pattern("card", _CARD, lambda text: luhn_fits(_SEPARATED.sub("", text)), found)
    if options.phone:
        yield _phones(options.regions, found)


_IDS: tuple[tuple[re.Pattern[str], Callable[[str], bool] | None], ...] = (
    (_RESIDENT, is_chinese_resident),
    (_COMPANY, is_chinese_company),
    (_SSN, None),
    (_CPF, cpf_fits),
    (_AADHAAR, lambda text: verhoeff_fits(_SEPARATED.sub("", text))),
    (_DNI, dni_fits),
)
"""Numbers that stand for a person or a company, and what must be true of each."""


def _by_pattern(
    kind: str, pattern: re.Pattern[str], fits: Callable[[str], bool] | None, found: Counter[str]
) -> Mask:
    placeholder = f"[{kind.upper()}]"

    def replace(match: re.Match[str]) -> str:
        if fits is not None and not fits(match[0]):
            return match[0]
        found[kind] += 1
        return placeholder

    return lambda text: pattern.sub(replace, text)


def _if_any(sign: str, mask: Mask) -> Mask:
    return lambda text: mask(text) if sign in text else text


def _ibans(found: Counter[str]) -> Mask:
    def replace(match: re.Match[str]) -> str:
        end = _iban_end(match[0])
        if end is None or not is_iban(match[0][:end].replace(" ", "")):
            return match[0]
        found["iban"] += 1
        return f"[IBAN]{match[0][end:]}"

    return lambda text: _IBAN.sub(replace, text)


def _iban_end(text: str) -> int | None:
    """Return where an IBAN ends that may be followed by words in capitals; blanks do not count."""
    left = iban_length(text[:2])
    for place, character in enumerate(text):
        left -= character != " "
        if left == 0:
            whole = text[place + 1 : place + 2] in ("", " ")
            return place + 1 if whole else None
    return None


def _is_address(text: str) -> bool:
    # `a::b` is an address too, but much more often a name in a program.
    if ":" in text and len([group for group in text.split(":") if group]) < _FEWEST_GROUPS:
        return False
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _phones(regions: tuple[str, ...], found: Counter[str]) -> Mask:
    def replace(text: str) -> str:
        pieces, end = [], 0
        for first, last in _phone_spans(text, regions):
            if first < end:
                continue
            found["phone"] += 1
            pieces += [text[end:first], "[PHONE]"]
            end = last
        return "".join([*pieces, text[end:]]) if pieces else text

    return replace


def _phone_spans(text: str, regions: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return where phone numbers are. The library is slow, so it sees digits and what is near."""
    spans: set[tuple[int, int]] = set()
    for first, last in _near_digits(text):
        part = text[first:last]
        for region in regions or (None,):
            spans |= {(first + start, first + end) for start, end in _numbers(part, region)}
    return sorted(spans)


def _near_digits(text: str) -> Iterator[tuple[int, int]]:
    """Yield where digits are, with what is near; each piece of a text once."""
    first = last = 0
    for digits in _DIGITS.finditer(text):
        if digits.start() - _CONTEXT > last:
            if last:
                yield first, last
            first = digits.start() - _CONTEXT
        last = digits.end() + _CONTEXT
    if last:
        yield first, last


def _numbers(text: str, region: str | None) -> list[tuple[int, int]]:
    # A sixth of a second to import.
    from phonenumbers import PhoneNumberMatcher

    return [(match.start, match.end) for match in PhoneNumberMatcher(text, region)]
