"""What in a template reaches for code, for files, or for all of the machine's memory."""

import re
from collections.abc import Iterator

from jinja2 import nodes

from easytune.inspection_files import Severity

Danger = tuple[str, Severity, str]
_PRIVATE = re.compile(r"^_|__")
_WORDS = re.compile(
    r"__\w+__|\b(?:os\.system|subprocess|popen|eval\(|exec\(|importlib|getattr|builtins)\b"
)
_INNER = frozenset({
    "mro", "func_globals", "func_code", "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame",
    "f_globals", "f_locals", "f_builtins", "tb_frame", "tb_next", "im_func", "im_class", "im_self",
    "co_code", "environment", "eval_ctx", "exported_vars", "blocks", "application", "config",
})  # fmt: skip
_NAMES = frozenset({"self", "lipsum", "cycler", "joiner", "request", "session", "g", "url_for",
                    "get_flashed_messages", "open", "eval", "exec", "getattr", "os"})  # fmt: skip
_FILTERS = frozenset({"attr", "xmlattr", "pprint"})
_CALLABLE = frozenset({"raise_exception", "strftime_now", "range", "namespace", "dict", "caller",
                       "loop", "super"})  # fmt: skip
_METHODS = frozenset({
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition",
    "startswith", "endswith", "replace", "upper", "lower", "title", "capitalize", "join", "find",
    "rfind", "index", "count", "isdigit", "isalpha", "isupper", "islower", "isspace", "items",
    "keys", "values", "get", "append", "pop", "removeprefix", "removesuffix", "cycle", "strftime",
    "update", "extend", "insert",
})  # fmt: skip
_LARGE = 10_000


def dangers(tree: nodes.Template) -> Iterator[Danger]:
    """Yield (code, severity, what) of everything that no chat template needs."""
    own = _own_names(tree)
    for node in tree.find_all(nodes.Node):
        yield from _of_node(node, own)


def _of_node(node: nodes.Node, own: frozenset[str]) -> Iterator[Danger]:
    match node:
        case nodes.Import() | nodes.FromImport() | nodes.Include() | nodes.Extends():
            yield "template_includes", "critical", type(node).__name__.lower()
        case nodes.Getattr(attr=name):
            yield from _attribute(name)
        case nodes.Getitem(arg=arg):
            yield from _item(arg)
        case nodes.Name(name=name, ctx="load") if name in _NAMES and name not in own:
            yield "template_name", "critical", name
        # A variable that the template itself sets may well be called `_args`.
        case nodes.Name(name=name) if "__" in name or (name[0] == "_" and name not in own):
            yield "template_name", "critical", name
        case nodes.Filter():
            yield from _filter(node)
        case nodes.Call():
            yield from _call(node, own)
        case nodes.Const(value=str(text)) if found := _WORDS.search(text):
            yield "template_code_words", "critical", found[0]
        case nodes.Pow():
            yield "template_bomb", "critical", "**"
        case nodes.Mul():
            yield from _product(node)
        case nodes.Add() | nodes.Concat():
            yield from _put_together(node)
        case nodes.Keyword(key=name) if _PRIVATE.search(name):
            yield "template_name", "critical", name


def _attribute(name: str) -> Iterator[Danger]:
    if _PRIVATE.search(name) or name in _INNER:
        yield "template_private", "critical", name
    elif name in ("format", "format_map"):
        yield "template_private", "high", name


def _item(arg: nodes.Node) -> Iterator[Danger]:
    text = constant(arg)
    if isinstance(text, str) and (_PRIVATE.search(text) or text in _INNER):
        yield "template_private", "critical", text


def _put_together(node: nodes.Node) -> Iterator[Danger]:
    """Yield names that are put together from pieces, so that no piece shows them."""
    text = constant(node)
    if isinstance(text, str) and (found := _WORDS.search(text)):
        yield "template_code_words", "critical", found[0]


def _filter(node: nodes.Filter) -> Iterator[Danger]:
    if node.name in _FILTERS:
        yield "template_filter", "critical", node.name
    words = [*node.args, *(one.value for one in node.kwargs)]
    for word in words:
        value = constant(word)
        reaches = node.name in (
            "map",
            "selectattr",
            "rejectattr",
            "groupby",
            "sort",
            "sum",
            "unique",
        )
        if isinstance(value, str) and reaches and (_PRIVATE.search(value) or "." in value):
            yield "template_private", "critical", value
        if isinstance(value, int) and abs(value) > _LARGE:
            yield "template_bomb", "critical", f"{node.name}({value})"
        if value == "attr" and node.name == "map":
            yield "template_filter", "critical", "map(attr)"
    if node.name == "format":
        yield "template_bomb", "high", "format"


def _call(node: nodes.Call, own: frozenset[str]) -> Iterator[Danger]:
    match node.node:
        case nodes.Name(name=name):
            if name not in own | _CALLABLE | _NAMES:
                yield "template_call", "high", name
            if name == "range":
                yield from _range(node)
        case nodes.Getattr(attr=name) if name not in _METHODS and name not in own:
            if not _PRIVATE.search(name) and name not in _INNER:
                yield "template_call", "medium", name
        case nodes.Getattr(attr=name):
            for word in node.args:
                value = constant(word)
                if isinstance(value, int) and abs(value) > _LARGE:
                    yield "template_bomb", "critical", f"{name}({value})"
        case nodes.Name() | nodes.Getattr() | nodes.ExtensionAttribute():
            return
        case _:
            yield "template_call", "high", "( )"


def _range(node: nodes.Call) -> Iterator[Danger]:
    for word in node.args:
        value = constant(word)
        if isinstance(value, int | float) and abs(value) > _LARGE:
            yield "template_bomb", "critical", f"range({value})"


def _product(node: nodes.Mul) -> Iterator[Danger]:
    for side in (node.left, node.right):
        value = constant(side)
        if isinstance(value, int | float) and abs(value) > _LARGE:
            yield "template_bomb", "critical", f"* {value}"
    both = constant(node.left), constant(node.right)
    if any(isinstance(one, str | list | tuple) for one in both):
        yield "template_bomb", "high", "text * number"


def _own_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names that the template itself gives: variables, macros and their arguments."""
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
    return frozenset(stored | {node.name for node in tree.find_all(nodes.Macro)})


def constant(node: nodes.Node) -> object:
    """Return the value of an expression made of constants; None for any other.

    Only texts are put together: multiplying is what a bomb waits for.
    """
    match node:
        case nodes.Const(value=value):
            return value
        case nodes.Neg(node=inner):
            value = constant(inner)
            return -value if isinstance(value, int | float) else None
        case nodes.List(items=items) | nodes.Tuple(items=items):
            return [constant(one) for one in items]
        case nodes.Add(left=left, right=right):
            pieces = [constant(left), constant(right)]
        case nodes.Concat(nodes=several):
            pieces = [constant(one) for one in several]
        case nodes.Filter(name="join", node=nodes.List(items=items)):
            pieces = [constant(one) for one in items]
            between = constant(node.args[0]) if node.args else ""
            pieces = [one for piece in pieces for one in (between, piece)][1:]
        case nodes.Filter(name="replace", node=nodes.Node() as inner, args=[_, _]):
            text, old, new = (constant(one) for one in (inner, *node.args))
            if not (isinstance(text, str) and isinstance(old, str) and isinstance(new, str)):
                return None
            pieces = [text.replace(old, new) if len(text) * len(new) < _LARGE else text]
        case _:
            return None
    return "".join(map(str, pieces)) if all(isinstance(one, str) for one in pieces) else None
