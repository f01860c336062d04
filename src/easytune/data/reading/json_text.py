"""A JSON text of any size, of which only the part being parsed is in memory."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from easytune.data.decoding import unreadable
from easytune.data.reading.lines import json_problem
from easytune.data.reading.records import LONGEST, Unparsed, too_long
from easytune.errors import FileUnreadable

_BLANKS = re.compile(r"[ \t\n\r]*")
_MARKS = re.compile(r'["\\{}\[\]]')
_QUOTE_OR_ESCAPE = re.compile(r'["\\]')
# A number, a literal or an escape that a block cut in two is broken no further from its end.
_CUT = 16
_decode = json.JSONDecoder().raw_decode
# Python refuses to read integers of thousands of digits.
_decode_without_integers = json.JSONDecoder(parse_int=str).raw_decode


class JsonText:
    """What is left of a JSON text. `name` is what errors call the file."""

    def __init__(self, blocks: Iterable[bytes], name: str) -> None:
        self.name = name
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._blocks = (decoder.decode(block) for block in blocks)
        self._text = ""
        self._at = 0
        self._line = 1

    def peek(self) -> str:
        """Return the next character that is not blank, "" at the end."""
        while True:
            found = _BLANKS.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def second(self) -> str:
        """Return the character after the next one, blanks left out."""
        while True:
            found = _BLANKS.match(self._text, self._at + 1)
            end = found.end() if found else self._at + 1
            if end < len(self._text):
                return self._text[end]
            if not self._more():
                return ""

    def value(self) -> Any:
        """Return the next value; `Unparsed` when it is too long or nested too deeply.

        Raises FileUnreadable when it is broken.
        """
        self.peek()
        while True:
            try:
                value, end = self._decoded()
            except RecursionError:
                return self._skipped(Unparsed("too_deep", self._text[self._at :][:2000]))
            except json.JSONDecodeError as problem:
                if not self._may_go_on(problem):
                    raise self._broken(problem) from problem
                if len(self._text) - self._at > LONGEST:
                    return self._skipped(too_long(self._text[self._at :][:2000]))
                if not self._more():
                    raise self._broken(problem) from problem
                continue
            # Half a number is a number, too.
            if end < len(self._text) or self._text[end - 1] in '}]"' or not self._more():
                self._at = end
                return value

    def _decoded(self) -> tuple[Any, int]:
        """Return the next value and its end; `Unparsed` when a number in it is too long."""
        try:
            return _decode(self._text, self._at)
        except json.JSONDecodeError:
            raise
        except ValueError:
            _, end = _decode_without_integers(self._text, self._at)
            return Unparsed("bad_json", self._text[self._at : end]), end

    def elements(self) -> Iterator[Any]:
        """Yield the values of the list that comes next."""
        self._expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._expect(",]") == "]":
                return

    def members(self) -> Iterator[str]:
        """Yield the names in the object that comes next; the caller reads the value of each."""
        self._expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._broken(self._problem("Expecting property name"))
            name = self.value()
            self._expect(":")
            yield name
            if self._expect(",}") == "}":
                return

    def end(self) -> None:
        """Make sure that nothing more follows. Raises FileUnreadable."""
        if self.peek():
            raise self._broken(self._problem("Extra data"))

    def _expect(self, one_of: str) -> str:
        found = self.peek()
        if not found or found not in one_of:
            raise self._broken(self._problem("Expecting delimiter"))
        self._at += 1
        return found

    def _more(self) -> bool:
        """Drop what is parsed and read as much again as is left; tell whether there was more."""
        left = self._text[self._at :]
        parts, size = [left], 0
        for block in self._blocks:
            parts.append(block)
            size += len(block)
            if size >= len(left) and size:
                break
        if not size:
            # Where something is wrong is told by its place in the text there is.
            return False
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = "".join(parts), 0
        return True

    def _may_go_on(self, problem: json.JSONDecodeError) -> bool:
        cut = problem.pos >= len(self._text) - _CUT
        return cut or problem.msg.startswith("Unterminated string")

    def _skipped(self, unparsed: Unparsed) -> Unparsed:
        """Leave a value out by its brackets alone. Raises FileUnreadable when it never ends."""
        depth = 0
        inside = False
        while True:
            pattern = _QUOTE_OR_ESCAPE if inside else _MARKS
            found = pattern.search(self._text, self._at)
            if found is None:
                self._at = len(self._text)
                if not self._more():
                    raise unreadable(self.name, _NEVER_ENDS[unparsed.code])
                continue
            self._at = found.end()
            match found[0]:
                case "\\":
                    self._skip_one()
                case '"':
                    inside = not inside
                case "{" | "[":
                    depth += 1
                case _:
                    depth -= 1
            if depth <= 0 and not inside:
                return unparsed

    def _skip_one(self) -> None:
        if self._at >= len(self._text):
            self._more()
        self._at += 1

    def _problem(self, message: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(message, self._text, self._at)

    def _broken(self, problem: json.JSONDecodeError) -> FileUnreadable:
        code = json_problem(self._text, problem)
        line = self._line + self._text.count("\n", 0, problem.pos)
        return unreadable(self.name, code, line)


_NEVER_ENDS = {"too_deep": "too_deep", "too_long": "cut_off"}
