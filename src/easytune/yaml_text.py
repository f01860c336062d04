"""Reading YAML that somebody else wrote: bounded, without surprises, and with every key seen.

Differs from `yaml.safe_load` where that loses or changes what was meant: `on` and `off` stay words
(YAML 1.1 makes them booleans), dates stay text, `1e-4` is a number, a key given twice is reported.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40


class YamlRefused(Exception):
    """The text is not a usable YAML document; `code` names why, `line` is 0 when unknown."""

    def __init__(self, code: str, line: int = 0, detail: str = "") -> None:
        super().__init__(f"{code} (line {line}) {detail}")
        self.code = code
        self.line = line
        self.detail = detail


@dataclass(frozen=True)
class Document:
    """A parsed document, and the keys that were given more than once (the last one counts)."""

    content: Any
    repeated: tuple[str, ...]


def parse(text: str) -> Document:
    """Return the one document in `text`.

    Raises YamlRefused with code `too_large`, `not_text`, `syntax` or `too_nested`.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise YamlRefused("too_large")
    try:
        _check_size(text)
        loader = _Loader(text)
        content = loader.get_single_data()
    except yaml.reader.ReaderError as error:
        raise YamlRefused("not_text") from error
    except yaml.MarkedYAMLError as error:
        raise _syntax(error) from error
    except (ValueError, OverflowError) as error:
        raise YamlRefused("syntax", detail=str(error)) from error
    return Document(content, tuple(loader.repeated))


def lines(text: str) -> dict[tuple[str | int, ...], int]:
    """Return the line of every key and list entry in text that `parse` takes, by its path.

    Lines count from 1; the path of a key is the keys and indexes that lead to it.
    """
    loader = _Loader(text)
    found: dict[tuple[str | int, ...], int] = {}
    _note_lines(loader.get_single_node(), (), found)
    return found


def _note_lines(
    node: yaml.Node | None, path: tuple[str | int, ...], found: dict[tuple[str | int, ...], int]
) -> None:
    match node:
        case yaml.MappingNode():
            inner = [(key, str(key.value), value) for key, value in node.value]
        case yaml.SequenceNode():
            inner = [(value, index, value) for index, value in enumerate(node.value)]
        case _:
            return
    for marked, name, value in inner:
        found[(*path, name)] = marked.start_mark.line + 1
        _note_lines(value, (*path, name), found)


def _check_size(text: str) -> None:
    """Refuse what would expand: an alias counts as much as all it stands for."""
    nodes, sizes = 0, {}
    open_nodes: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=_Loader):
        match event:
            case yaml.AliasEvent():
                # An alias inside its own anchor has no size yet: endless.
                nodes += sizes.get(event.anchor, MAX_NODES)
            case yaml.ScalarEvent():
                nodes += 1
                sizes[event.anchor] = 1
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                open_nodes.append((event.anchor, nodes))
                nodes += 1
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                anchor, before = open_nodes.pop()
                sizes[anchor] = nodes - before
        if nodes > MAX_NODES or len(open_nodes) > MAX_DEPTH:
            raise YamlRefused("too_nested", event.start_mark.line + 1)


def _syntax(error: yaml.MarkedYAMLError) -> YamlRefused:
    mark = error.problem_mark or error.context_mark
    detail = error.problem or error.context or "unreadable"
    return YamlRefused("syntax", mark.line + 1 if mark else 0, detail)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars, no dates, and a list of repeated keys."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's own protocol

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                self.repeated.append(name)
            seen.add(name)
        return super().construct_mapping(node, deep)


_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
              r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)  # fmt: skip
for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )
