"""Which names are in which module of transformers, found once per installation.

On every import transformers reads the source of all its models twice to find that out.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from easytune import paths, records

# A folder's files by the packages that they need, its folders by their names.
Structure = dict[Any, Any]


def remember(module: ModuleType) -> None:
    """Let `transformers.utils.import_utils` look up what it has found before."""
    usual = getattr(module, "create_import_structure_from_path", None)
    mark = _mark(Path(module.__file__ or "").parent.parent)
    if usual is None or mark is None:
        return
    models = Path(module.__file__ or "").parent.parent / "models"
    known = cache(lambda: _known(paths.caches() / f"transformers-{mark}.json", usual, str(models)))

    def create_import_structure_from_path(path: str | Path) -> Structure:
        if Path(path) in (models, models / "__init__.py"):
            return _decoded(json.loads(known()))
        return usual(path)

    vars(module)["create_import_structure_from_path"] = create_import_structure_from_path


def _mark(package: Path) -> str | None:
    """Return what tells this installation from others; None for one whose files may change."""
    lists = list(package.parent.glob("transformers-*.dist-info/RECORD"))
    if len(lists) != 1:
        return None
    facts = f"{package} {lists[0].parent.name} {records.mark(lists[0])}"
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _known(file: Path, find: Callable[[str], Structure], folder: str) -> str:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        text = file.read_text(encoding="utf-8")
        _decoded(json.loads(text))
        return text
    text = json.dumps(_encoded(find(folder)))
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        records.write_text(file, text)
    return text


def _encoded(node: Any) -> Any:
    """Return a structure as JSON has it: sets as lists of names, folders as lists of pairs."""
    if not isinstance(node, dict):
        return {"names": sorted(node)}
    return [
        [key if isinstance(key, str) else sorted(key), _encoded(below)]
        for key, below in node.items()
    ]


def _decoded(node: Any) -> Any:
    if isinstance(node, dict):
        return set(node["names"])
    return {key if isinstance(key, str) else frozenset(key): _decoded(below) for key, below in node}
