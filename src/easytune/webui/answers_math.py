"""Formulas in Markdown: `$…$`, `$$…$$`, `\\(…\\)` and `\\[…\\]` become elements the page draws.

Rules for markdown-it. The page draws the elements with KaTeX; until then, and where it cannot, the
formula's own text is shown.
"""

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

_INLINE = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
_BLOCK = (("$$", "$$"), ("\\[", "\\]"))
LONGEST = 20_000
GROWING = "growing"
"""Set in the environment of a text that is still being written: its last formula may be open."""


def add_to(markdown: "MarkdownIt") -> None:
    """Let `markdown` understand formulas."""
    markdown.inline.ruler.before("escape", "formula", _inline)
    # Before code: models like to indent their formulas.
    markdown.block.ruler.before("fence", "formula", _block, {"alt": ["paragraph", "list"]})
    markdown.add_render_rule("formula", _render)


def _inline(state: "StateInline", silent: bool) -> bool:
    for opening, closing, display in _INLINE:
        if state.src.startswith(opening, state.pos):
            end = _end(state.src, state.pos + len(opening), state.posMax, closing)
            if end is None:
                continue
            if not silent:
                _formula(state, state.src[state.pos + len(opening) : end], display)
            state.pos = end + len(closing)
            return True
    return False


def _end(text: str, start: int, limit: int, closing: str) -> int | None:
    """Return where a formula that begins at `start` ends; None when it is not one.

    A single dollar follows the rules of pandoc, so that prices stay prices.
    """
    end = text.find(closing, start, min(limit, start + LONGEST))
    while closing == "$" and end > 0 and text[end - 1] == "\\":
        end = text.find(closing, end + 1, limit)
    if end <= start or not text[start:end].strip():
        return None
    if closing != "$":
        return end
    is_price = text[start].isspace() or text[end - 1].isspace() or text[end + 1 : end + 2].isdigit()
    return None if is_price or "\n\n" in text[start:end] else end


def _block(state: "StateBlock", first: int, last: int, silent: bool) -> bool:
    start = state.bMarks[first] + state.tShift[first]
    found = next((pair for pair in _BLOCK if state.src.startswith(pair[0], start)), None)
    if found is None:
        return False
    opening, closing = found
    line, begin = first, start + len(opening)
    while (end := state.src.find(closing, begin, state.eMarks[line])) < 0:
        line += 1
        if line >= last:
            if not state.env.get(GROWING):
                return False
            end, line = state.eMarks[last - 1], last - 1
            break
        begin = state.bMarks[line]
    if state.src[end + len(closing) : state.eMarks[line]].strip():
        return False
    if silent:
        return True
    text = state.src[start + len(opening) : end]
    _formula(state, text, True).map = [first, line + 1]
    state.line = line + 1
    return True


def _formula(state: Any, text: str, display: bool) -> Any:
    token = state.push("formula", "span", 0)
    token.content, token.meta, token.block = text.strip(), {"display": display}, display
    return token


def _render(_renderer: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    kind = "block" if token.meta["display"] else "inline"
    return f'<span class="et-formula" data-formula="{kind}">{escape(token.content)}</span>'
