"""A checkpoint counts only when all of it is there, as it was written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from easytune import checkpoints
from easytune.errors import CheckpointInvalid

FILES = (
    "adapter_model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "trainer_state.json",
)


def make(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    for name in FILES:
        (path / name).write_bytes(name.encode() * 50)
    checkpoints.seal(path, step)
    return path


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("harm", [flip_a_bit, cut, Path.unlink])
@pytest.mark.parametrize("name", [*FILES, checkpoints.MANIFEST])
def test_harm_to_any_file_is_found(tmp_path: Path, name: str, harm: Callable[[Path], None]) -> None:
    older, newer = make(tmp_path, 9), make(tmp_path, 10)
    assert checkpoints.valid(tmp_path) == [newer, older]
    harm(newer / name)
    if name == checkpoints.MANIFEST and harm is flip_a_bit:
        # A flipped bit in a manifest shows as a wrong sum or as broken JSON, if it matters at all.
        (newer / name).write_text((newer / name).read_text(errors="replace")[1:])
    with pytest.raises(CheckpointInvalid):
        checkpoints.verify(newer)
    assert checkpoints.valid(tmp_path) == [older]


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_that_would_not_resume_exactly_is_not_sealed(
    tmp_path: Path, name: str
) -> None:
    path = make(tmp_path, 1)
    (path / name).unlink()
    with pytest.raises(CheckpointInvalid, match=name.partition(".")[0]):
        checkpoints.seal(path, 1)


def test_a_manifest_that_forgets_the_optimizer_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path, 1)
    manifest = json.loads((path / checkpoints.MANIFEST).read_text())
    del manifest["files"]["optimizer.pt"]
    (path / checkpoints.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointInvalid, match="optimizer"):
        checkpoints.verify(path)


def test_the_newest_is_found_by_step_not_by_name(tmp_path: Path) -> None:
    make(tmp_path, 9)
    make(tmp_path, 100)
    (tmp_path / "checkpoint-200").mkdir()
    assert [checkpoints.step_of(c) for c in checkpoints.valid(tmp_path)] == [100, 9]


def test_no_folder_means_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoints.valid(tmp_path / "none") == []
