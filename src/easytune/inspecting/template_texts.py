"""The literals of a template: prose, addresses, packed data, letters that cannot be seen."""

import re
import unicodedata
from collections.abc import Iterator

from jinja2 import nodes

from easytune.inspecting.template_code import constant

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
_SCATTERED_WORDS = 12
# Joiners of scripts and emoji; several in a row join nothing.
_TOLERATED = frozenset("\u200d\u200c")
_JOINERS = re.compile("[\u200c\u200d]{2,}")
# Marks that are drawn as nothing: they choose a variant, or join, or fill.
_NOTHING = re.compile(
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\u17b4\u17b5\u180b-\u180f\u00a0\u2800\u3164\u115f\u1160\uffa0]"
)
_BY_NUMBER = re.compile(r"%[-+ 0#]*\d*c")


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
        elif isinstance(node, nodes.Filter) and isinstance(text := constant(node), str):
            yield text


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
        if _PACKED.search(text) or _BY_NUMBER.search(text):
            yield "template_packed", text.strip()
        if is_prose(text):
            yield "template_prose", text.strip()
    yield from _scattered(tree, known)


def _scattered(tree: nodes.Node, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield prose whose words stand apart, so that no literal has enough of them to be noticed."""
    for output in tree.find_all(nodes.Output):
        written = " ".join(text for one in output.nodes for text in _joined(one))
        if written not in known and is_prose(written):
            yield "template_prose", written.strip()
    news = [text for text in literals(tree) if text not in known and not is_prose(text)]
    words = dict.fromkeys(word for text in news for word in _WORD.findall(without_tags(text)))
    if len(words) >= _SCATTERED_WORDS:
        yield "template_prose", " ".join(words)


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
        or _NOTHING.match(one)
        or (unicodedata.category(one) == "Cc" and one not in "\n\r\t")
    } - (frozenset() if _JOINERS.search(source) else _TOLERATED)


def _joined(node: nodes.Node) -> Iterator[str]:
    """Yield the pieces of a text that is put together, so that cutting it up hides nothing."""
    match node:
        case nodes.Const(value=str(text)) | nodes.TemplateData(data=text):
            yield text
        case nodes.Add():
            yield from _joined(node.left)
            yield from _joined(node.right)
        case nodes.Concat():
            for one in node.nodes:
                yield from _joined(one)
