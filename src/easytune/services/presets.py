"""Presets: sampling and system prompt under a name, one YAML file each in `<home>/presets`."""

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from easytune import records, yaml_text
from easytune.errors import ConfigUnreadable, EasyTuneError, FolderUnwritable
from easytune.generation import SamplingSection
from easytune.inference_errors import PresetMissing, PresetNameInvalid, PresetTooLong
from easytune.services.stored_sampling import sampling_of

FOLDER = "presets"
_ENDING = ".yaml"
_NAME = re.compile(r"\w(?:[\w -]{0,58}[\w-])?")
_LONGEST_NAME_BYTES = 180
_DEVICES = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)


@dataclass(frozen=True)
class Preset:
    """A preset.

    `ignored` are keys of its file that are no option of ours, or whose value is out of bounds. In
    a list, a file that cannot be used at all has a `problem`.
    """

    name: str
    sampling: SamplingSection = field(default_factory=SamplingSection)
    system: str = ""
    ignored: tuple[str, ...] = ()
    problem: EasyTuneError | None = None


class Presets:
    """The presets of a home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER

    def list(self) -> list[Preset]:
        """Return all presets by name, broken ones with their problem."""
        try:
            files = [file for file in self._folder.iterdir() if _is_preset(file)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise FolderUnwritable(str(self._folder), str(error)) from error
        return [_listed(file) for file in sorted(files, key=lambda file: file.stem.casefold())]

    def get(self, name: str) -> Preset:
        """Return a preset. Raises PresetMissing, PresetNameInvalid, ConfigUnreadable."""
        return _read(self._file(name))

    def save(self, preset: Preset) -> None:
        """Write a preset, over the one of that name.

        Raises PresetNameInvalid, PresetTooLong, FolderUnwritable.
        """
        file = self._file(preset.name)
        text = _text(preset)
        if len(text.encode()) > yaml_text.MAX_BYTES:
            raise PresetTooLong(preset.name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            records.write_text(file, text)
        except OSError as error:
            raise FolderUnwritable(str(self._folder), str(error)) from error

    def delete(self, name: str) -> None:
        """Delete a preset, if it is there. Raises PresetNameInvalid, FolderUnwritable."""
        try:
            self._file(name).unlink(missing_ok=True)
        except OSError as error:
            raise FolderUnwritable(str(self._folder), str(error)) from error

    def _file(self, name: str) -> Path:
        plain = unicodedata.normalize("NFC", name.strip())
        fits = _NAME.fullmatch(plain) and len(plain.encode()) <= _LONGEST_NAME_BYTES
        # Windows takes these for devices, whatever their ending.
        if not fits or _DEVICES.fullmatch(plain):
            raise PresetNameInvalid(name)
        return self._folder / f"{plain}{_ENDING}"


def _is_preset(file: Path) -> bool:
    return file.suffix == _ENDING and not file.name.startswith(".")


def _listed(file: Path) -> Preset:
    try:
        return _read(file)
    except (ConfigUnreadable, PresetMissing) as problem:
        return Preset(file.stem, problem=problem)


def _read(file: Path) -> Preset:
    content = _content(file)
    sampling = content.get("sampling") or {}
    system = content.get("system")
    if not isinstance(sampling, dict) or not isinstance(system or "", str):
        raise ConfigUnreadable(str(file), "@stored.preset.wrong_form")
    found, ignored = sampling_of(sampling)
    strange = [str(name) for name in content if name not in ("sampling", "system")]
    return Preset(file.stem, found, system or "", (*strange, *ignored))


def _content(file: Path) -> dict[Any, Any]:
    try:
        if file.stat().st_size > yaml_text.MAX_BYTES:
            raise ConfigUnreadable(str(file), "@stored.preset.too_large")
        content = yaml_text.parse(file.read_text(encoding="utf-8")).content
    except FileNotFoundError as error:
        raise PresetMissing(file.stem) from error
    except UnicodeDecodeError as error:
        raise ConfigUnreadable(str(file), "@stored.preset.not_text") from error
    except OSError as error:
        raise ConfigUnreadable(str(file), str(error)) from error
    except yaml_text.YamlRefused as refused:
        raise ConfigUnreadable(str(file), _refusal(refused)) from refused
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigUnreadable(str(file), "@stored.preset.wrong_form")
    return content


def _refusal(refused: yaml_text.YamlRefused) -> str:
    place = f"@data.line {refused.line}: " if refused.line else ""
    return place + (refused.detail or f"@stored.preset.{refused.code}")


class _Quoted(str):
    """Text that stays text: unquoted, "1e-4" would come back as a number."""


class _Dumper(yaml.SafeDumper):
    """Writes `_Quoted`."""


def _quote(dumper: yaml.SafeDumper, text: _Quoted) -> yaml.ScalarNode:
    style = "|" if "\n" in text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=style)


_Dumper.add_representer(_Quoted, _quote)


def _text(preset: Preset) -> str:
    sampling = preset.sampling.model_dump(mode="json")
    sampling["stop"] = [_Quoted(_whole(text)) for text in preset.sampling.stop]
    content = {"sampling": sampling, "system": _Quoted(_whole(preset.system))}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**20)


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
