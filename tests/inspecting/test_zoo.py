"""Every hostile file is refused or warned of for the right reason, and nothing of it is run."""

import re
import shutil
from pathlib import Path

import pytest

from easytune import demo
from easytune.i18n import has
from easytune.inspecting import template_trial
from easytune.inspecting.check import check
from easytune.inspection_files import StaticReport
from tests.conftest import ROOT
from tests.inspecting import sound
from tests.inspecting.zoo_adapters import KEYS, MODELS, OPTIONS, TOKENIZERS
from tests.inspecting.zoo_files import CANARY, FILES, HEADERS, PICKLES, Zoo
from tests.inspecting.zoo_templates import HARMLESS, TEMPLATES

# What may be imported by somebody who has read why not.
WARNED = {
    "vocabulary_grown", "whole_module", "whole_unusual", "tokens_trained", "target_absent",
    "weights_huge", "does_nothing",
    "invocation", "option_unusual", "option_unknown", "kind_rare", "scale_unusual",
    "base_quantized", "base_by_address", "special_changed", "token_moved", "token_is_word",
    "token_special_changed", "tokenizer_larger", "vocabulary_moved", "tokenizer_part",
    "generation_steers", "template_gate", "template_rewrites", "template_address",
    "template_packed", "template_hidden_letters", "template_prose", "template_call",
    "template_loops", "template_drops", "code_in_weights", "header_metadata_large", "program",
}  # fmt: skip
TRIED = ("template_heavy", "template_drops")
ALL: Zoo = {
    f"{kind}: {name}": entry
    for kind, zoo in (
        ("pickle", PICKLES), ("file", FILES), ("header", HEADERS), ("key", KEYS),
        ("option", OPTIONS), ("tokenizer", TOKENIZERS), ("model", MODELS), ("template", TEMPLATES),
    )
    for name, entry in zoo.items()
}  # fmt: skip


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound adapter that every test copies."""
    return sound.make(tmp_path_factory.mktemp("zoo") / "sound")


def _checked(adapter: Path, folder: Path, change: object) -> StaticReport:
    shutil.copytree(adapter, folder)
    change(folder)  # type: ignore[operator]
    return check(folder, demo.MODEL)


def test_a_sound_adapter_passes_without_a_word(adapter: Path) -> None:
    report = check(adapter, demo.MODEL)

    assert report.verdict == "passed"
    assert report.findings == ()
    assert [file.path for file in report.files] == [sound.CONFIG, sound.WEIGHTS]
    assert report.declared["r"] == sound.RANK


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_adapter_is_found_out(
    name: str, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CANARY, str(tmp_path / "canary"))
    change, code = ALL[name]
    if code.startswith("template") and code not in TRIED:
        # What the tree tells needs no child, which takes as long as fifty other tests.
        monkeypatch.setattr(template_trial, "check", lambda place, text, findings: None)

    report = _checked(adapter, tmp_path / "adapter", change)

    codes = {one.code for one in report.findings if one.severity != "note"}
    assert code in codes, report.findings
    assert report.verdict in (("warnings", "refused") if code in WARNED else ("refused",))
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", HARMLESS)
def test_an_ordinary_template_is_only_shown_beside_the_base_s_own(
    name: str, adapter: Path, tmp_path: Path
) -> None:
    change = sound.with_text("chat_template.jinja", HARMLESS[name])

    report = _checked(adapter, tmp_path / "adapter", change)

    assert report.findings == ()
    assert report.templates[0].diff


def test_every_finding_has_a_sentence() -> None:
    sources = (ROOT / "src" / "easytune" / "inspecting").rglob("*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in sources)
    codes = set(re.findall(r'(?:\.add|\.refuse)\(\s*"(\w+)"', text))
    codes |= set(re.findall(r'yield "(template_\w+)"', text)) | {code for _, code in ALL.values()}

    assert len(codes) > 90
    assert sorted(code for code in codes if not has(f"inspection.finding.{code}", "en")) == []
