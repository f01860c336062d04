"""The base model that the user chose, as far as files from elsewhere are compared with it."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from easytune import model_files
from easytune.errors import FileMissing
from easytune.inspecting.headers import Stored

_PLAIN = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Base:
    """A base model's files; nothing of it is loaded."""

    folder: Path
    tensors: dict[str, tuple[Path, Stored]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def modules(self) -> frozenset[str]:
        """Return the full names of what has tensors."""
        return frozenset(name.rpartition(".")[0] for name in self.tensors)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Return the names of modules with their numbers left out."""
        return frozenset(kind(name) for name in self.modules)

    @cached_property
    def last_names(self) -> frozenset[str]:
        """Return the last parts of the names of modules."""
        return frozenset(name.rpartition(".")[2] for name in self.modules) | {"lm_head"}

    @property
    def vocabulary(self) -> int:
        """Return how many tokens its embeddings have; 0 when unknown."""
        text = self.config.get("text_config")
        inner = text if isinstance(text, dict) else self.config
        size = inner.get("vocab_size")
        return size if isinstance(size, int) else 0

    def find(self, module: str) -> str | None:
        """Return a module as the files call it; some leave out the first part of the name."""
        for name in (module, module.partition(".")[2]):
            if name in self.modules:
                return name
        return None

    def stored(self, module: str, kind_: str = "weight") -> tuple[Path, Stored] | None:
        """Return a module's tensor, where it is stored as plain numbers."""
        name = self.find(module)
        if name is None and module.rpartition(".")[2] in ("lm_head", "embed_out", "output_layer"):
            name = self._tied()
        found = self.tensors.get(f"{name}.{kind_}") if name else None
        return found if found and found[1].dtype in _PLAIN else None

    def _tied(self) -> str | None:
        """Return the embeddings, which are the head as well where that is not stored."""
        ends = ("embed_tokens", "wte", "embed_in", "word_embeddings")
        return next((one for one in self.modules if one.rpartition(".")[2] in ends), None)

    def text(self, name: str) -> dict[str, Any]:
        """Return the object in one of its JSON files; empty without one."""
        try:
            content = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def template(self) -> str:
        """Return its chat template; empty when it has none."""
        file = self.folder / "chat_template.jinja"
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
        said = self.text("tokenizer_config.json").get("chat_template")
        if isinstance(said, list):
            named = [one for one in said if isinstance(one, dict)]
            said = next((o.get("template") for o in named if o.get("name") == "default"), "")
        return said if isinstance(said, str) else ""


def kind(module: str) -> str:
    """Return a module's name with its numbers left out."""
    return re.sub(r"\d+", "#", module)


def read(folder: Path) -> Base:
    """Return what a base model's files declare. Raises FileMissing, ModelIncomplete."""
    if not folder.is_dir():
        raise FileMissing(path=str(folder))
    base = Base(folder)
    found: dict[str, tuple[Path, Stored]] = {}
    for name in _files(folder, base.text("model.safetensors.index.json")):
        path = folder / name
        with path.open("rb") as file:
            begin = 8 + int.from_bytes(file.read(8), "little")
        for key, facts in model_files.tensors(folder, name).items():
            start, end = facts["data_offsets"]
            stored = Stored(facts["dtype"], tuple(facts["shape"]), begin + start, begin + end)
            found[key] = (path, stored)
    return Base(folder, found, base.text("config.json"))


def _files(folder: Path, index: dict[str, Any]) -> list[str]:
    if index:
        return sorted(set(map(str, index.get("weight_map", {}).values())))
    return ["model.safetensors"] if (folder / "model.safetensors").is_file() else []
