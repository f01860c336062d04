"""A version in the registry of models: what its files say, and what people say about it."""

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from easytune.job import slug

Kind = Literal["run", "checkpoint", "export", "import"]
Stage = Literal["candidate", "approved", "archived"]
Sort = Literal["created", "name", "size", "loss", "forgetting", "stage"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STAGES: tuple[Stage, ...] = get_args(Stage)
SORTS: tuple[Sort, ...] = get_args(Sort)
CURRENT = "current"
LONGEST_NAME, LONGEST_TAG, MOST_TAGS, LONGEST_NOTES = 40, 40, 30, 20_000
_NUMBER = re.compile(r"v(\d{1,9})")


@dataclass(frozen=True)
class DatasetUsed:
    """A version of a dataset that a model has learned from."""

    dataset: str
    number: int
    rows: int
    fingerprint: str


@dataclass(frozen=True)
class Facts:
    """What the files of one version say. Kept in the database until the files change."""

    key: str
    """`run:<id>`, `checkpoint:<run>@<step>`, `export:<id>` or `import:<id>`."""
    kind: Kind
    folder: str
    """Absolute folder of its weights."""
    model: str
    """Id in the catalogue of models, for chat, evaluation and export; "" where none can load it."""
    suggested: str
    """The name it begins under."""
    base: str
    """The base model as its files name it; "" for a base model."""
    created: datetime
    bytes: int
    is_adapter: bool = True
    run: str | None = None
    step: int | None = None
    target: str = ""
    """The format of an export, or what the check of an import found."""
    number_format: str = ""
    author: str = ""
    datasets: tuple[str, ...] = ()
    """As the run's config names them, versions pinned."""
    used: tuple[DatasetUsed, ...] = ()
    sources: tuple[str, ...] = ()
    """Ids in the catalogue of the models that an export was made from."""
    continues: str | None = None
    base_fingerprint: str = ""
    loss: float | None = None
    """The lowest loss on held-out rows; nats per token."""
    forgetting: tuple[float, float, float] | None = None
    """Score with its 95% interval; nats per token."""
    metrics: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self) | {"created": self.created.isoformat()}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "Facts":
        """Return what `as_json` gave."""
        kept = content | {
            "created": datetime.fromisoformat(content["created"]),
            "datasets": tuple(content["datasets"]),
            "sources": tuple(content["sources"]),
            "used": tuple(DatasetUsed(**one) for one in content["used"]),
            "forgetting": tuple(content["forgetting"]) if content["forgetting"] else None,
        }
        return cls(**kept)


@dataclass(frozen=True)
class Entry:
    """One version in the registry."""

    facts: Facts
    name: str
    number: int
    stage: Stage
    tags: tuple[str, ...]
    notes: str
    author: str
    revision: int
    """Grows with every change that people make."""
    is_current: bool

    @property
    def key(self) -> str:
        """Return what it is called for ever, whatever its name."""
        return self.facts.key

    @property
    def ref(self) -> str:
        """Return what people call it: `house-style:v3`."""
        return f"{self.name}:v{self.number}"

    @property
    def base_name(self) -> str:
        """Return the base model, without the folders before its name."""
        return shown_base(self.facts.base)

    def as_json(self) -> dict[str, Any]:
        """Return all that is known, for programs."""
        people = asdict(self)
        people.pop("facts")
        return {"id": self.key, "version": self.ref} | people | self.facts.as_json()


@dataclass(frozen=True)
class Change:
    """One line of the history of a version or of a name."""

    at: datetime
    who: str
    what: str
    """A field, or registered, current, rolled_back, deleted, restored."""
    entry: str
    name: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class FileFact:
    """One file of a version."""

    path: str
    bytes: int
    sha256: str
    """"" until it has been computed."""


@dataclass(frozen=True)
class Query:
    """Which versions to list, and in which order."""

    search: str = ""
    stage: str = ""
    kind: str = ""
    base: str = ""
    tag: str = ""
    name: str = ""
    sort: Sort = "created"
    reverse: bool = False
    """Turns the usual order around: newest, largest, best first; names from A."""


@dataclass(frozen=True)
class Listing:
    """The versions that were asked for, and what there is to choose from."""

    entries: tuple[Entry, ...]
    total: int
    """All versions there are."""
    pending: int
    """Folders whose files are yet to be read."""
    names: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def shown_base(base: str) -> str:
    """Return a base model without the folders before its name."""
    return Path(base).name if Path(base).is_absolute() else base


def clean_name(name: str) -> str:
    """Return a name as models are called by it, "" when nothing of it can be: `house-style`."""
    return slug(name) if re.search(r"\w", name.replace("_", "")) else ""


def clean_tags(tags: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return tags in small letters, each once, none of them empty."""
    words = (" ".join(tag.casefold().split())[:LONGEST_TAG].strip() for tag in tags)
    return tuple(dict.fromkeys(word for word in words if word))[:MOST_TAGS]


def parse_ref(text: str) -> tuple[str, int | None] | None:
    """Return (name, number) of `house-style:v3`, (name, None) of `house-style:current`."""
    name, mark, version = text.rpartition(":")
    if not mark or not name:
        return None
    if version == CURRENT:
        return name, None
    found = _NUMBER.fullmatch(version)
    return (name, int(found[1])) if found else None


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
