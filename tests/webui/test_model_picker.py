"""What the pickers of models show."""

from datetime import datetime
from pathlib import Path

from easytune.services.catalogue import Model
from easytune.webui import model_picker

BEGAN = datetime(2026, 3, 4, 15, 30).astimezone()


def test_a_narrow_picker_shows_what_tells_checkpoints_apart() -> None:
    checkpoint = Model(
        "1-mine@120", "checkpoint", "mine @120", Path("c"), "demo", "demo", 0.02, BEGAN,
        step=120, is_adapter=True, name="mine", began=BEGAN,
    )  # fmt: skip
    line = model_picker.line(checkpoint, "en")
    assert line == "mine · step 120 · 2026-03-04 15:30 · 20 MB · on demo / Checkpoints"


def test_the_beginning_of_a_name_is_enough_and_paths_stay_as_they_are() -> None:
    models = [Model(id, "base", id, Path(id), None, "", 1.0, BEGAN) for id in ("demo", "qwen-4b")]
    found = [model_picker.meant(models, typed, "en") for typed in ("Demo", "qwen", "/a/b", "o/m")]
    assert found == ["demo", "qwen-4b", "/a/b", "o/m"]


def test_only_whole_models_are_offered_as_a_base() -> None:
    base = Model("qwen", "base", "qwen", Path("q"), None, "", 1.5, BEGAN)
    adapter = Model("a", "adapter", "a", Path("a"), "qwen", "qwen", 0.1, BEGAN, is_adapter=True)
    offered = model_picker.bases([base, adapter], "en")
    assert [id for _, id in offered] == ["", "qwen"]


def test_what_was_trained_here_is_suggested_before_what_was_exported_or_imported() -> None:
    whole = Model("demo", "base", "demo", Path("d"), None, "", 1.5, BEGAN)
    kinds: list[tuple[str, str | None]] = [("exported", None), ("mine", "mine")]
    exported, mine = (
        Model(id, "adapter", id, Path(id), "demo", "demo", 0.1, BEGAN, run=run, is_adapter=True)
        for id, run in kinds
    )
    assert model_picker.suggested([whole, exported, mine]) is mine
    assert model_picker.suggested([whole, exported]) is exported
    assert model_picker.suggested([whole]) is None
