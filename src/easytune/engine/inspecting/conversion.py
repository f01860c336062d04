"""Pickled weights become safetensors in a process that may do nothing else.

The child reads the file with `torch.load(weights_only=True)`, which builds tensors and refuses
everything else. Should that ever fail to hold, the child has no network, no keys in its
environment, an empty folder to work in, little memory and time, and may write one file of limited
size. What comes out is checked like any other file.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from easytune.inspecting import confinement
from easytune.inspection_files import Conversion

_LONGEST_S = 900.0
_NAMES = {"adapter_model.bin": "adapter_model.safetensors"}
_WASTE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".th")


def convert(folder: Path, names: tuple[str, ...]) -> tuple[Conversion, ...]:
    """Convert pickles in a folder; when all went well, no pickle is left there.

    The ones beside the weights (optimizers, arguments of a training) are removed unread.
    """
    done = []
    with tempfile.TemporaryDirectory(prefix=".converting-", dir=folder.parent) as scratch:
        for number, name in enumerate(names):
            made = Path(scratch) / f"{number}.safetensors"
            one = _converted(folder / name, name, made)
            done.append(one)
            if not one.ok:
                return tuple(done)
        for number, name in enumerate(names):
            target = _NAMES.get(name) or _renamed(name)
            shutil.move(Path(scratch) / f"{number}.safetensors", folder / target)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix.lower() in _WASTE:
            path.unlink()
    return tuple(done)


def _renamed(name: str) -> str:
    """Return what a model's weights are called: `model-00001-of-00002.safetensors`."""
    return name.replace("pytorch_model", "model").removesuffix(".bin") + ".safetensors"


def _converted(source: Path, name: str, target: Path) -> Conversion:
    """Convert one file in a child."""
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-m", "easytune.engine.inspecting.unpickling"]
        try:
            done = subprocess.run(
                [*command, str(source.resolve()), str(target.resolve())],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=empty,
                env=confinement.environment() | {"HOME": empty, "TMPDIR": empty},
                timeout=_LONGEST_S,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return Conversion(file=name, ok=False, code="time", reason=f"{_LONGEST_S:.0f} s")
    said = _said(done.stdout)
    if said is None or done.returncode != 0 or not target.is_file():
        reason = str((said or {}).get("reason") or f"exit {done.returncode}")
        locks = tuple(map(str, (said or {}).get("isolation", ())))
        return Conversion(file=name, ok=False, code="refused", reason=reason, isolation=locks)
    return Conversion(
        file=name,
        ok=True,
        tensors=int(said.get("tensors", 0)),
        isolation=tuple(map(str, said.get("isolation", ()))),
    )


def _said(output: bytes) -> dict | None:
    """Return the last line that the child wrote, if it is what we expect."""
    try:
        found = json.loads(output.decode("utf-8", "replace").strip().splitlines()[-1])
    except (ValueError, IndexError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
