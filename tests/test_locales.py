import ast
import re
import string
from collections.abc import Iterator
from dataclasses import fields

import pytest

from easytune import (
    deployment_errors,
    errors,
    evaluation_errors,
    export_errors,
    hub_errors,
    i18n,
    inference_errors,
    inspection_errors,
    registry_errors,
)
from easytune.webui.language import all_options
from tests.conftest import ROOT

EN, ZH = i18n.texts("en"), i18n.texts("zh")
KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
SECTIONS = {key.partition(".")[0] for key in ZH}
assert inference_errors.PromptEmpty in errors.EasyTuneError.__subclasses__()
assert registry_errors.EntryMissing in errors.EasyTuneError.__subclasses__()
assert deployment_errors.PortTaken in errors.EasyTuneError.__subclasses__()
assert export_errors.ExportMissing in errors.EasyTuneError.__subclasses__()
assert hub_errors.HubRefused in errors.EasyTuneError.__subclasses__()
assert evaluation_errors.NotLonger in errors.EasyTuneError.__subclasses__()
assert inspection_errors.ImportRefused in errors.EasyTuneError.__subclasses__()
ERRORS = sorted(errors.EasyTuneError.__subclasses__(), key=lambda error: error.__name__)


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_english_and_chinese_have_the_same_texts() -> None:
    chinese = {key for key in ZH if not key.startswith("option.")}

    assert set(EN) - chinese == set()
    assert chinese - set(EN) == set()


def test_both_languages_fill_in_the_same_values() -> None:
    differing = [key for key in EN if _placeholders(EN[key]) != _placeholders(ZH[key])]

    assert differing == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_sentence_made_of_its_own_facts(
    error: type[errors.EasyTuneError],
) -> None:
    text = EN[f"error.{error.code()}"]

    assert _placeholders(text) <= {field.name for field in fields(error)}  # type: ignore[arg-type]


def test_every_option_has_a_chinese_label_and_explanation() -> None:
    paths = [f"option.{option.path}" for option in all_options()]
    wanted = {f"{path}.{part}" for path in paths for part in ("label", "help")}

    assert wanted == {key for key in ZH if key.startswith("option.")}


def test_chinese_explanations_are_short() -> None:
    long = [key for key in ZH if re.fullmatch(r"option\..*\.help", key) and len(ZH[key]) > 60]

    assert long == []


def test_every_text_the_code_asks_for_exists() -> None:
    asked = {key for key in _literals() if key.partition(".")[0] in SECTIONS}

    assert sorted(key for key in asked if key not in EN) == []


def test_every_kind_of_text_the_code_asks_for_by_a_name_exists() -> None:
    prefixes = {text for text in _prefixes() if text.partition(".")[0] in SECTIONS}

    without = [start for start in prefixes if not any(key.startswith(start) for key in ZH)]
    assert sorted(without) == []


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_texts_keep_calm(lang: str) -> None:
    loud = [key for key, text in i18n.texts(lang).items() if "!" in text or "！" in text]

    assert loud == []


def _literals() -> Iterator[str]:
    """Yield the text keys that the code names in full: the first argument of t() and label()."""
    for call in _calls():
        first = call.args[0] if call.args else None
        for node in ast.walk(first) if first else ():
            if isinstance(node, ast.Constant) and KEY.fullmatch(str(node.value)):
                yield str(node.value)


def _prefixes() -> Iterator[str]:
    """Yield the beginnings of keys that the code completes: t(f"error.{code}")."""
    for call in _calls():
        first = call.args[0] if call.args else None
        if isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
            yield str(first.values[0].value)


def _calls() -> Iterator[ast.Call]:
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else None
                name = node.func.id if isinstance(node.func, ast.Name) else name
                if name in ("t", "label", "has"):
                    yield node
