"""One row of a version as a model sees it, without reading the others."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from easytune.config import DataSection
from easytune.data import formats, preview, tokenizer
from easytune.data.encoding import Encoder
from easytune.data.formats import Layout
from easytune.data.preview import Piece
from easytune.data.rows import Problem, RowInvalid
from easytune.data.stored import StoredRow
from easytune.data.tokenizer import ModelTokenizer
from easytune.data.versions.rows import Rows
from easytune.errors import StageMismatch

Stamps = tuple[tuple[str, int, int], ...]
_RENDERED_BY = ("chat_template", "max_length", "stage", "train_on", "mask_history", "thinking")


@dataclass(frozen=True)
class RowView:
    """A row in tokens, or why it is left out.

    `position` counts from 0. `trained` counts the tokens that are learned, within `max_length`.
    `problem` is None for a row that reaches the model.
    """

    position: int
    source: str
    number: int
    held_out: bool
    tokens: int = 0
    trained: int = 0
    pieces: list[Piece] = field(default_factory=list)
    problem: Problem | None = None


def look(rows: Rows, position: int, options: DataSection, folder: Path) -> RowView:
    """Return the row at `position`, moved into range, as the model in `folder` sees it.

    Raises ModelIncomplete, FileMissing, TemplateInvalid, and StageMismatch for conversations in a
    run on plain text or the other way round.
    """
    stored = rows.row(max(0, min(position, len(rows) - 1)))
    if stored.problem:
        told = Problem(stored.number, stored.source, stored.problem, stored.values)
        return _view(stored, problem=told)
    layout = rows.facts.layouts.get(stored.source, Layout())
    if (layout.format == "text") != (options.stage == "pretrain"):
        raise StageMismatch(path=str(rows.facts.reference), stage=options.stage)
    return _encoded(stored, layout, options, *_encoder(options, folder))


def _encoded(
    stored: StoredRow, layout: Layout, options: DataSection, encoder: Encoder, model: ModelTokenizer
) -> RowView:
    converted = formats.convert(stored.value, stored.number, stored.source, layout)
    if isinstance(converted, Problem):
        return _view(stored, problem=converted)
    try:
        tokens = encoder.tokens(converted[0])
    except RowInvalid as invalid:
        return _view(stored, problem=invalid.at(stored.number, stored.source))
    limit = options.max_length
    return _view(
        stored,
        tokens=len(tokens.ids),
        trained=sum(tokens.trained[:limit]),
        pieces=list(preview.pieces_of(tokens, model.special_ids, limit)),
    )


def _view(
    stored: StoredRow,
    tokens: int = 0,
    trained: int = 0,
    pieces: list[Piece] | None = None,
    problem: Problem | None = None,
) -> RowView:
    return RowView(
        stored.position, stored.source, stored.number, stored.held_out,
        tokens, trained, pieces or [], problem,
    )  # fmt: skip


def _encoder(options: DataSection, folder: Path) -> tuple[Encoder, ModelTokenizer]:
    template = [Path(options.chat_template).expanduser()] if options.chat_template else []
    files = [*tokenizer.files(folder), *(file for file in template if file.is_file())]
    stamps = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    counting = {name: getattr(options, name) for name in _RENDERED_BY}
    return _made(DataSection(**counting).model_dump_json(), str(folder), stamps)


# A tokenizer takes a second to read; paging through rows must not wait for it.
@lru_cache(maxsize=2)
def _made(content: str, folder: str, stamps: Stamps) -> tuple[Encoder, ModelTokenizer]:
    options = DataSection.model_validate_json(content)
    model = tokenizer.load(Path(folder), options.chat_template)
    return Encoder(model, options), model
