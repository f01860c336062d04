"""A chat template in the language that Ollama reads, told from what the model's own one writes.

Ollama knows no Jinja. The model's template is asked to write conversations of marks; what stands
between the marks is all there is to know about most templates, and becomes a Go template. That one
is run here on other conversations: unless it writes the same, there is no translation.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from easytune.data.chat_template import ChatTemplate, RenderFailed
from easytune.data.rows import Message, Role
from easytune.exporters import go_template

_MARKS = ("EASYTUNESYSTEM", "EASYTUNEASKSONE", "EASYTUNESAYSONE", "EASYTUNEASKSTWO")
_SYSTEM, _ASKS, _SAYS, _AGAIN = _MARKS
_CHECKED = ("You are brief.\nAnd kind.", "Why is\n\nthe sky blue?", 'It scatters: {blue} "light".')


@dataclass(frozen=True)
class Between:
    """What a template writes between the messages of a conversation."""

    start: str
    """Before the first question."""
    system_start: str
    """Before a system message."""
    system_end: str
    """Between a system message and the question after it."""
    answer: str
    """Between a question and the answer that is there."""
    next: str
    """Between an answer and the next question."""
    end: str
    """After the last question: here the model goes on."""


def translate(template: ChatTemplate, bos: str) -> str | None:
    """Return a Go template that writes the same, or None when there is none of this kind.

    `bos` is the text of the token that Ollama itself puts first; "" when it puts none.
    """
    try:
        found = _between(template)
        if found is None:
            return None
        go = write(_without(found, bos))
        return go if _writes_the_same(go, template, bos) else None
    except RenderFailed:
        return None


def conversations() -> list[list[Message]]:
    """Return conversations of every shape that a template is checked with."""
    system, question, answer = _CHECKED
    turns = [Message("user", question)]
    found = []
    for number in range(3):
        found += [list(turns), [Message("system", system), *turns]]
        turns += [Message("assistant", f"{answer} {number}"), Message("user", f"And {number}?")]
    return found


def write(found: Between) -> str:
    """Return the Go template that writes this between the messages."""
    questions = (
        f"{{{{ if and (eq $i 1) $.System }}}}{_text(found.system_end)}"
        f"{{{{ else if eq $i 0 }}}}{_text(found.start)}"
        f"{{{{ else }}}}{_text(found.next)}{{{{ end }}}}"
    )
    is_last = "eq (len (slice $.Messages $i)) 1"
    lines = [
        "{{- range $i, $_ := .Messages }}",
        f'{{{{- if eq .Role "system" }}}}{_text(found.system_start)}{{{{ .Content }}}}',
        f'{{{{- else if eq .Role "user" }}}}{questions}{{{{ .Content }}}}',
        f"{{{{- if {is_last} }}}}{_text(found.end)}{{{{ end }}}}",
        f'{{{{- else if eq .Role "assistant" }}}}{_text(found.answer)}{{{{ .Content }}}}',
        "{{- end }}",
        "{{- end }}",
    ]
    return "\n".join(lines)


def _text(text: str) -> str:
    # As a literal: braces stay what they are, and no trimming touches spaces.
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""


def _between(template: ChatTemplate) -> Between | None:
    plain = _cut(template, [_ASKS, _SAYS, _AGAIN])
    if plain is None:
        return None
    start, answer, after, end = plain
    if not template.supports_system:
        return Between(start, start, "\n\n", answer, after, end)
    alone = _cut(template, [_SYSTEM, _ASKS])
    if alone is None:
        return None
    system_start, system_end, _ = alone
    return Between(start, system_start, system_end, answer, after, end)


def _cut(template: ChatTemplate, marks: Sequence[str]) -> list[str] | None:
    """Return what stands around the marks; None when they are not there once, in this order."""
    roles: dict[str, Role] = {_SYSTEM: "system", _SAYS: "assistant"}
    messages = [Message(roles.get(mark, "user"), mark) for mark in marks]
    rest, found = template.render(messages, add_generation_prompt=True), []
    for mark in marks:
        before, there, rest = rest.partition(mark)
        if not there:
            return None
        found.append(before)
    found.append(rest)
    return None if any(mark in part for part in found for mark in _MARKS) else found


def _without(found: Between, bos: str) -> Between:
    """Return it without the token that Ollama puts first."""
    start, system_start = found.start.removeprefix(bos), found.system_start.removeprefix(bos)
    return replace(found, start=start, system_start=system_start)


def _writes_the_same(go: str, template: ChatTemplate, bos: str) -> bool:
    return all(_same(go, template, bos, messages) for messages in conversations())


def _same(go: str, template: ChatTemplate, bos: str, messages: list[Message]) -> bool:
    folded = template.fold_system(messages)
    expected = template.render(folded, add_generation_prompt=True).removeprefix(bos)
    system = messages[0].content if messages[0].role == "system" else ""
    plain = [{"role": message.role, "content": message.content} for message in messages]
    return go_template.render(go, plain, system) == expected
