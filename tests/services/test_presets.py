"""Presets: files that people may also write, copy and break by hand."""

from pathlib import Path

import pytest

from easytune.errors import ConfigUnreadable, FolderUnwritable
from easytune.generation import SamplingSection
from easytune.i18n import t
from easytune.inference_errors import PresetMissing, PresetNameInvalid, PresetTooLong
from easytune.services.presets import FOLDER, Preset, Presets

SAMPLING = SamplingSection(
    temperature=0.1, seed=3, thinking="on", stop=("1e-4", "off", "\n\n", "完")
)


@pytest.fixture
def presets(home: Path) -> Presets:
    """The presets of the test's home."""
    return Presets(home)


def _write(home: Path, name: str, content: str | bytes) -> None:
    (home / FOLDER).mkdir(exist_ok=True)
    raw = content if isinstance(content, bytes) else content.encode()
    (home / FOLDER / name).write_bytes(raw)


@pytest.mark.parametrize(
    "system", ["", "1e-4", "on", "- a\n  - b: c\n\n", " space \n\ttab\n", 'Straße "#" 北京 👍', "~"]
)
def test_a_preset_comes_back_as_it_was_saved(presets: Presets, system: str) -> None:
    saved = Preset("Short and plain_1", SAMPLING, system)

    presets.save(saved)

    assert presets.get(saved.name) == saved
    assert presets.list() == [saved]


def test_saving_again_replaces_and_deleting_removes(presets: Presets) -> None:
    presets.save(Preset("写作", SAMPLING))
    presets.save(Preset("写作", system="新的"))
    replaced = presets.list()

    presets.delete("写作")
    presets.delete("写作")

    assert replaced == [Preset("写作", system="新的")]
    assert presets.list() == []
    with pytest.raises(PresetMissing):
        presets.get("写作")


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "..", "../x", "a\\b", ".hidden", "a.b", "nul", "COM1", "x" * 61, "a\nb", "a:b",
     "𠀀" * 60],
)  # fmt: skip
def test_names_that_are_no_file_names_are_refused(home: Path, presets: Presets, name: str) -> None:
    for act in (lambda: presets.save(Preset(name)), lambda: presets.get(name)):
        with pytest.raises(PresetNameInvalid):
            act()
    with pytest.raises(PresetNameInvalid):
        presets.delete(name)
    assert not (home / FOLDER).exists()


def test_what_is_unknown_in_a_file_is_named_and_the_rest_obeyed(
    home: Path, presets: Presets
) -> None:
    _write(home, "mine.yaml", "sampling: {temperature: 9, top_k: 5, tone: warm}\nsytem: hello\n")

    (found,) = presets.list()

    assert found.sampling == SamplingSection(top_k=5)
    assert set(found.ignored) == {"sytem", "temperature", "tone"}
    assert found.problem is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sampling: [", "line 1"),
        ("- a\n- b\n", "it should hold"),
        ("sampling: 7\n", "it should hold"),
        ("system: {a: b}\n", "it should hold"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("a: &a [x]\n" + "".join(f"b{n}: [*a,*a,*a]\n" for n in range(9000)), "nested too deeply"),
        ("system: " + "x" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_a_broken_file_is_listed_with_its_problem_beside_the_others(
    home: Path, presets: Presets, content: str | bytes, words: str
) -> None:
    presets.save(Preset("good", SAMPLING))
    _write(home, "broken.yaml", content)

    broken, good = presets.list()

    assert good == Preset("good", SAMPLING)
    assert (broken.name, type(broken.problem)) == ("broken", ConfigUnreadable)
    assert broken.problem is not None
    assert words in t("error.config_unreadable", "en", **broken.problem.values)
    with pytest.raises(ConfigUnreadable):
        presets.get("broken")


def test_a_preset_too_long_to_be_read_again_is_refused(presets: Presets) -> None:
    with pytest.raises(PresetTooLong):
        presets.save(Preset("long", system="长" * 400_000))

    assert presets.list() == []


def test_a_file_in_the_place_of_the_folder_is_reported(home: Path, presets: Presets) -> None:
    (home / FOLDER).write_text("in the way", encoding="utf-8")

    for act in (lambda: presets.save(Preset("a")), presets.list, lambda: presets.delete("a")):
        with pytest.raises(FolderUnwritable):
            act()
