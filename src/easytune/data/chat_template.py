"""Chat templates: Jinja text that comes with a model and turns messages into its prompt.

Renders what transformers' `apply_chat_template` renders, without importing transformers. Templates
come from strangers, so they run in Jinja's sandbox.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from easytune.data.rows import Message
from easytune.errors import TemplateInvalid

Turn = Message | dict[str, Any]
Span = tuple[int, int]
_THINKING = ("enable_thinking", "thinking")
_PROBE = "EASYTUNEPROBE"


class RenderFailed(Exception):
    """A template refused or could not handle some messages; the text says why."""


class ChatTemplate:
    """A compiled chat template, with the special tokens it may write."""

    def __init__(self, source: str, special_tokens: dict[str, str]) -> None:
        """Compile the template. Raises TemplateInvalid when it is no valid Jinja."""
        self.source = source
        self.special_tokens = special_tokens
        self._generated = _Generated()
        environment = _environment(self._generated)
        try:
            self._compiled = environment.from_string(source)
            self._variables = meta.find_undeclared_variables(environment.parse(source))
        except (jinja2.TemplateError, RecursionError) as problem:
            raise TemplateInvalid(reason=str(problem).rstrip(".")) from problem

    @property
    def marks_answers(self) -> bool:
        """Tell whether the template says itself, with a generation tag, what the model writes."""
        return self._generated.used

    @property
    def knows_thinking(self) -> bool:
        """Tell whether thinking can be switched on and off."""
        return any(name in self._variables for name in _THINKING)

    @cached_property
    def has_generation_prompt(self) -> bool:
        """Tell whether the template writes something to begin an answer with."""
        question = [Message("user", _PROBE)]
        try:
            return self.render(question) != self.render(question, add_generation_prompt=True)
        except RenderFailed:
            return False

    @cached_property
    def supports_system(self) -> bool:
        """Tell whether a system message is accepted and written."""
        turns = [Message("system", _PROBE), Message("user", "a"), Message("assistant", "b")]
        try:
            return _PROBE in self.render(turns)
        except RenderFailed:
            return False

    def fold_system(self, messages: Sequence[Message]) -> list[Message]:
        """Put the system message before the first question where the template has none."""
        turns = list(messages)
        if not turns or turns[0].role != "system" or len(turns) == 1 or self.supports_system:
            return turns
        first = Message(turns[1].role, f"{turns[0].content}\n\n{turns[1].content}")
        return [first, *turns[2:]]

    def render(
        self,
        messages: Sequence[Turn],
        *,
        add_generation_prompt: bool = False,
        thinking: bool | None = None,
    ) -> str:
        """Return the text of a conversation; `thinking` None leaves the template its default.

        Raises RenderFailed with the template's reason.
        """
        return self._render(messages, add_generation_prompt, thinking)

    def render_marked(
        self, messages: Sequence[Turn], *, thinking: bool | None = None
    ) -> tuple[str, list[Span]]:
        """Return the text, and the character spans within generation tags."""
        with self._generated.tracked() as (blocks, spans):
            return self._render(messages, False, thinking, blocks), list(spans)

    def _render(
        self,
        messages: Sequence[Turn],
        add_generation_prompt: bool,
        thinking: bool | None,
        blocks: list[str] | None = None,
    ) -> str:
        blocks = [] if blocks is None else blocks
        switches = {} if thinking is None else dict.fromkeys(_THINKING, thinking)
        try:
            for block in self._compiled.generate(
                messages=[_plain(message) for message in messages],
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **{**self.special_tokens, **switches},
            ):
                blocks.append(block)
        except (
            jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError,
            TypeError, ValueError,
        ) as problem:  # fmt: skip
            raise RenderFailed(str(problem) or type(problem).__name__) from problem
        return "".join(blocks)


def _plain(message: Turn) -> dict[str, Any]:
    if isinstance(message, Message):
        return {"role": message.role, "content": message.content}
    return message


class _Generated:
    """Notes where generation tags were rendered, while somebody asks."""

    def __init__(self) -> None:
        self.used = False
        self.blocks: list[str] | None = None
        self.spans: list[Span] = []
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def tracked(self) -> Iterator[tuple[list[str], list[Span]]]:
        with self._one_at_a_time:
            self.blocks, self.spans = [], []
            try:
                yield self.blocks, self.spans
            finally:
                self.blocks = None

    def note(self, text: str) -> None:
        if self.blocks is not None:
            start = sum(map(len, self.blocks))
            self.spans.append((start, start + len(text)))


class _GenerationTag(Extension):
    """The `{% generation %}` block with which a template marks what the model writes."""

    tags = {"generation"}  # noqa: RUF012 (declared so by Jinja)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        self.generated.used = True
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    @property
    def generated(self) -> _Generated:
        return self.environment.generated  # type: ignore[attr-defined]

    def _render(self, caller: Callable[[], str]) -> str:
        text = caller()
        self.generated.note(text)
        return text


class _Dict:
    """`dict` for templates, without the attributes that lead out of the sandbox."""

    def __call__(self, *args: Any, **values: Any) -> dict[Any, Any]:
        return dict(*args, **values)


class _SafeNamespace(Namespace):
    """`namespace` for templates, without names that lead out of the sandbox."""

    def __init__(*args: Any, **values: Any) -> None:  # `self` may be one of the names
        for name in values:
            _refuse_private(name)
        Namespace.__init__(*args, **values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: str) -> None:
    if name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"private name {name!r}")


def parse(source: str) -> nodes.Template:
    """Return the tree of a template; nothing of it is run. Raises TemplateInvalid."""
    try:
        return _environment(_Generated()).parse(source)
    except (jinja2.TemplateError, RecursionError) as problem:
        raise TemplateInvalid(reason=str(problem).rstrip(".")) from problem


def _environment(generated: _Generated) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
    )
    environment.extend(generated=generated)
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _now
    environment.globals["dict"] = _Dict()
    environment.globals["namespace"] = _SafeNamespace
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes <, > and &, which the models were not trained on.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
