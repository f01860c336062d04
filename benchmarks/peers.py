"""The trainers that people would pick instead, each in a virtual environment of its own."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch==2.13.0"
# What a peer brings for pictures and sound is built for another torch, and fails when imported.
_NOT_TEXT = ("torchvision", "torchaudio")


@dataclass(frozen=True)
class Peer:
    """What to install, and the ways of training that are measured, by the names of variants."""

    packages: tuple[str, ...]
    """Nothing where our own environment has it."""
    variants: tuple[str, ...]


PEERS = {
    "trainer": Peer((), ("default",)),
    "trl": Peer(("trl==1.16.0", "peft"), ("default", "packed")),
    "llamafactory": Peer(("llamafactory==0.9.5",), ("default", "web", "best")),
}


class PeerMissing(Exception):
    """A peer has no environment yet."""


def python_of(name: str, folder: Path, install: bool) -> str:
    """Return the Python that has a peer in it; with `install`, make it where it is missing.

    Raises PeerMissing, or CalledProcessError when it cannot be installed.
    """
    if not PEERS[name].packages:
        return sys.executable
    home = folder / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        if not install:
            raise PeerMissing(f"{name} is not installed in {folder}: run again with --install")
        _install(home, python, PEERS[name].packages)
    return str(python)


def _install(home: Path, python: Path, packages: tuple[str, ...]) -> None:
    print(f"installing {', '.join(packages)} into {home}", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(python), "-m", "pip"]
        subprocess.run([*pip, "install", "-q", TORCH, *packages], check=True)
        subprocess.run([*pip, "uninstall", "-q", "-y", *_NOT_TEXT], check=True)
    except BaseException:
        # Half an environment would be taken for a whole one.
        shutil.rmtree(home, ignore_errors=True)
        raise
