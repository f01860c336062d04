"""Settings of the whole app, kept as `settings.yaml` in the home folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from easytune import records, validation, yaml_text
from easytune.errors import ConfigInvalid, ConfigUnreadable
from easytune.options import Knob, Option, Section, declared

FILE = "settings.yaml"


class InferenceSection(Section):
    """Models held for Chat, Compare and the API."""

    memory_budget_gb: Annotated[float | None, Knob(level="essential")] = Field(
        default=None, gt=0, le=4096, title="Memory for models (GB)"
    )
    """Least recently used models go when this is exceeded. Empty: decided by what is free."""

    idle_minutes: Annotated[float, Knob(level="essential", step=1)] = Field(
        default=30, ge=0, le=10_080, title="Unload after (minutes)"
    )
    """A model nobody used for so long is unloaded. Zero: never."""

    allow_remote_code: Annotated[bool, Knob(level="essential")] = Field(
        default=False, title="Allow code that comes with models"
    )
    """Runs Python files from model folders on this machine. Only for authors you trust."""


class ExportSection(Section):
    """What exports use of this machine."""

    llama_cpp_folder: Annotated[str, Knob(level="essential")] = Field(
        default="", max_length=1000, title="Folder of llama.cpp"
    )
    """Its converter makes GGUF of models that EasyTune itself cannot convert. Empty: none."""


class JobsSection(Section):
    """How runs, checks, evaluations and exports are started."""

    keep_worker_ready: Annotated[bool, Knob(level="essential")] = Field(
        default=True, title="Keep a worker ready"
    )
    """The next job starts seconds earlier, for 300 MB of memory while nothing runs."""


class Settings(BaseModel):
    """All settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inference: InferenceSection = InferenceSection()
    export: ExportSection = ExportSection()
    jobs: JobsSection = JobsSection()


def options() -> Iterator[Option]:
    """Yield every setting, in the order of declaration."""
    return declared(Settings)


def load(home: Path) -> Settings:
    """Return the settings of a home; defaults where there is no file yet.

    Raises ConfigUnreadable or ConfigInvalid for a file that somebody broke.
    """
    path = home / FILE
    try:
        document = yaml_text.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigUnreadable(path=str(path), reason=str(error)) from error
    except yaml_text.YamlRefused as error:
        raise ConfigUnreadable(path=str(path), reason=error.detail or error.code) from error
    try:
        return Settings.model_validate(document.content or {})
    except ValidationError as error:
        raise ConfigInvalid(problems=validation.lines(error)) from error


def allows_remote_code(home: Path) -> bool:
    """Tell whether code that comes with models may run here; broken settings allow nothing."""
    try:
        return load(home).inference.allow_remote_code
    except (ConfigUnreadable, ConfigInvalid):
        return False


def save(home: Path, settings: Settings) -> None:
    """Write the settings whole."""
    home.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    records.write_text(home / FILE, text)
