"""Answers of models as safe HTML: Markdown, coloured code, formulas.

What a model writes is not to be trusted: markup in it is shown as text, pictures are not fetched,
and links open elsewhere without telling where they were found. `assets/chat.js` adds what needs
the browser: copy buttons and drawn formulas.
"""

from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from easytune.webui import answers_math

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST_COLOURED = 50_000


@lru_cache(maxsize=1024)
def render(text: str) -> str:
    """Return Markdown as HTML that is safe to put into the page."""
    return _markdown().render(text)


class Growing:
    """The HTML of an answer that is still being written; blocks that are done are made once."""

    def __init__(self) -> None:
        self._settled: list[str] = []
        self._offset = 0

    def grown(self, text: str) -> tuple[list[str], str]:
        """Return the HTML of the blocks that will not change again, and of the last one.

        `text` is the whole answer so far; it must begin with what was given before.
        """
        markdown = _markdown()
        rest = text.replace("\r\n", "\n").replace("\r", "\n")[self._offset :]
        env: dict[str, Any] = {answers_math.GROWING: True}
        tokens = markdown.parse(rest, env)
        done, line = _before_last_block(tokens)
        if done:
            settled = markdown.renderer.render(tokens[:done], markdown.options, env)
            self._settled.append(settled)
            # Only what Markdown counts as a line: a text may hold other separators.
            self._offset += sum(len(part) + 1 for part in rest.split("\n")[:line])
        last = markdown.renderer.render(tokens[done:], markdown.options, env)
        return list(self._settled), last


def _before_last_block(tokens: "list[Token]") -> tuple[int, int]:
    """Return where the last block begins, as a number of tokens and of lines."""
    begins = [i for i, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
    if len(begins) < 2:
        return 0, 0
    place = tokens[begins[-1]].map
    return (begins[-1], place[0]) if place else (0, 0)


@cache
def _markdown() -> "MarkdownIt":
    # Takes a while to import, and the page opens without it.
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False})
    markdown.enable(["table", "strikethrough"]).disable("image")
    answers_math.add_to(markdown)
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("code_block", _fence)
    markdown.add_render_rule("link_open", _link)
    markdown.add_render_rule("table_open", _table_open)
    markdown.add_render_rule("table_close", _table_close)
    return markdown


def _fence(_renderer: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else ""
    return (
        f'<div class="et-code"><div class="et-code-head"><span>{escape(language)}</span></div>'
        f"<pre><code>{_coloured(token.content, language)}</code></pre></div>"
    )


def _link(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    token.attrSet("target", "_blank")
    token.attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, index, options, env)


def _table_open(*_: Any) -> str:
    return '<div class="et-answer-table"><table>'


def _table_close(*_: Any) -> str:
    return "</table></div>"


@lru_cache(maxsize=512)
def _coloured(code: str, language: str) -> str:
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if not language or len(code) > LONGEST_COLOURED:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return escape(code)
    return highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix="hl-"))
