"""The literals of a template: prose, addresses, packed data, letters that cannot be seen."""

import re
import unicodedata
from collections.abc import Iterator

from jinja2 import nodes

_ADDRESS = re.compile(
    r"(?i)\b(?:https?|ftp|wss?|file|data|javascript)\s?:\s?[/\w]|\bwww\.\w|\w\.onion\b"
)
_PACKED = re.compile(
    r"(?:[A-Za-z0-9+/]{48,}={0,2}|(?:[0-9a-fA-F]{2}){24,}|(?:\\x[0-9a-fA-F]{2}){8,})"
)
_TAG = re.compile(r"<[^<>\s][^<>]{0,60}>|\[/?[A-Z_]+\]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_HAN = re.compile(r"[一-鿿぀-ヿ가-힯]")
_PROSE_WORDS, _PROSE_HAN = 4, 8
# Joiners of scripts and emoji, and the mark that tells the order of bytes.
_TOLERATED = frozenset("‍‌")


def literals(tree: nodes.Node) -> Iterator[str]:
    """Yield the texts that a template may write or compare with.

    Those of error messages are left out: they end the rendering.
    """
    everything = (tree, *tree.find_all(nodes.Node))
    complaints = {
        id(word)
        for call in everything
        if isinstance(call, nodes.Call) and is_call_of(call, "raise_exception")
        for word in call.find_all(nodes.Node)
    }
    for node in everything:
        if id(node) in complaints:
            continue
        if isinstance(node, nodes.TemplateData):
            yield node.data
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, nodes.Concat | nodes.Add):
            yield "".join(_joined(node))


def is_call_of(call: nodes.Call, name: str) -> bool:
    """Tell whether a call is one of the function of that name."""
    return isinstance(call.node, nodes.Name) and call.node.name == name


def strange(tree: nodes.Template, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (code, text) of the literals that the base's own template does not have."""
    for text in literals(tree):
        if text in known:
            continue
        if _ADDRESS.search(text):
            yield "template_address", text.strip()
        if _PACKED.search(text):
            yield "template_packed", text.strip()
        if is_prose(text):
            yield "template_prose", text.strip()


def is_prose(text: str) -> bool:
    """Tell whether a text says something in a human language, tags of turns left out."""
    plain = without_tags(text)
    return len(_WORD.findall(plain)) >= _PROSE_WORDS or len(_HAN.findall(plain)) >= _PROSE_HAN


def without_tags(text: str) -> str:
    """Return a text without marks of turns such as `<|user|>`."""
    return _TAG.sub(" ", text)


def says_something(text: str) -> bool:
    """Tell whether a text is prose, an address or packed data."""
    return is_prose(text) or bool(_ADDRESS.search(text) or _PACKED.search(text))


def hidden_letters(source: str) -> set[str]:
    """Return the letters of a text that nobody sees, or that turn its direction."""
    return {
        one
        for one in source
        if unicodedata.category(one) in ("Cf", "Co", "Cs", "Cn")
        or 0xFE00 <= ord(one) <= 0xFE0F
        or (unicodedata.category(one) == "Cc" and one not in "\n\r\t")
        or one in "\u00a0\u2800\u3164\u115f\u1160"
    } - _TOLERATED


def _joined(node: nodes.Node) -> Iterator[str]:
    """Yield the pieces of a text that is put together, so that cutting it up hides nothing."""
    match node:
        case nodes.Const(value=str(text)):
            yield text
        case nodes.Add():
            yield from _joined(node.left)
            yield from _joined(node.right)
        case nodes.Concat():
            for one in node.nodes:
                yield from _joined(one)
