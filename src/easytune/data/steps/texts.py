"""The texts within a row of whatever format: reading them, and putting others in their place."""

from collections.abc import Callable
from typing import Any

import orjson

from easytune.data.conversation import ROLES
from easytune.data.stored import parse

Change = Callable[[str], str]
# What tells rows, speakers and tools apart is no text to read.
_NAMES = frozenset(
    (
        "role", "from", "name", "id", "uuid", "type", "tool_call_id", "tools", "tool_calls",
        "functions", "function_call", "lang", "language", "source", "url", "label", "split",
    )
)  # fmt: skip
_TECHNICAL = frozenset(("role", "from", "type", "id", "uuid", "tool_call_id"))


class Texts:
    """The texts of a row in some fields: columns, or roles of a conversation's turns."""

    def __init__(self, fields: tuple[str, ...] = (), everywhere: bool = False) -> None:
        """Choose all texts when no `fields` are named.

        `everywhere` also takes names, sources, labels and the arguments of tools.
        """
        self._fields = frozenset(fields)
        self._skipped = _TECHNICAL if everywhere else _NAMES

    def changed(self, value: Any, change: Change) -> Any:
        """Return the row with its texts changed; the very same object when none was."""
        if not isinstance(value, dict):
            return self._node(value, change, chosen=not self._fields)
        return self._fields_of(value, change, chosen=not self._fields, top=True)

    def read(self, value: Any) -> list[str]:
        """Return the texts of a row in their order."""
        found: list[str] = []

        def note(text: str) -> str:
            found.append(text)
            return text

        self.changed(value, note)
        return found

    def _node(self, node: Any, change: Change, chosen: bool) -> Any:
        if isinstance(node, str):
            return change(node) if chosen and node else node
        if isinstance(node, dict):
            return self._fields_of(node, change, chosen)
        if isinstance(node, list):
            items = [self._node(item, change, chosen) for item in node]
            same = all(new is old for new, old in zip(items, node, strict=True))
            return node if same else items
        return node

    def _fields_of(
        self, node: dict[str, Any], change: Change, chosen: bool, top: bool = False
    ) -> dict[str, Any]:
        chosen = chosen or self._speaks(node)
        found: dict[str, Any] = {}
        same = True
        for key, item in node.items():
            here = chosen or (top and key in self._fields)
            if key in self._skipped and not (top and key in self._fields):
                found[key] = item
                continue
            if top and isinstance(item, str) and item[:1] == "[" and item.rstrip()[-1:] == "]":
                new = self._as_list(item, change, here)
            else:
                new = self._node(item, change, here)
            same = same and new is item
            found[key] = new
        return node if same else found

    def _speaks(self, node: dict[str, Any]) -> bool:
        """Tell whether a turn is spoken by one of the roles that were chosen."""
        word = node.get("role", node.get("from")) if self._fields else None
        return isinstance(word, str) and bool({word, ROLES.get(word)} & self._fields)

    def _as_list(self, text: str, change: Change, chosen: bool) -> str:
        """Change the texts within a list that a table file keeps as JSON text."""
        try:
            content = parse(text)
        except ValueError:
            content = None
        if not isinstance(content, list) or not all(isinstance(i, dict | list) for i in content):
            return change(text) if chosen else text
        new = self._node(content, change, chosen)
        return text if new is content else orjson.dumps(new).decode()
