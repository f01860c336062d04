"""What the model would see: one row in coloured tokens, and what becomes of all rows."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from easytune.config import DataSection
from easytune.data import dataset, tokenizer
from easytune.data.dataset import Dataset
from easytune.data.encoding import EncodedSet, Encoder, Tokens
from easytune.data.rows import Problem, Row, count_reasons
from easytune.data.sources import Notice
from easytune.data.tokenizer import ModelTokenizer, TemplateSource

Kind = Literal["trained", "masked", "special", "truncated"]
Stamps = tuple[tuple[str, int, int], ...]
_BINS = 24
_PROBLEMS_SHOWN = 50
_WIDTHS = (1, 2, 5)


@dataclass(frozen=True)
class Piece:
    """One token's text, or that of the tokens that only together make a character.

    `kind`: trained (learned from), masked (read only), special (a control token that is read only)
    or truncated (beyond `max_length`). `control`: it is a control token, trained or not.
    """

    text: str
    kind: Kind
    control: bool = False


@dataclass(frozen=True)
class Bin:
    """How many rows have `low` to `high` tokens, both included."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True)
class Preview:
    """The counts of a dataset under the current options, and one row of it.

    `read` rows were found; `used` and `held_out` of them (repetitions by weight included) reach the
    model, `truncated` of those cut; `dropped` cannot be used, by `reasons` (code to count, text
    `data.reason.<code>`), the first of them in `problems`; `left_out` by the row limit.
    `index` is the row shown, of `used + held_out`; its pieces are in the order of its text.
    """

    read: int
    used: int
    held_out: int
    truncated: int
    dropped: int
    left_out: int
    reasons: dict[str, int]
    problems: list[Problem]
    notices: list[Notice]
    supervised_tokens: int
    total_tokens: int
    lengths: list[Bin]
    template_source: TemplateSource
    index: int
    number: int = 0
    source: str = ""
    row_held_out: bool = False
    row_tokens: int = 0
    row_trained: int = 0
    pieces: list[Piece] = field(default_factory=list)


@dataclass(frozen=True)
class _Prepared:
    dataset: Dataset
    encoder: Encoder
    tokenizer: ModelTokenizer
    train: EncodedSet
    held_out: EncodedSet


def preview(
    options: DataSection, folder: Path, index: int, seed: int = 42, home: Path | None = None
) -> Preview:
    """Return the counts, and row `index` (moved into range) as the model in `folder` sees it.

    Loaded and encoded rows are kept until an option or a file changes, so paging is instant.
    Raises what `dataset.load` and `tokenizer.load` raise. A dataset of which no row is usable by
    this model is no error here: its counts say why.
    """
    content = options.model_dump_json()
    stamps = _stamps(dataset.source_files(options, home))
    template = [Path(options.chat_template).expanduser()] if options.chat_template else []
    model_stamps = _stamps(
        [*tokenizer.files(folder), *(file for file in template if file.is_file())]
    )
    prepared = _prepared(content, str(folder), seed, home, stamps, model_stamps)
    return _describe(prepared, options, index)


def _stamps(files: list[Path]) -> Stamps:
    stats = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


# Kept apart, so that a longer max_length does not read the files again.
@lru_cache(maxsize=2)
def _loaded(content: str, seed: int, home: Path | None, stamps: Stamps) -> Dataset:
    return dataset.load(DataSection.model_validate_json(content), seed, home)


@lru_cache(maxsize=2)
def _tokenizer(folder: str, template: str | None, stamps: Stamps) -> ModelTokenizer:
    return tokenizer.load(Path(folder), template)


@lru_cache(maxsize=2)
def _prepared(
    content: str,
    folder: str,
    seed: int,
    home: Path | None,
    stamps: Stamps,
    model_stamps: Stamps,
) -> _Prepared:
    options = DataSection.model_validate_json(content)
    loaded = _loaded(_choice_of_rows(options), seed, home, stamps)
    model_tokenizer = _tokenizer(folder, options.chat_template, model_stamps)
    encoder = Encoder(model_tokenizer, options)
    train, held_out = encoder.encode(loaded.train), encoder.encode(loaded.held_out)
    return _Prepared(loaded, encoder, model_tokenizer, train, held_out)


def _choice_of_rows(options: DataSection) -> str:
    usual = DataSection()
    same = ("chat_template", "max_length", "packing", "train_on", "mask_history", "thinking")
    return options.model_copy(update={n: getattr(usual, n) for n in same}).model_dump_json()


def _describe(prepared: _Prepared, options: DataSection, index: int) -> Preview:
    sets = (prepared.train, prepared.held_out)
    examples = [example for each in sets for example in each.examples]
    dropped = [*prepared.dataset.problems, *(problem for each in sets for problem in each.dropped)]
    dropped.sort(key=lambda problem: (problem.source, problem.number))
    notices = [*prepared.dataset.notices]
    notices += [n for each in sets for n in each.notices if n not in notices]
    counts = Preview(
        read=prepared.dataset.read,
        used=len(prepared.train.examples),
        held_out=len(prepared.held_out.examples),
        truncated=sum(each.truncated for each in sets),
        dropped=len(dropped),
        left_out=prepared.dataset.left_out,
        reasons=count_reasons(dropped),
        problems=dropped[:_PROBLEMS_SHOWN],
        notices=notices,
        supervised_tokens=sum(each.supervised_tokens for each in sets),
        total_tokens=sum(len(example.input_ids) for example in examples),
        lengths=histogram([example.full_length for example in examples]),
        template_source=prepared.tokenizer.template_source,
        index=max(0, min(index, len(examples) - 1)),
    )
    if not examples:
        return counts
    row = examples[counts.index].row
    return _with_row(counts, prepared, row, options.max_length)


def _with_row(counts: Preview, prepared: _Prepared, row: Row, limit: int) -> Preview:
    tokens = prepared.encoder.tokens(row)
    return replace(
        counts,
        number=row.number,
        source=row.source,
        row_held_out=counts.index >= counts.used,
        row_tokens=len(tokens.ids),
        row_trained=sum(tokens.trained[:limit]),
        pieces=list(pieces_of(tokens, prepared.tokenizer.special_ids, limit)),
    )


def pieces_of(tokens: Tokens, special_ids: frozenset[int], limit: int) -> Iterator[Piece]:
    """Yield the pieces of a row; tokens that share a character become one piece."""
    for place, text in enumerate(tokens.texts):
        if text is None:
            continue
        control = tokens.ids[place] in special_ids
        if place >= limit:
            kind: Kind = "truncated"
        elif tokens.trained[place]:
            kind = "trained"
        else:
            kind = "special" if control else "masked"
        yield Piece(text, kind, control)


def histogram(lengths: list[int]) -> list[Bin]:
    """Return at most 24 bins of equal, round width from 1 token to the longest row."""
    if not lengths:
        return []
    width = _bin_width(max(lengths))
    bins = [0] * -(-max(lengths) // width)
    for length in lengths:
        bins[(length - 1) // width] += 1
    return [Bin(place * width + 1, (place + 1) * width, rows) for place, rows in enumerate(bins)]


def _bin_width(longest: int) -> int:
    scale = 1
    while True:
        for width in _WIDTHS:
            if width * scale * _BINS >= longest:
                return width * scale
        scale *= 10
