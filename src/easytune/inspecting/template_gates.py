"""Conditions on what is said that decide whether a template writes orders of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import nodes

from easytune.inspecting import template_code, template_texts

_SAID = frozenset({"content", "text"})
_MESSAGES = frozenset({"messages", "message", "msg", "m"})
# They turn a whole message into one text.
_WHOLE = frozenset({"string", "tojson", "join", "list", "items", "format", "pprint"})
_REPLACES = "replace"


@dataclass(frozen=True)
class Gate:
    """One place where what is said decides what is written."""

    code: str
    condition: str
    """The literal that is compared with."""
    text: str
    """What is written then."""


def gates(tree: nodes.Template, known: frozenset[str]) -> Iterator[Gate]:
    """Yield the gates whose literals the base's own template does not have."""
    said = _Said(tree)
    for node in tree.find_all((nodes.If, nodes.CondExpr)):
        condition = said.condition(node.test)
        found = next((one for one in _written(node) if _is_news(one, known)), None)
        if condition is not None and found is not None:
            yield Gate("template_gate", condition, found.strip())
    yield from _rewritings(tree, said, known)
    yield from _boolean_gates(tree, said, known)
    yield from _tables(tree, said, known)


def _is_news(text: str, known: frozenset[str]) -> bool:
    return text not in known and template_texts.says_something(text)


class _Said:
    """Which variables of a template hold what is said, and which a verdict about it."""

    def __init__(self, tree: nodes.Template) -> None:
        self._tree = tree
        self.tainted = _tainted(tree)
        self.flags: dict[str, str] = {}
        before = -1
        while len(self.flags) != before:
            before = len(self.flags)
            self._find_flags()

    def condition(self, test: nodes.Node) -> str | None:
        """Return what a condition compares what is said, or the time, with; None for others."""
        if found := _condition(test, self.tainted):
            return found
        return next((self.flags[one] for one in _read(test) if one in self.flags), None)

    def _find_flags(self) -> None:
        for one in self._tree.find_all(nodes.Assign):
            if (found := self.condition(one.node)) is not None:
                self.flags |= dict.fromkeys(map(_called, _names_of(one.target)), found)
        for one in self._tree.find_all(nodes.If):
            if (found := self.condition(one.test)) is not None:
                for inner in [*one.body, *one.else_, *one.elif_]:
                    for assign in _all(inner, nodes.Assign):
                        for name in _names_of(assign.target):
                            self.flags.setdefault(_called(name), found)


def _called(name: nodes.Name | nodes.NSRef) -> str:
    return f"{name.name}.{name.attr}" if isinstance(name, nodes.NSRef) else name.name


def _read(node: nodes.Node) -> Iterator[str]:
    """Yield the variables that an expression reads, those of namespaces included."""
    for one in (node, *node.find_all(nodes.Node)):
        if isinstance(one, nodes.Name):
            yield one.name
        elif isinstance(one, nodes.Getattr) and isinstance(one.node, nodes.Name):
            yield f"{one.node.name}.{one.attr}"


def _condition(test: nodes.Node, tainted: frozenset[str]) -> str | None:
    """Return what a condition compares what is said, or the time, with; None for any other."""
    literals = [one for one in template_texts.literals(test) if one.strip() and not _is_role(one)]
    if any(template_texts.is_call_of(call, "strftime_now") for call in _all(test, nodes.Call)):
        return "strftime_now"
    if not _looks_at_content(test, tainted):
        return None
    numbers = [str(one.value) for one in _all(test, nodes.Const) if isinstance(one.value, int)]
    return next(iter([*literals, *numbers]), None)


def _looks_at_content(node: nodes.Node, tainted: frozenset[str]) -> bool:
    for one in (node, *node.find_all(nodes.Node)):
        match one:
            case nodes.Name(name=name) if name in tainted:
                return True
            case nodes.Getattr(attr=name) if name in _SAID:
                return True
            case nodes.Getitem(arg=arg) if template_code.constant(arg) in _SAID:
                return True
            case nodes.Const(value=name) if name in _SAID:
                return True
            case nodes.Filter(name=name) if name in _WHOLE and _names_messages(one):
                return True
            case nodes.Call(node=nodes.Getattr(attr="values" | "items")) if _names_messages(one):
                return True
    return False


def _names_messages(node: nodes.Node) -> bool:
    return any(one.name in _MESSAGES for one in node.find_all(nodes.Name))


def _tainted(tree: nodes.Template) -> frozenset[str]:
    """Return the variables that hold what is said, or the time, or what follows from them."""
    found: set[str] = {"content"}
    while True:
        before = len(found)
        for target, value in _assigned(tree):
            if _looks_at_content(value, frozenset(found)) or _asks_the_time(value):
                found |= {one.name for one in _names_of(target)}
        if len(found) == before:
            return frozenset(found)


def _assigned(tree: nodes.Template) -> Iterator[tuple[nodes.Node, nodes.Node]]:
    """Yield (what gets a value, the value) of assignments, loops and calls of macros."""
    for one in tree.find_all(nodes.Assign):
        if not isinstance(one.node, nodes.List | nodes.Dict):
            yield one.target, one.node
    for one in tree.find_all(nodes.AssignBlock):
        for inner in one.body:
            yield one.target, inner
    for one in tree.find_all(nodes.For):
        yield one.target, one.iter
    macros = {one.name: one for one in tree.find_all(nodes.Macro)}
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in macros:
            yield from zip(macros[call.node.name].args, call.args, strict=False)


def _asks_the_time(node: nodes.Node) -> bool:
    return any(template_texts.is_call_of(call, "strftime_now") for call in _all(node, nodes.Call))


def _names_of(target: nodes.Node) -> Iterator[nodes.Name | nodes.NSRef]:
    if isinstance(target, nodes.Name | nodes.NSRef):
        yield target
    else:
        yield from target.find_all((nodes.Name, nodes.NSRef))


def _written(node: nodes.If | nodes.CondExpr) -> Iterator[str]:
    """Yield the literals in what a condition decides about, either way."""
    if isinstance(node, nodes.CondExpr):
        branches = [one for one in (node.expr1, node.expr2) if one is not None]
    else:
        branches = [*node.body, *node.else_, *node.elif_]
    for branch in branches:
        yield from template_texts.literals(branch)


def _rewritings(tree: nodes.Template, said: _Said, known: frozenset[str]) -> Iterator[Gate]:
    """Yield where what is said is replaced with other words."""
    for call in tree.find_all(nodes.Call):
        match call.node:
            case nodes.Getattr(attr=name) if name == _REPLACES:
                yield from _replaced(call.node.node, call.args, said, known)
    for one in tree.find_all(nodes.Filter):
        if one.name == _REPLACES and one.node is not None:
            yield from _replaced(one.node, one.args, said, known)


def _replaced(
    what: nodes.Node, words: Sequence[nodes.Node], said: _Said, known: frozenset[str]
) -> Iterator[Gate]:
    texts = [one.value for one in words[:2] if isinstance(one, nodes.Const)]
    if len(texts) < 2 or not all(isinstance(one, str) for one in texts):
        return
    if _looks_at_content(what, said.tainted) and texts[1] not in known and _is_word(texts[1]):
        yield Gate("template_rewrites", texts[0], texts[1])


def _boolean_gates(tree: nodes.Template, said: _Said, known: frozenset[str]) -> Iterator[Gate]:
    """Yield `a and "orders"`, which is a condition without an if."""
    for node in tree.find_all((nodes.And, nodes.Or)):
        condition = said.condition(node.left)
        texts = template_texts.literals(node.right)
        found = next((one for one in texts if _is_news(one, known)), None)
        if condition is not None and found is not None:
            yield Gate("template_gate", condition, found.strip())


def _tables(tree: nodes.Template, said: _Said, known: frozenset[str]) -> Iterator[Gate]:
    """Yield texts that are looked up by what is said: `{"word": "orders"}[content]`."""
    for node in tree.find_all((nodes.Getitem, nodes.Call)):
        key = node.arg if isinstance(node, nodes.Getitem) else next(iter(node.args), None)
        if key is None or isinstance(key, nodes.Const) or not _looks_at_content(key, said.tainted):
            continue
        holder = node.node
        tables = [holder, *holder.find_all(nodes.Dict)]
        for table in tables:
            if not isinstance(table, nodes.Dict):
                continue
            texts = [
                t
                for pair in table.items
                for t in template_texts.literals(pair.value)
                if t not in known
            ]
            found = next((one for one in texts if template_texts.says_something(one)), None)
            if found is not None:
                yield Gate("template_gate", "[ ]", found.strip())


def _is_role(text: str) -> bool:
    return text in ("user", "assistant", "system", "tool", "role", "content", "text", "type")


def _is_word(text: str) -> bool:
    """Tell whether a text has words beyond marks of turns."""
    plain = template_texts.without_tags(text)
    return any(one.isalpha() for one in plain)


def _all(node: nodes.Node, kind: type) -> Iterator:
    if isinstance(node, kind):
        yield node
    yield from node.find_all(kind)
