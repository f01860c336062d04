"""Halves the time that `import gradio` takes.

Gradio rewrites type stubs beside each of its components on every import, and loads pandas for
tables we never show. Both are left out; a later Gradio that looks different is imported as it is.
"""

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader
from types import ModuleType

LAZY = frozenset({"pandas"})
STUB_WRITER = "gradio.component_meta"


def install() -> None:
    """Put the import hook in place, once, unless gradio is there already."""
    known = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if not known and "gradio" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the few modules that are loaded in another way than usual."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LAZY and fullname != STUB_WRITER:
            return None
        spec = self._usual_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        wrap = LazyLoader if fullname in LAZY else _WithoutStubs
        spec.loader = wrap(spec.loader)
        return spec

    def _usual_spec(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        others = (finder for finder in sys.meta_path if finder is not self)
        return next((spec for f in others if (spec := f.find_spec(name, path))), None)


class _WithoutStubs(importlib.abc.Loader):
    """Loads Gradio's component metaclass with its stub writer switched off."""

    def __init__(self, usual: importlib.abc.Loader) -> None:
        self._usual = usual

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._usual.exec_module(module)
        if hasattr(module, "create_or_modify_pyi"):
            vars(module)["create_or_modify_pyi"] = _write_nothing


def _write_nothing(*_: object) -> None:
    """Stand in for the stub writer."""
