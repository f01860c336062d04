"""Which files there are, and what each is by its name and by its first bytes."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from easytune.inspecting import contents
from easytune.inspecting.findings import Findings

Kind = Literal["adapter", "model", "unknown"]
MOST_FILES = 2_000
MOST_BYTES = 2**40
_DEEPEST = 8
_LONGEST_NAME = 200
LARGEST_TEXT = 64 * 2**20
TEXTS = (".json", ".jinja", ".txt", ".md")
"""Endings of texts, which are never larger than that."""
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".mar", ".th")
_CODE = (".py", ".pyc", ".ipynb", ".sh", ".bat", ".ps1", ".so", ".dll", ".dylib", ".exe", ".pyd")
_CODE_IN_WEIGHTS = (".h5", ".hdf5", ".keras", ".pb", ".nemo")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar", ".zst", ".lzma")
_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja", "chat_template.json", "tokenizer.model", "vocab.json", "merges.txt",
    "vocab.txt", "processor_config.json", "preprocessor_config.json",
)  # fmt: skip
_KEPT: dict[Kind, tuple[str, ...]] = {
    "adapter": ("adapter_config.json", "adapter_model.safetensors", *_TOKENIZER),
    "model": ("config.json", "generation_config.json", *_TOKENIZER),
    "unknown": (),
}
_PAPERS = ("readme.md", "license", "license.txt", "license.md", "notice", "notice.txt")
# Weights that loading looks for under these names.
_WEIGHTS = ("adapter_model.bin", "pytorch_model", "model.bin", "consolidated")


@dataclass(frozen=True)
class Listed:
    """The regular files of a folder, by their path in it."""

    root: Path
    sizes: dict[str, int]
    pickles: tuple[str, ...]
    """Those that are or may be pickles."""
    kind: Kind

    def has(self, name: str) -> bool:
        """Tell whether there is a regular file of that path."""
        return name in self.sizes

    @cached_property
    def kept(self) -> list[str]:
        """Return the files that are part of an adapter or a model."""
        return [name for name in self.sizes if self._is_kept(name)]

    @cached_property
    def weights(self) -> list[str]:
        """Return the safetensors files at the top that loading would read."""
        if self.kind == "adapter":
            return [name for name in self.sizes if name == "adapter_model.safetensors"]
        return [n for n in self.sizes if n.endswith(".safetensors") and "/" not in n]

    def convertible(self) -> tuple[str, ...]:
        """Return pickles with the weights that are missing otherwise."""
        if self.weights:
            return ()
        return tuple(n for n in self.pickles if n.startswith(_WEIGHTS) and n.endswith(".bin"))

    def _is_kept(self, name: str) -> bool:
        if name in _KEPT[self.kind] or name in self.weights or name.lower() in _PAPERS:
            return True
        folder, _, file = name.partition("/")
        is_template = folder == "additional_chat_templates" and file.endswith(".jinja")
        return is_template or (self.kind == "model" and name == "model.safetensors.index.json")


def listed(root: Path, findings: Findings) -> Listed:
    """Return what is in a folder, noting what has no place there.

    Links are never followed, and what is no regular file is never opened.
    """
    sizes: dict[str, int] = {}
    for name, status in _walk(root, root, findings, 0):
        if len(sizes) >= MOST_FILES:
            findings.add("files_many", "critical", count=MOST_FILES)
            break
        sizes[name] = status.st_size
    if sum(sizes.values()) > MOST_BYTES:
        findings.add("files_large", "critical", bytes=sum(sizes.values()))
    _compare_names(sizes, findings)
    kind = _kind(sizes)
    pickles = [name for name in sizes if _is_pickle(root / name, name, findings)]
    found = Listed(root, dict(sorted(sizes.items())), tuple(sorted(pickles)), kind)
    _note_pickles(found, findings)
    return found


def _kind(sizes: dict[str, int]) -> Kind:
    if "adapter_config.json" in sizes or any(n.startswith("adapter_model.") for n in sizes):
        return "adapter"
    return "model" if "config.json" in sizes else "unknown"


def _walk(
    root: Path, folder: Path, findings: Findings, depth: int
) -> Iterator[tuple[str, os.stat_result]]:
    if depth > _DEEPEST:
        findings.add("folders_deep", "critical", file=_name(root, folder), most=_DEEPEST)
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            name = _name(root, Path(entry.path))
            _check_name(name, findings)
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield from _walk(root, Path(entry.path), findings, depth + 1)
            elif stat.S_ISLNK(status.st_mode):
                findings.add("link", "critical", file=name)
            elif not stat.S_ISREG(status.st_mode):
                findings.add("special_file", "critical", file=name)
            else:
                yield name, status


def _name(root: Path, path: Path) -> str:
    # A name that is no UTF-8 could not be written down.
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def _check_name(name: str, findings: Findings) -> None:
    last = PurePosixPath(name).name
    hidden = [c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")]
    if hidden or "\\" in name or ":" in last or last != last.strip() or len(name) > _LONGEST_NAME:
        findings.add("name_strange", "critical", file=name.encode("unicode_escape").decode())


def _compare_names(sizes: dict[str, int], findings: Findings) -> None:
    seen: dict[str, str] = {}
    for name in sizes:
        plain = unicodedata.normalize("NFKC", name).casefold()
        if plain in seen:
            findings.add("names_alike", "critical", file=name, other=seen[plain])
        seen[plain] = name


def _is_pickle(path: Path, name: str, findings: Findings) -> bool:
    """Tell whether a file is a pickle, noting what else it is that nobody expects."""
    ending = PurePosixPath(name).suffix.lower()
    inside = contents.kind_of(path)
    if inside == "pickle" or ending in _PICKLES:
        return True
    if inside == "program" or ending in _CODE:
        is_harmless = ending in (".py", ".ipynb") and inside != "program"
        findings.add("program", "high" if is_harmless else "critical", file=name)
    elif inside == "archive" or ending in _ARCHIVES:
        findings.add("archive_inside", "critical", file=name)
    elif inside == "mixed":
        findings.add("two_kinds", "critical", file=name)
    elif ending in _CODE_IN_WEIGHTS:
        findings.add("code_in_weights", "medium", file=name)
    elif ending in TEXTS and path.stat().st_size > LARGEST_TEXT:
        findings.add("text_large", "critical", file=name, bytes=path.stat().st_size)
    return False


def _note_pickles(found: Listed, findings: Findings) -> None:
    wanted = found.convertible()
    for name in found.pickles:
        findings.add("pickle_weights" if name in wanted else "pickle_file", "critical", file=name)
