"""What is written about a version and a dataset, and what callers are told of them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from easytune.data.formats import Layout
from easytune.data.stored import Reference


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ImportedFile(_Record):
    """A file that rows came from; `digest` is the SHA-256 of its bytes."""

    name: str
    digest: str = ""
    bytes: int = 0
    rows: int = 0


class Imported(_Record):
    """Rows were read from files."""

    kind: Literal["imported"] = "imported"
    files: tuple[ImportedFile, ...] = ()
    mode: Literal["new", "replace", "append"] = "new"


class Edited(_Record):
    """Rows were mended, dropped or added by hand."""

    kind: Literal["edited"] = "edited"
    replaced: int = 0
    dropped: int = 0
    added: int = 0


class Preprocessed(_Record):
    """Rows went through a pipeline: its steps as in YAML, and the version they were taken from."""

    kind: Literal["pipeline"] = "pipeline"
    steps: tuple[dict[str, Any], ...] = ()
    of: str = ""


class RolledBack(_Record):
    """The rows are those of an earlier version."""

    kind: Literal["rollback"] = "rollback"
    to: int


class Collected(_Record):
    """Rows were made in the app."""

    kind: Literal["collected"] = "collected"
    # No `from`: a keyword of the language.
    source: Literal["conversations", "votes", "corrections"] = Field(alias="from")
    count: int = 0

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Mixed(_Record):
    """Rows of several datasets were put together."""

    kind: Literal["mixed"] = "mixed"
    of: tuple[str, ...] = ()


Origin = Annotated[
    Imported | Edited | Preprocessed | RolledBack | Collected | Mixed, Field(discriminator="kind")
]


class Manifest(_Record):
    """A version as it is on disk: never changed once written.

    `order` names the file with the order of its rows, `segments` those with the rows themselves.
    `size_bytes` is what all of these take on disk, whoever else uses them too. `fingerprint` is the
    SHA-256 over each row's id (16 bytes) followed by a byte 1 where it is held out, else 0.
    """

    number: int
    created: datetime
    author: str = ""
    note: str = ""
    parent: int | None = None
    origin: Origin
    rows: int
    problems: int = 0
    held_out: int = 0
    fingerprint: str
    size_bytes: int = 0
    layouts: dict[str, Layout] = {}
    order: str = ""
    segments: tuple[str, ...] = ()


class VersionFacts(Manifest):
    """A version as callers see it: `note` and `tags` as they are now, `current` where it is.

    `rows` counts all, `problems` those of them that cannot be used.
    """

    dataset: str
    title: str = ""
    tags: tuple[str, ...] = ()
    current: bool = False

    @property
    def reference(self) -> Reference:
        """Return the name that stands for exactly this version."""
        return Reference(self.dataset, self.number)


class DatasetFacts(_Record):
    """A dataset: `versions` counts them, `size_bytes` is all that they take on disk together."""

    id: str
    title: str
    created: datetime
    current: VersionFacts
    versions: int
    size_bytes: int


class Tombstone(_Record):
    """What stays of a version that was deleted."""

    number: int
    fingerprint: str
    deleted: datetime
    rows: int = 0
