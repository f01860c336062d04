"""Intents: what somebody wants of a model, one YAML file each.

Bundled ones lie in `configs/intents`; files in `<home>/intents` add others, or replace the bundled
one of the same file name. "expert", which leaves all settings alone, has no file.
"""

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from easytune import paths, validation, yaml_text
from easytune.config import TrainConfig, options
from easytune.i18n import DEFAULT_LANGUAGE, t

EXPERT = "expert"
FOLDER = "intents"
Targets = Literal["qkv", "qkv+mlp", "attention", "attention+mlp", "all-linear"]

_ID = re.compile(r"\w[\w-]{0,59}")
# What a run is about stays with the person: an intent only says how to train.
_NOT_OURS = re.compile(
    r"goal\.|output\.|model\.(?!method$)"
    r"|data\.(datasets|weights|columns|chat_template|max_rows|held_out_file|replay)$"
)


def _by_language(given: Any) -> Any:
    """Take a plain text for one in English."""
    return {DEFAULT_LANGUAGE: given} if isinstance(given, str) else given


Line = Annotated[str, Field(min_length=1, max_length=600)]
Texts = Annotated[dict[str, Line], BeforeValidator(_by_language), Field(min_length=1)]


class Intent(BaseModel):
    """What one intent wants: texts by language, and how it bends what is derived.

    `rank` is the band to choose from, `rate_factor` multiplies the learning rate, `replay_share` is
    what `data.replay_share` becomes. `config` holds fixed values by section and option, `because` a
    reason by `section.option`, whose placeholders are those of the derived reason. `metrics` are
    suggested for evaluation; `wishes` are words in which people ask for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: Texts
    summary: Texts
    rank: tuple[Annotated[int, Field(ge=1, le=1024)], Annotated[int, Field(ge=1, le=1024)]] = (
        8,
        16,
    )
    targets: Targets = "all-linear"
    rate_factor: float = Field(default=1.0, gt=0, le=20)
    replay_share: float = Field(default=0.0, ge=0, le=0.9)
    config: dict[str, dict[str, Any]] = {}
    because: dict[str, Texts] = {}
    metrics: tuple[str, ...] = ()
    wishes: tuple[Line, ...] = ()

    @field_validator("rank")
    @classmethod
    def _low_to_high(cls, rank: tuple[int, int]) -> tuple[int, int]:
        if rank[0] > rank[1]:
            raise PydanticCustomError("range_empty", "at least {least}", {"least": rank[0]})
        return rank

    def title_in(self, lang: str) -> str:
        """Return the title in a language, else in English, else in whichever there is."""
        return spoken(self.title, lang)

    def summary_in(self, lang: str) -> str:
        """Return the summary in a language, else in English, else in whichever there is."""
        return spoken(self.summary, lang)


@dataclass(frozen=True)
class IntentProblem:
    """What is wrong in an intent's file; `line` counts from 1 and is 0 when unknown."""

    path: Path
    line: int
    message: str


@dataclass(frozen=True)
class Intents:
    """The intents that can be used, by id, bundled ones first, and what is wrong with others."""

    found: dict[str, Intent]
    problems: list[IntentProblem]


def load(home: Path, lang: str = "en") -> Intents:
    """Return the bundled intents and those of a home; problems are told in `lang`.

    A file with a problem is left out; the bundled one that it would replace stays.
    """
    known = Intents({}, [])
    for folder in (paths.CONFIGS / FOLDER, home / FOLDER):
        read = [_read(file, lang) for file in _files(folder)]
        usable = [intent for intent, _ in read if intent is not None]
        for intent in sorted(usable, key=lambda one: (one.rank, one.id)):
            known.found[intent.id] = intent
        known.problems.extend(problem for _, problems in read for problem in problems)
    return known


def spoken(texts: dict[str, str], lang: str) -> str:
    """Return a text in a language, else in English, else in whichever there is."""
    return texts.get(lang) or texts.get(DEFAULT_LANGUAGE) or next(iter(texts.values()), "")


def _files(folder: Path) -> list[Path]:
    try:
        found = [file for file in folder.iterdir() if file.suffix in (".yaml", ".yml")]
    except OSError:
        return []
    return sorted(file for file in found if not file.name.startswith("."))


def _read(file: Path, lang: str) -> tuple[Intent | None, list[IntentProblem]]:
    """Return the intent of a file, or None and what is wrong with it."""
    if not _ID.fullmatch(file.stem) or file.stem == EXPERT:
        return None, [IntentProblem(file, 0, t("intent.problem.name", lang, name=file.stem))]
    try:
        text = _text(file)
        document = yaml_text.parse(text)
    except yaml_text.YamlRefused as refused:
        reason = t(f"config.unreadable.{refused.code}", lang, line=refused.line,
                   detail=refused.detail)  # fmt: skip
        return None, [IntentProblem(file, refused.line, reason)]
    except OSError as error:
        return None, [IntentProblem(file, 0, str(error))]
    if not isinstance(document.content, dict):
        return None, [IntentProblem(file, 1, t("intent.problem.no_mapping", lang))]
    return _understand(file, document.content, yaml_text.lines(text), lang)


def _text(file: Path) -> str:
    """Return the text of a file. Raises OSError or YamlRefused."""
    if file.stat().st_size > yaml_text.MAX_BYTES:
        raise yaml_text.YamlRefused("too_large")
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise yaml_text.YamlRefused("not_text") from error


_Found = tuple[tuple[str | int, ...], str]


def _understand(
    file: Path, content: dict[Any, Any], lines: dict[tuple[str | int, ...], int], lang: str
) -> tuple[Intent | None, list[IntentProblem]]:
    named = {str(key): value for key, value in content.items()} | {"id": file.stem}
    intent, wrong = None, []
    try:
        intent = Intent.model_validate(named)
    except ValidationError as error:
        wrong = [(_path(details), _sentence(details, lang)) for details in error.errors()]
    config, because = content.get("config"), content.get("because")
    wrong += _wrong_options(config, lang) if isinstance(config, dict) else ()
    wrong += _wrong_reasons(because, lang) if isinstance(because, dict) else ()
    problems = [IntentProblem(file, _line(path, lines), message) for path, message in wrong]
    return (None if problems else intent), sorted(problems, key=lambda problem: problem.line)


def _line(path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> int:
    """Return the line of what is wrong, or of the nearest thing around it that is there."""
    for length in range(len(path), 0, -1):
        if found := lines.get(path[:length]):
            return found
    return 1


def _path(details: ErrorDetails) -> tuple[str | int, ...]:
    return tuple(details["loc"])


def _sentence(details: ErrorDetails, lang: str) -> str:
    name = ".".join(str(part) for part in details["loc"])
    match details["type"]:
        case "missing":
            return t("intent.problem.missing", lang, key=name)
        case "extra_forbidden":
            return _unknown(name, list(Intent.model_fields), lang)
    return f"{name}: {validation.sentence(details, lang)}"


def _unknown(name: str, known: list[str], lang: str) -> str:
    meant = validation.closest(name, known)
    if meant is None:
        return t("intent.problem.unknown", lang, key=name)
    return t("intent.problem.unknown_meant", lang, key=name, meant=meant)


def _wrong_options(config: dict[Any, Any], lang: str) -> Iterator[_Found]:
    """Yield what is wrong with fixed values: no option, none of an intent's, or out of bounds."""
    known = [option.path for option in options()]
    kept: dict[str, dict[str, Any]] = {}
    for section, group in config.items():
        for name, value in group.items() if isinstance(group, dict) else ():
            path = f"{section}.{name}"
            if path not in known:
                yield ("config", str(section), str(name)), _unknown(path, known, lang)
            elif _NOT_OURS.match(path):
                message = t("intent.problem.not_ours", lang, option=path)
                yield ("config", section, name), message
            else:
                kept.setdefault(section, {})[name] = value
    try:
        TrainConfig.model_validate(kept)
    except ValidationError as error:
        for details in error.errors():
            path = ".".join(str(part) for part in details["loc"][:2])
            yield ("config", *_path(details)), f"{path}: {validation.sentence(details, lang)}"


def _wrong_reasons(because: dict[Any, Any], lang: str) -> Iterator[_Found]:
    known = [option.path for option in options()]
    for path, texts in because.items():
        if path not in known:
            yield ("because", str(path)), _unknown(str(path), known, lang)
        for text in texts.values() if isinstance(texts, dict) else (texts,):
            if not _can_be_filled(str(text)):
                yield ("because", str(path)), t("intent.problem.braces", lang, key=path)


def _can_be_filled(text: str) -> bool:
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        return False
    return all(name is None or name.isidentifier() for _, name, _, _ in fields)
