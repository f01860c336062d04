"""Whether numbers that carry check digits are right."""

import re
from datetime import date

_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_COMPANY_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27,
    "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24,
    "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31,
    "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def luhn_fits(digits: str) -> bool:
    """Tell whether the last digit of a card number is right."""
    if len(set(digits)) == 1:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def is_chinese_resident(number: str) -> bool:
    """Tell whether 18 signs are a resident's number: a day of birth, and its check sign."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(d) * w for d, w in zip(number, _RESIDENT_WEIGHTS, strict=False))
    return born.year >= 1850 and "10X98765432"[total % 11] == number[17].upper()


def is_chinese_company(number: str) -> bool:
    """Tell whether 18 signs are a unified social credit code (GB 32100)."""
    if len(set(number)) < 4 or not number[2:8].isdigit():
        return False
    total = sum(_COMPANY_SIGNS.index(s) * pow(3, i, 31) for i, s in enumerate(number[:17]))
    return _COMPANY_SIGNS[-total % 31] == number[17]


def cpf_fits(number: str) -> bool:
    """Tell whether the check digits of a Brazilian taxpayer's number are right."""
    digits = [int(digit) for digit in re.sub(r"\D", "", number)]
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        total = sum(d * (length + 1 - place) for place, d in enumerate(digits[:length]))
        if total * 10 % 11 % 10 != digits[length]:
            return False
    return True


def dni_fits(number: str) -> bool:
    """Tell whether the letter of a Spanish identity number is right."""
    return _DNI_LETTERS[int(number[:8]) % 23] == number[-1]


def verhoeff_fits(digits: str) -> bool:
    """Tell whether the last digit is right by Verhoeff's rule, as in Indian identity numbers."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_DIHEDRAL[check][int(_PERMUTATION[place % 8][int(digit)])])
    return check == 0


def iban_length(country: str) -> int:
    """Return how many signs bank account numbers of a country have; 0 when it has none."""
    return _IBAN_LENGTHS.get(country, 0)


def is_iban(number: str) -> bool:
    """Tell whether the check digits of a bank account number are right (ISO 13616)."""
    moved = number[4:] + number[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1
