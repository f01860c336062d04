"""Sound adapters of many kinds and families pass the check.

One that replaces a module of its base, or trains its tokens, is sound, but the user is told.
"""

from pathlib import Path

import pytest

from easytune.inspecting import adapter_options
from easytune.inspecting.check import check
from tests.engine import clean_adapters

TOLD = {
    "llama head": {"whole_module"},
    "llama embeddings whole": {"whole_module"},
    "llama norms": {"whole_module"},
    "llama tokens": {"tokens_trained"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where bases and adapters lie."""
    return tmp_path_factory.mktemp("clean")


@pytest.mark.parametrize("kind", clean_adapters.KINDS)
def test_a_sound_adapter_of_any_kind_passes(kind: str, home: Path) -> None:
    base, adapter = clean_adapters.make(kind, home)

    report = check(adapter, base)

    told = TOLD.get(kind, set())
    assert {one.code for one in report.findings if one.severity != "note"} == told
    assert report.verdict == ("warnings" if told else "passed")


def test_every_option_of_peft_is_known() -> None:
    from dataclasses import fields

    from peft import LoraConfig

    assert {one.name for one in fields(LoraConfig)} == adapter_options.KNOWN
