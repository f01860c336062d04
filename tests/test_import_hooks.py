"""A module that is loaded on first use is the real one to everybody who uses it."""

import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from easytune import import_hooks
from easytune.import_hooks import Finder, Late, StandIn

FILES = {
    "toy/__init__.py": "import sys\nsys.toy_loads = getattr(sys, 'toy_loads', 0) + 1\n"
    "from toy import part\nclass Kind: pass\nVALUE = 3\n",
    "toy/part.py": "import sys\nsys.part_loads = getattr(sys, 'part_loads', 0) + 1\n",
    "parent/__init__.py": "LOADED = True\n",
    "parent/child.py": "class Thing: pass\nOTHER = 5\n",
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two packages that can be imported, and that nobody has imported."""
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("toy", "parent")]:
        del sys.modules[name]
    for name in ("toy_loads", "part_loads"):
        if hasattr(sys, name):
            delattr(sys, name)


@pytest.fixture
def finder(packages: None) -> Iterator[Finder]:
    """What puts stand-ins in place of them."""
    finder = Finder({"toy": ("Kind",)}, seeds={"parent.child": ("Thing",)})
    finder.install()
    yield finder
    finder.remove()


def loads(name: str) -> int:
    return getattr(sys, name, 0)


def test_a_module_is_loaded_when_something_in_it_is_wanted(finder: Finder) -> None:
    toy = importlib.import_module("toy")
    assert loads("toy_loads") == 0
    assert toy.VALUE == 3
    assert loads("toy_loads") == 1
    assert not isinstance(sys.modules["toy"], StandIn)


def test_passers_by_load_nothing(finder: Finder) -> None:
    toy = importlib.import_module("toy")
    assert importlib.util.find_spec("toy") is not None
    assert not hasattr(toy, "__warningregistry__")
    assert loads("toy_loads") == 0


def test_what_was_promised_is_the_real_thing_once_it_is_used(finder: Finder) -> None:
    from toy import Kind  # type: ignore[import-not-found]

    assert not isinstance(3, Kind)
    assert loads("toy_loads") == 0
    made = Kind()
    assert type(made) is sys.modules["toy"].Kind
    assert isinstance(made, Kind)

    class Heir(Kind): ...

    assert issubclass(Heir, sys.modules["toy"].Kind)


def test_a_module_below_brings_the_real_parent_and_is_loaded_once(finder: Finder) -> None:
    toy = importlib.import_module("toy")
    part = importlib.import_module("toy.part")
    assert (loads("toy_loads"), loads("part_loads")) == (1, 1)
    assert toy.part is part
    assert part.__spec__ is not None
    assert part.__spec__.origin == part.__file__


def test_a_seed_spares_the_parent_until_somebody_wants_it(finder: Finder) -> None:
    from parent.child import Thing  # type: ignore[import-not-found]

    assert "parent" not in sys.modules
    parent = importlib.import_module("parent")
    child = importlib.import_module("parent.child")
    assert parent.LOADED
    assert child.OTHER == 5
    assert type(Thing()) is child.Thing


def test_after_removal_everything_is_imported_as_it_is(finder: Finder) -> None:
    importlib.import_module("toy")
    finder.remove()
    assert "parent.child" not in sys.modules
    assert not isinstance(importlib.import_module("toy"), StandIn)


def test_a_change_is_made_once_the_module_is_there(packages: None) -> None:
    finder = Finder({}, {"toy": lambda module: vars(module).update(VALUE=4)})
    finder.install()
    try:
        assert importlib.import_module("toy").VALUE == 4
    finally:
        finder.remove()


def test_a_late_attribute_gives_way_to_the_import(packages: None) -> None:
    parent = importlib.import_module("parent")
    vars(parent)["child"] = Late("parent.child", ("Thing",))
    assert not isinstance(3, parent.child.Thing)
    assert "parent.child" not in sys.modules
    assert parent.child.OTHER == 5
    assert parent.child is sys.modules["parent.child"]


def test_garbage_is_looked_for_again_also_after_an_import_that_failed() -> None:
    try:
        with pytest.raises(ImportError):
            _fail_at_once()
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def _fail_at_once() -> None:
    with import_hooks.at_once():
        assert not gc.isenabled()
        raise ImportError
