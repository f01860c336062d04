"""Rows into token ids, with a mark on every token that is to be learned."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tokenizers import Encoding

from easytune.config import DataSection
from easytune.data.answer_spans import AnswerMarker, Marked
from easytune.data.chat_template import Span
from easytune.data.rows import Problem, Row, RowInvalid, reasons_text
from easytune.data.sources import Notice
from easytune.data.tokenizer import ModelTokenizer
from easytune.errors import NothingToTrain, TemplateFailed

# Large enough to keep all cores busy, small enough that the offsets of a batch fit anywhere.
_BATCH = 512
_THINKING = {"auto": None, "on": True, "off": False}


@dataclass(frozen=True)
class Example:
    """One row as the model gets it.

    `input_ids` (int32) and `trained` (bool) have the same length, at most `max_length`;
    `trained[i]` says that token i is a target to learn, so never for i = 0, which nothing predicts.
    `full_length` is the number of tokens before the row was cut.
    """

    input_ids: np.ndarray
    trained: np.ndarray
    full_length: int
    row: Row


@dataclass(frozen=True)
class EncodedSet:
    """All rows that can be learned from, in order, and what became of the others.

    `truncated` counts the examples that were cut to `max_length`.
    """

    examples: list[Example] = field(default_factory=list)
    dropped: list[Problem] = field(default_factory=list)
    truncated: int = 0
    notices: list[Notice] = field(default_factory=list)

    @property
    def supervised_tokens(self) -> int:
        """Return how many tokens are targets, over all examples."""
        return sum(int(example.trained.sum()) for example in self.examples)

    def require_examples(self, earlier: Sequence[Problem] = ()) -> None:
        """Raise TemplateFailed or NothingToTrain when no example is left.

        `earlier` are the problems met before encoding, to be named as well.
        """
        if self.examples:
            return
        failed = [problem for problem in self.dropped if problem.code == "template_failed"]
        if failed and len(failed) == len(self.dropped):
            raise TemplateFailed(failed[0].number, failed[0].values["reason"].rstrip("."))
        everything = [*earlier, *self.dropped]
        raise NothingToTrain(rows=len(everything), reasons=reasons_text(everything))


@dataclass(frozen=True)
class Tokens:
    """A whole row in tokens, before it is cut; `texts` has the piece of text each token covers.

    Tokens that share a character (a part of an emoji each) have their text at the first of them and
    None at the others.
    """

    ids: list[int]
    trained: list[bool]
    texts: list[str | None]


class Encoder:
    """Turns rows into examples for one model, as the data options say."""

    def __init__(self, tokenizer: ModelTokenizer, options: DataSection) -> None:
        self._tokenizer = tokenizer
        self._options = options
        special = [tokenizer.token(token_id) for token_id in tokenizer.special_ids]
        thinking = _THINKING[options.thinking]
        self._marker = AnswerMarker(tokenizer.template, special, thinking)

    def encode(self, rows: Sequence[Row]) -> EncodedSet:
        """Return the examples of all rows, in order; rows that repeat are encoded once."""
        distinct = list({id(row): row for row in rows}.values())
        results: dict[int, Example | Problem] = {}
        noted: dict[str, int] = {}
        for start in range(0, len(distinct), _BATCH):
            batch = distinct[start : start + _BATCH]
            results.update(zip(map(id, batch), self._encode_batch(batch, noted), strict=True))
        outcomes = [results[id(row)] for row in rows]
        examples = [outcome for outcome in outcomes if isinstance(outcome, Example)]
        return EncodedSet(
            examples=examples,
            dropped=[outcome for outcome in outcomes if isinstance(outcome, Problem)],
            truncated=sum(len(e.input_ids) < e.full_length for e in examples),
            notices=self._notices(noted, bool(rows)),
        )

    def tokens(self, row: Row) -> Tokens:
        """Return one row in tokens with the text of each, uncut. Raises RowInvalid."""
        marked = self._mark(row)
        [encoding] = self._tokenize([marked.text], [self._is_plain(row)])
        ids, trained = self._finish(marked, encoding)
        texts = [*_texts(marked.text, encoding.offsets), ""][: len(ids)]
        # A token that stands for no text, such as the one that begins it, shows its own name.
        shown = [
            self._tokenizer.token(i) if t == "" else t for i, t in zip(ids, texts, strict=True)
        ]
        return Tokens(ids, [bool(flag) for flag in trained], shown)

    def _encode_batch(self, rows: list[Row], noted: dict[str, int]) -> Iterator[Example | Problem]:
        marked: list[Marked | Problem] = []
        for row in rows:
            try:
                marked.append(self._mark(row))
            except RowInvalid as invalid:
                marked.append(invalid.at(row.number, row.source))
        texts = [one.text for one in marked if isinstance(one, Marked)]
        usable = zip(rows, marked, strict=True)
        plain = [self._is_plain(row) for row, one in usable if isinstance(one, Marked)]
        encodings = iter(self._tokenize(texts, plain))
        for row, one in zip(rows, marked, strict=True):
            if isinstance(one, Problem):
                yield one
                continue
            _note(one, noted)
            yield self._example(row, one, next(encodings))

    def _mark(self, row: Row) -> Marked:
        if self._is_plain(row):
            text = row.text or "\n\n".join(turn.content for turn in row.messages or ())
            return Marked(text, ((0, len(text)),), ended=False)
        assert row.messages is not None
        marked = self._marker.mark(row.messages, last_only=self._options.mask_history)
        if self._options.train_on == "response" or self._options.mask_history:
            return marked
        return replace(marked, spans=((0, len(marked.text)),))

    def _is_plain(self, row: Row) -> bool:
        """Tell whether a row is read as text: one that is, or a conversation for a base model.

        A base model that goes on with plain text should not meet a chat format only because
        general rows are replayed to it.
        """
        if row.messages is None:
            return True
        return self._options.stage == "pretrain" and self._tokenizer.template_source == "fallback"

    def _tokenize(self, texts: list[str], plain: list[bool]) -> list[Encoding]:
        """Tokenize; plain text gets the token that begins a text, a template writes its own."""
        encoded: dict[int, Encoding] = {}
        for kind in (False, True):
            places = [place for place, is_plain in enumerate(plain) if is_plain is kind]
            found = self._tokenizer.backend.encode_batch(
                [texts[place] for place in places], add_special_tokens=kind
            )
            encoded.update(zip(places, found, strict=True))
        return [encoded[place] for place in range(len(texts))]

    def _example(self, row: Row, marked: Marked, encoding: Encoding) -> Example | Problem:
        ids, trained = self._finish(marked, encoding)
        limit = self._options.max_length
        kept = np.array(trained[:limit], dtype=bool)
        if not kept.any():
            code = "truncated_away" if len(ids) > limit else "nothing_to_learn"
            values: dict[str, Any] = {"tokens": len(ids), "max_length": limit}
            return Problem(row.number, row.source, code, values)
        return Example(np.array(ids[:limit], dtype=np.int32), kept, len(ids), row)

    def _finish(self, marked: Marked, encoding: Encoding) -> tuple[list[int], np.ndarray]:
        """Return the ids and marks of a whole row, its end token added where one is lacking."""
        ids = encoding.ids
        trained = np.zeros(len(ids), dtype=bool)
        for first, last in self._token_ranges(marked.spans, encoding, ids, len(marked.text)):
            trained[first : last + 1] = True
        if not marked.ended:
            ids, trained = self._end(ids, trained)
        trained[:1] = False
        return ids, trained

    def _end(self, ids: list[int], trained: np.ndarray) -> tuple[list[int], np.ndarray]:
        """Let the row end with its last answer and an end token that is learned too."""
        learned = np.flatnonzero(trained)
        length = int(learned[-1]) + 1 if len(learned) else len(ids)
        if length and ids[length - 1] in self._tokenizer.eos_ids:
            return ids[:length], trained[:length]
        return [*ids[:length], self._tokenizer.eos_id], np.append(trained[:length], True)

    def _token_ranges(
        self, spans: Sequence[Span], encoding: Encoding, ids: list[int], length: int
    ) -> Iterator[Span]:
        """Yield the first and last token of each span of characters."""
        for start, end in spans:
            if (start, end) == (0, length):
                yield 0, len(ids) - 1
                continue
            found = _token_range(encoding, start, end)
            if found is None:
                continue
            first, last = found
            characters = encoding.token_to_chars(first)
            # A control token that swallows the white space behind it belongs to the prompt.
            if characters and characters[0] < start and ids[first] in self._tokenizer.special_ids:
                first += 1
            yield first, last

    def _notices(self, noted: dict[str, int], any_rows: bool) -> list[Notice]:
        notices: list[Notice] = [(f"data.{code}", {"rows": n}) for code, n in noted.items()]
        conversations = self._options.stage == "sft"
        if any_rows and conversations and self._tokenizer.template_source == "fallback":
            notices.insert(0, ("data.fallback_template", {}))
        return notices


def _note(marked: Marked, noted: dict[str, int]) -> None:
    if marked.system_folded:
        noted["system_folded"] = noted.get("system_folded", 0) + 1
    if marked.unplaced:
        noted["answers_unplaced"] = noted.get("answers_unplaced", 0) + 1


def _token_range(encoding: Encoding, start: int, end: int) -> Span | None:
    """Return the first and last token that cover any of the characters start to end.

    Some characters have no token (white space that a tokenizer leaves out), and some have several
    (an emoji in bytes).
    """
    firsts = (encoding.char_to_token(place) for place in range(start, end))
    first = next((token for token in firsts if token is not None), None)
    lasts = (encoding.char_to_token(place) for place in range(end - 1, start - 1, -1))
    last = next((token for token in lasts if token is not None), None)
    if first is None or last is None:
        return None
    while last + 1 < len(encoding) and _begins_before(encoding, last + 1, end):
        last += 1
    return first, last


def _begins_before(encoding: Encoding, token: int, end: int) -> bool:
    characters = encoding.token_to_chars(token)
    return characters is not None and characters[0] < end


def _texts(text: str, offsets: Sequence[Span]) -> Iterator[str | None]:
    """Yield the text each token covers; text between two tokens goes to the later one."""
    shown = 0
    for place, (_, end) in enumerate(offsets):
        if end <= shown and place:
            yield None
            continue
        yield text[shown:end]
        shown = end
