"""Modules that are imported on first use, and changes to others once they are imported.

Libraries import a great deal that a process may never use. `Finder` puts a stand-in in the place
of such a module: a module object that loads the real one when something in it is wanted.
"""

import gc
import importlib
import importlib.abc
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Change = Callable[[ModuleType], None]
# The other names with underscores are asked for in passing, by code that goes through all modules.
_LOADING_DUNDERS = frozenset({"__all__", "__version__"})


class Finder(importlib.abc.MetaPathFinder):
    """Finds the few modules that are loaded in another way than usual."""

    def __init__(
        self,
        stand_ins: Mapping[str, Collection[str]],
        changes: Mapping[str, Change] | None = None,
        seeds: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Prepare for modules by name.

        `stand_ins` names modules to load on first use, each with what others take out of it by
        `from … import`: these get a `Promise`. `seeds` are the same for modules whose parent shall
        not be imported either. `changes` are made to modules right after their import.
        """
        self._stand_ins, self._changes = dict(stand_ins), dict(changes or {})
        self._seeds = dict(seeds or {})

    def install(self) -> None:
        """Put this finder in front of the others, once. What is imported already stays."""
        if self in sys.meta_path:
            return
        sys.meta_path.insert(0, self)
        for name, promised in self._seeds.items():
            if name not in sys.modules and name.rpartition(".")[0] not in sys.modules:
                stand_in = StandIn(name, promised, self)
                stand_in.__spec__ = ModuleSpec(name, None)
                sys.modules[name] = stand_in
                stand_in.begin()

    def remove(self) -> None:
        """Take this finder away, and every stand-in that nobody has used."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [*self._stand_ins, *self._seeds]:
            self.forget(name)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load one of our modules; None for all others."""
        for name in self._seeds:
            if name.rpartition(".")[0] == fullname:
                self.forget(name)
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if isinstance(parent, StandIn):
            path = parent.load().__path__
            if fullname in sys.modules:
                return _present(sys.modules[fullname])
        promised, change = self._stand_ins.get(fullname), self._changes.get(fullname)
        if promised is None and change is None:
            return None
        spec = usual_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        if promised is not None:
            # A path makes it a package; `from … import` looks for one too.
            return ModuleSpec(
                fullname,
                _Standing(promised, self),
                origin=spec.origin,
                is_package=spec.submodule_search_locations is not None,
            )
        if change is not None:
            spec.loader = _Changed(spec.loader, change)
        return spec

    def forget(self, name: str) -> None:
        """Let the real module be imported from now on, unless it is there already."""
        self._stand_ins.pop(name, None)
        module = sys.modules.get(name)
        if not isinstance(module, StandIn):
            return
        del sys.modules[name]
        above, _, child = name.rpartition(".")
        parent = sys.modules.get(above)
        if parent is not None and vars(parent).get(child) is module:
            delattr(parent, child)


@contextmanager
def at_once() -> Iterator[None]:
    """Import without looking for garbage meanwhile: there is none, and a look takes its time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        # What is imported stays; later looks need not go through it.
        gc.freeze()
        gc.enable()


class StandIn(ModuleType):
    """In the place of a module that is loaded when something in it is wanted."""

    def __init__(self, name: str, promised: Collection[str], finder: Finder) -> None:
        """Stand for the module `name`; see `Finder` for what is `promised`."""
        super().__init__(name)
        vars(self).update(_promised=frozenset(promised), _finder=finder, _real=None, _begun=False)

    def __getattr__(self, name: str) -> Any:
        """Return what the real module has by this name."""
        if self.is_waiting():
            if name in vars(self)["_promised"]:
                return Promise(self, name)
            if name.startswith("__") and name not in _LOADING_DUNDERS:
                raise AttributeError(name)
        if not vars(self)["_begun"]:
            raise AttributeError(name)
        return getattr(self.load(), name)

    def __setattr__(self, name: str, value: object) -> None:
        """Keep what the import system writes; later the real module gets it."""
        real = vars(self)["_real"]
        if real is None:
            super().__setattr__(name, value)
        else:
            setattr(real, name, value)

    def __dir__(self) -> list[str]:
        """Return the names in the real module."""
        return dir(self.load())

    def begin(self) -> None:
        """Answer from now on; until then the import system was at work on this module."""
        vars(self)["_begun"] = True

    def is_waiting(self) -> bool:
        """Tell whether nobody has loaded the real module yet."""
        return sys.modules.get(self.__name__) is self

    def load(self) -> ModuleType:
        """Return the real module, which takes this one's place in `sys.modules`."""
        if vars(self)["_real"] is None:
            vars(self)["_finder"].forget(self.__name__)
            vars(self)["_real"] = importlib.import_module(self.__name__)
        return vars(self)["_real"]


class Late(ModuleType):
    """In the place of a submodule as an attribute of its parent; importing it is as usual.

    The import system puts the real module in this one's place.
    """

    def __init__(self, name: str, promised: Collection[str] = ()) -> None:
        """Stand for the submodule `name`; see `Finder` for what is `promised`."""
        super().__init__(name)
        vars(self)["_promised"] = frozenset(promised)

    def __getattr__(self, name: str) -> Any:
        """Return what the real module has by this name."""
        if self.is_waiting():
            if name in vars(self)["_promised"]:
                return Promise(self, name)
            below = sys.modules.get(f"{self.__name__}.{name}")
            if isinstance(below, StandIn):
                return below
            if name.startswith("__"):
                raise AttributeError(name)
        return getattr(self.load(), name)

    def is_waiting(self) -> bool:
        """Tell whether nobody has imported the real module yet."""
        return self.__name__ not in sys.modules

    def load(self) -> ModuleType:
        """Return the real module."""
        return importlib.import_module(self.__name__)


class Promise:
    """Something in a module that is not loaded yet. Calling or inheriting from it loads it."""

    def __init__(self, module: "StandIn | Late", name: str) -> None:
        """Stand for `name` in `module`."""
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the real thing."""
        return getattr(self._kept(), name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the real thing."""
        return self._kept()(*arguments, **named)

    def __instancecheck__(self, instance: object) -> bool:
        """Tell whether this is an instance; there is none as long as nobody has the class."""
        return not self._module.is_waiting() and isinstance(instance, self._kept())

    def __subclasscheck__(self, subclass: type) -> bool:
        """Tell whether this is a subclass, as `__instancecheck__` does."""
        return not self._module.is_waiting() and issubclass(subclass, self._kept())

    def __mro_entries__(self, _bases: tuple[object, ...]) -> tuple[type, ...]:
        """Return the real class to whoever inherits from it."""
        return (self._kept(),)

    def __or__(self, other: Any) -> Any:
        """Return a union with the real class."""
        return self._kept() | other

    def __ror__(self, other: Any) -> Any:
        """Return a union with the real class."""
        return other | self._kept()

    def _kept(self) -> Any:
        return getattr(self._module.load(), self._name)


def usual_spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """Return how a module is found without any of our finders."""
    others = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    return next((spec for finder in others if (spec := finder.find_spec(name, path))), None)


class _Standing(importlib.abc.Loader):
    def __init__(self, promised: Collection[str], finder: Finder) -> None:
        self._promised, self._finder = promised, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name, self._promised, self._finder)

    def exec_module(self, module: ModuleType) -> None:
        if isinstance(module, StandIn):
            module.begin()


def _present(module: ModuleType) -> ModuleSpec:
    """Return how to load a module that its parent has imported while we looked for it: not again.

    The import system heeds the module's own specification then.
    """
    module.__spec__ = ModuleSpec(module.__name__, _Present(module))
    return module.__spec__


class _Present(importlib.abc.Loader):
    """Answers with a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Changed(importlib.abc.Loader):
    """Loads a module as usual, then makes a change to it."""

    def __init__(self, usual: importlib.abc.Loader, change: Change) -> None:
        self._usual, self._change = usual, change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._usual.exec_module(module)
        self._change(module)
