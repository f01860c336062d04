"""Everything the data part can say has words in every complete language."""

import re
from pathlib import Path

import pytest

from easytune import data
from easytune.i18n import has

SOURCES = "\n".join(
    file.read_text(encoding="utf-8") for file in Path(data.__path__[0]).rglob("*.py")
)
CODES = {
    "data.problem": r'(?:RowInvalid\(|Problem\(number, source, |code = )"(\w+)"',
    "data.reason": r'(?:RowInvalid\(|Problem\(number, source, |code = )"(\w+)"',
    "data.unreadable": r'unreadable\([\w.()]+, "(\w+)"',
    "notice.data": r'(?:add\(|"data\.|noted\[)"?(\w+)"',
    "data.entry": r"@data\.entry\.(\w+)",
}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("area", CODES)
def test_every_code_in_the_source_has_a_text(area: str, lang: str) -> None:
    found = set(re.findall(CODES[area], SOURCES))
    assert len(found) >= 4
    assert [code for code in sorted(found) if not has(f"{area}.{code}", lang)] == []
