"""Halves the time that `import gradio` takes, and that of building a page with it.

Gradio rewrites type stubs beside each of its components on every import, and loads pandas, its own
command line and other apps' models for what we never show. That is left out, and a function of
which it asks again and again how it is called answers once. A later Gradio that looks different is
imported as it is.
"""

import inspect
import sys
from contextlib import nullcontext
from functools import lru_cache
from types import ModuleType
from typing import Any

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
    _asking_once(module)


def _without_charts(module: ModuleType) -> None:
    """Let handlers run without matplotlib, which ours never use: Gradio sets it up for each."""
    if hasattr(module, "MatplotlibBackendMananger"):
        vars(module)["MatplotlibBackendMananger"] = nullcontext
    _asking_once(module)


def _asking_once(module: ModuleType) -> None:
    """Have a module that looks into functions remember what it saw."""
    if vars(module).get("inspect") is inspect:
        vars(module)["inspect"] = _REMEMBERING


class _Remembering(ModuleType):
    """In the place of `inspect`: how a function is called does not change."""

    def __init__(self) -> None:
        super().__init__("inspect")
        remember = lru_cache(maxsize=2048)
        vars(self).update(
            signature=remember(inspect.signature), getfullargspec=remember(inspect.getfullargspec)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(inspect, name)


def _write_nothing(*_: object) -> None:
    """Stand in for the stub writer."""


_REMEMBERING = _Remembering()
_FINDER = Finder(
    stand_ins={
        "gradio.cli": ("deploy",),
        "gradio.external": ("load", "load_chat", "load_openapi"),
        "gradio.workflow": ("Workflow",),
        "pandas": (),
    },
    changes={
        STUB_WRITER: _without_stubs,
        "gradio.blocks": _asking_once,
        "gradio.utils": _without_charts,
    },
)
