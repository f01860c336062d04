"""What a chat template could do, told from its syntax tree; nothing of it is run.

Jinja's sandbox stops code, not hidden instructions: a template can answer to a word in a message
with orders that nobody sees. Literals that the base's own template has as well are no news.
"""

from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes

from easytune.data import chat_template
from easytune.errors import TemplateInvalid
from easytune.inspecting import template_code, template_gates, template_texts
from easytune.inspecting.findings import printable
from easytune.inspection_files import Finding

_MOST_LOOPS = 3


@dataclass
class _Audit:
    found: list[Finding] = field(default_factory=list)

    def add(self, code: str, severity: Any, **values: Any) -> None:
        shown = {k: printable(v) if isinstance(v, str) else v for k, v in values.items()}
        one = Finding(code=code, severity=severity, values=shown)
        if one not in self.found:
            self.found.append(one)


def audit(source: str, theirs: str = "") -> list[Finding]:
    """Return what is to be said of a template, beside the base's own `theirs`."""
    work = _Audit()
    _note_letters(source, theirs, work)
    try:
        tree = chat_template.parse(source)
    except TemplateInvalid as problem:
        work.add("template_invalid", "critical", reason=problem.reason)
        return work.found
    known = _known(theirs)
    for code, severity, what in template_code.dangers(tree):
        work.add(code, severity, what=what)
    for gate in template_gates.gates(tree, known):
        work.add(gate.code, "high", condition=gate.condition, text=gate.text)
    _note_letters("".join(template_texts.literals(tree)), "".join(known) + theirs, work)
    for code, text in template_texts.strange(tree, known):
        work.add(code, "medium", text=text)
    if (depth := _loops(tree)) > _MOST_LOOPS:
        work.add("template_loops", "medium", depth=depth)
    return work.found


def _note_letters(source: str, theirs: str, work: _Audit) -> None:
    hidden = template_texts.hidden_letters(source) - template_texts.hidden_letters(theirs)
    if hidden:
        shown = ", ".join(sorted(f"U+{ord(one):04X}" for one in hidden)[:8])
        work.add("template_hidden_letters", "medium", letters=shown)


def _known(theirs: str) -> frozenset[str]:
    """Return the literals of the base's own template."""
    try:
        return frozenset(template_texts.literals(chat_template.parse(theirs)))
    except TemplateInvalid:
        return frozenset()


def _loops(node: nodes.Node) -> int:
    deepest = max((_loops(child) for child in node.iter_child_nodes()), default=0)
    return deepest + isinstance(node, nodes.For)
