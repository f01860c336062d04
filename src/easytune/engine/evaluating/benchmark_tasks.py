"""The tasks of lm-evaluation-harness that are here: those of the user's folder, then its own.

A task of a user may hold Python code, and run it in three ways: functions, metrics from elsewhere,
and templates that reach into Python. All three are refused unless code is allowed. Imported only
where the package is installed.
"""

import importlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jinja2.exceptions import SecurityError
from jinja2.sandbox import SandboxedEnvironment

_SINGLE = ("TASK", "PY_TASK")
_YAML = (".yaml", ".yml")


class TaskUnusable(Exception):
    """Why a task is left out: a finding's code and values."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code, values)
        self.code, self.values = code, values


class Catalogue:
    """The tasks there are."""

    def __init__(self, folder: str | None, scratch: Path, *, allow_code: bool) -> None:
        """Caches of the user's own data go into `scratch`."""
        self.folder = Path(folder).expanduser().resolve() if folder else None
        self._scratch, self._allow_code = scratch, allow_code
        self._found: dict[str, tuple[Any, str] | None] = {}

    def knows(self, name: str) -> bool:
        """Tell whether there is a task, a group or a tag of that name, or a YAML file.

        Raises TaskUnusable when the file of that name cannot be read.
        """
        return self._known(name) is not None

    @contextmanager
    def tasks(self, name: str) -> Iterator[Any]:
        """Read a benchmark and its data; what it reads from files of its own stays out of caches.

        Raises TaskUnusable, and whatever the benchmark's own code raises.
        """
        known = self._known(name)
        assert known is not None
        manager, task = known
        with ExitStack() as stack:
            refused = [] if self._allow_code else stack.enter_context(_without_code())
            try:
                yield self._read(manager, task)
            except SecurityError as error:
                raise TaskUnusable("benchmark_code", function=str(error)) from error
            finally:
                # The harness goes on without a metric that it could not load, and stumbles later.
                if refused:
                    raise TaskUnusable("benchmark_code", function=refused[0])

    def _read(self, manager: Any, task: str) -> Any:
        place = self._place(manager, task)
        if place is None:
            return manager.load([task])
        config = importlib.import_module("datasets").config
        with _put(config, "HF_DATASETS_CACHE", self._scratch), chdir(place):
            return manager.load([task])

    def _known(self, name: str) -> tuple[Any, str] | None:
        """Return what can read a benchmark, and what it calls it; None without one."""
        if name not in self._found:
            self._found[name] = self._file(name) if name.endswith(_YAML) else self._look(name)
        return self._found[name]

    def _file(self, name: str) -> tuple[Any, str] | None:
        """Return the task of a YAML file that is named itself."""
        given = Path(name).expanduser()
        places = [given, self.folder / given] if self.folder else [given]
        path = next((place.resolve() for place in places if place.is_file()), None)
        if path is None:
            return None
        own = _manager(include_path=str(path.parent), include_defaults=False)
        for task, entry in own.task_index.items():
            if entry.yaml_path == path:
                return own, task
        raise _unreadable(path)

    def _look(self, name: str) -> tuple[Any, str] | None:
        if name in self._own.task_index:
            return self._own, name
        if self.folder and (path := _file_of(self.folder, name)):
            raise _unreadable(path)
        # To read all of its thousands of files takes a minute; a single task needs one folder.
        mentioning = _folders_that_mention(name)
        if not mentioning:
            return None
        few = _manager(include_path=mentioning, include_defaults=False)
        entry = few.task_index.get(name)
        if entry is not None and entry.kind.name in _SINGLE:
            return few, name
        return (self._all, name) if name in self._all.task_index else None

    @cached_property
    def _own(self) -> Any:
        folder = str(self.folder) if self.folder else None
        return _manager(include_path=folder, include_defaults=False)

    @cached_property
    def _all(self) -> Any:
        return _manager(include_path=str(self.folder) if self.folder else None)

    def _place(self, manager: Any, name: str) -> Path | None:
        """Return the folder that a benchmark's own data files are relative to; None without any.

        Raises TaskUnusable when they are in none of the places where they may be.
        """
        found = list(_described(manager.task_index, name, set()))
        files = [file for _, config in found for file in _data_files(config)]
        if not files:
            return None
        places = [*(path.parent for path, _ in found if path), self.folder, Path.cwd()]
        for place in places:
            if place and all(_is_there(place, file) for file in files):
                return place
        everywhere = [place for place in places if place]
        missing = (f for f in files if not any(_is_there(place, f) for place in everywhere))
        raise TaskUnusable("benchmark_no_data", file=next(missing, files[0]))


def _manager(**options: Any) -> Any:
    return importlib.import_module("lm_eval.tasks").TaskManager(**options)


def _file_of(folder: Path, name: str) -> Path | None:
    """Return the file that should hold a task which the harness has not found in the folder."""
    named = re.compile(rf"^task:\s*[\"']?{re.escape(name)}[\"']?\s*$", re.MULTILINE)
    for path in sorted(folder.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.stem == name or named.search(text):
            return path
    return None


def _unreadable(path: Path) -> TaskUnusable:
    try:
        yaml.compose(path.read_text(encoding="utf-8"))
        reason = "@evaluation.no_task"
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
    return TaskUnusable("benchmark_unreadable", file=path.name, reason=reason)


def _folders_that_mention(name: str) -> list[str]:
    """Return the folders of the package's own tasks whose files have a name in them."""
    package = importlib.import_module("lm_eval.tasks").__file__ or ""
    folders = sorted(path for path in Path(package).parent.iterdir() if path.is_dir())
    sought = name.encode()
    return [
        str(folder)
        for folder in folders
        if any(sought in file.read_bytes() for file in folder.rglob("*.yaml"))
    ]


def _described(index: Any, name: str, seen: set[str]) -> Iterator[tuple[Path | None, Any]]:
    """Yield file and content of a task, or of all tasks of a group or a tag."""
    entry = index.get(name)
    if entry is None or name in seen:
        return
    seen.add(name)
    config = entry.cfg or {}
    yield entry.yaml_path, config
    inside = config.get("task")
    members = [*entry.tags] if not config else inside if isinstance(inside, list) else []
    for member in members:
        inner = member if isinstance(member, str) else member.get("task", member.get("group", ""))
        if isinstance(inner, str):
            yield from _described(index, inner, seen)


def _data_files(config: dict[str, Any]) -> Iterator[str]:
    """Yield the local files and folders that a task reads: not those of the hub."""
    path = str(config.get("dataset_path", ""))
    if "://" in path:
        return
    if path.startswith((".", "/", "~")):
        yield path
    options = config.get("dataset_kwargs") or {}
    if isinstance(folder := options.get("data_dir"), str):
        yield folder
        return
    given = options.get("data_files")
    for files in given.values() if isinstance(given, dict) else [given]:
        for file in files if isinstance(files, list) else [files]:
            if isinstance(file, str) and "://" not in file:
                yield file


def _is_there(place: Path, file: str) -> bool:
    if any(sign in file for sign in "*?["):
        return Path(file).is_absolute() or any(place.glob(file))
    return (place / Path(file).expanduser()).exists()


@contextmanager
def _without_code() -> Iterator[list[str]]:
    """While open, no code runs but that of the package; yields what metrics were refused."""
    loader = importlib.import_module("lm_eval.tasks._yaml_loader")
    elsewhere = importlib.import_module("evaluate")
    texts = importlib.import_module("lm_eval.utils")
    package = Path(loader.__file__ or "").resolve().parent
    known_function, known_metric = loader._import_func_in_yml, elsewhere.load
    refused: list[str] = []

    def function(name: str, folder: Path) -> Any:
        if package in Path(folder).resolve().parents:
            return known_function(name, folder)
        raise TaskUnusable("benchmark_code", function=name)

    def metric(name: str, *rest: Any, **options: Any) -> Any:
        # A file of the user's, or of anybody's on the hub.
        if "/" in name or "\\" in name or name.endswith(".py") or Path(name).exists():
            refused.append(name)
            raise TaskUnusable("benchmark_code", function=name)
        return known_metric(name, *rest, **options)

    templates = SandboxedEnvironment(undefined=texts.env.undefined, keep_trailing_newline=True)
    templates.filters |= texts.env.filters
    with (
        _put(loader, "_import_func_in_yml", function),
        _put(elsewhere, "load", metric),
        _put(texts, "env", templates),
    ):
        yield refused


@contextmanager
def _put(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have a value in place of another for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
