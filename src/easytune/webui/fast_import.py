"""Halves the time that `import gradio` takes.

Gradio rewrites type stubs beside each of its components on every import, and loads pandas for
tables we never show. Both are left out; a later Gradio that looks different is imported as it is.
"""

import sys
from types import ModuleType

from easytune.import_hooks import Finder

STUB_WRITER = "gradio.component_meta"


def install() -> None:
    """Put the import hook in place, once, unless gradio is there already."""
    if "gradio" not in sys.modules:
        _FINDER.install()


def _without_stubs(module: ModuleType) -> None:
    """Switch off the stub writer of Gradio's component metaclass."""
    if hasattr(module, "create_or_modify_pyi"):
        vars(module)["create_or_modify_pyi"] = _write_nothing


def _write_nothing(*_: object) -> None:
    """Stand in for the stub writer."""


_FINDER = Finder({"pandas": ()}, {STUB_WRITER: _without_stubs})
