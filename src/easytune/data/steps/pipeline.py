"""Pipelines: steps in the order they are taken, as YAML that people keep and share.

title: Tidy up
steps:
  - clean: {html: true}
  - near_duplicates: {threshold: 0.9}
  - shuffle
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from easytune import paths, validation, yaml_text
from easytune.data.steps.options import Steps
from easytune.dataset_errors import PipelineUnreadable, StepInvalid, StepUnknown
from easytune.errors import FileMissing
from easytune.options import Section

FOLDER = paths.CONFIGS / "pipelines"
_KINDS: dict[str, type[Section]] = {
    name: kind
    for name, field in Steps.model_fields.items()
    if isinstance(kind := field.annotation, type) and issubclass(kind, Section)
}


@dataclass(frozen=True)
class StepSpec:
    """One step of a pipeline and its options."""

    name: str
    options: Section


@dataclass(frozen=True)
class Pipeline:
    """Steps in the order they are taken."""

    steps: tuple[StepSpec, ...]
    title: str = ""

    @property
    def as_list(self) -> list[dict[str, Any]]:
        """Return `[{name: {option: value}}]`, with the options that are not at their defaults.

        What a version records, and what `of` reads.
        """
        return [{spec.name: _chosen(spec.options)} for spec in self.steps]


def spec(
    name: str, options: Mapping[str, Any] | Section | None = None, lang: str = "en"
) -> StepSpec:
    """Return one step, its options checked. Raises StepUnknown, or StepInvalid in `lang`."""
    kind = _KINDS.get(name)
    if kind is None:
        raise StepUnknown(name, _hint(name, list(_KINDS)))
    if isinstance(options, kind):
        return StepSpec(name, options)
    content = options.model_dump() if isinstance(options, Section) else dict(options or {})
    try:
        return StepSpec(name, kind.model_validate(content))
    except ValidationError as error:
        raise StepInvalid(name, _explained(error, kind, lang)) from error


def of(steps: Iterable[Mapping[str, Any] | str], title: str = "", lang: str = "en") -> Pipeline:
    """Return the pipeline of `[{name: {option: value}}]`; a step's name alone is enough.

    Raises PipelineUnreadable, StepUnknown or StepInvalid.
    """
    parsed = (_parsed(entry, place, lang) for place, entry in enumerate(steps, 1))
    return Pipeline(tuple(parsed), title)


def load(path: Path, lang: str = "en") -> Pipeline:
    """Read a YAML file. Raises FileMissing and what `loads` raises."""
    if not path.is_file():
        raise FileMissing(path=str(path))
    if path.stat().st_size > yaml_text.MAX_BYTES:
        raise PipelineUnreadable(str(path), "@config.unreadable.too_large")
    try:
        return loads(path.read_text(encoding="utf-8-sig"), str(path), lang)
    except UnicodeDecodeError as error:
        raise PipelineUnreadable(str(path), "@config.unreadable.not_text") from error


def loads(text: str, name: str = "YAML", lang: str = "en") -> Pipeline:
    """Read YAML text: a list of steps, or a mapping with `steps` and perhaps `title`.

    `name` is what a problem calls the text. Raises PipelineUnreadable, StepUnknown or StepInvalid.
    """
    try:
        content = yaml_text.parse(text.removeprefix("\ufeff")).content
    except yaml_text.YamlRefused as refused:
        where = f"@data.line {refused.line}: " if refused.line else ""
        reason = refused.detail or f"@steps.unreadable.{refused.code}"
        raise PipelineUnreadable(name, where + reason) from refused
    title = ""
    if isinstance(content, dict):
        title = str(content.get("title") or "")
        content = content.get("steps")
    if not isinstance(content, list) or not content:
        raise PipelineUnreadable(name, "@steps.unreadable.no_steps")
    return of(content, title, lang)


def dump(pipeline: Pipeline) -> str:
    """Return a pipeline as YAML, with the options that are not at their defaults."""
    steps = [{name: o} if o else name for step in pipeline.as_list for name, o in step.items()]
    content = ({"title": pipeline.title} if pipeline.title else {}) | {"steps": steps}
    header = "# EasyTune pipeline. Run it with: easytune data preprocess <dataset> <this file>\n"
    return header + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def bundled() -> dict[str, Path]:
    """Return the pipelines that come with EasyTune, by name; titles are `steps.bundled.<name>`."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def _parsed(entry: Any, place: int, lang: str) -> StepSpec:
    if isinstance(entry, str):
        return spec(entry)
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise PipelineUnreadable("YAML", f"@steps.unreadable.not_a_step ({place})")
    (name, options), *_ = entry.items()
    if options is not None and not isinstance(options, Mapping):
        raise StepInvalid(str(name), "@steps.unreadable.not_options")
    return spec(str(name), {str(key): value for key, value in (options or {}).items()}, lang)


def _chosen(options: Section) -> dict[str, Any]:
    return options.model_dump(mode="json", exclude_defaults=True)


def _hint(name: str, known: list[str]) -> str:
    """Return the known names, the one that was probably meant first."""
    meant = validation.closest(name, known)
    return ", ".join([meant, *(k for k in known if k != meant)] if meant else known)


def _explained(error: ValidationError, kind: type[Section], lang: str) -> str:
    """Return a line per broken rule; for an option there is not, the one that was meant."""
    lines = []
    for details in error.errors():
        path = ".".join(str(part) for part in details["loc"])
        if details["type"] == "extra_forbidden":
            lines.append(f"{path}: @steps.unreadable.no_option {_hint(path, [*kind.model_fields])}")
        else:
            lines.append(f"{path}: {validation.sentence(details, lang)}")
    return "\n".join(lines)
