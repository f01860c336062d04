"""Run configurations as YAML text: what the form, the command line and a colleague share.

Loading is forgiving and honest: unknown keys are named, not obeyed and not fatal; everything that
breaks a rule is reported at once. LLaMA-Factory's training YAML opens too.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from easytune import llamafactory, validation, yaml_text
from easytune.config import TrainConfig, options
from easytune.errors import ConfigInvalid, ConfigUnreadable, FileMissing
from easytune.i18n import t

Notice = tuple[str, dict[str, Any]]
Shell = Literal["posix", "powershell"]
SECTIONS = tuple(TrainConfig.model_fields)


@dataclass(frozen=True)
class Loaded:
    """A configuration, and what the reader should know about how it was read."""

    config: TrainConfig
    notices: tuple[Notice, ...] = ()

    def sentences(self, lang: str = "en") -> list[str]:
        """Return the notices in words; texts are `config.notice.<code>`."""
        return [t(f"config.notice.{code}", lang, **values) for code, values in self.notices]


def load_file(path: Path, lang: str = "en") -> Loaded:
    """Read a YAML file. Relative paths in it count from the current folder, then from the file's.

    Raises FileMissing, ConfigUnreadable or ConfigInvalid, the latter in `lang`.
    """
    if not path.is_file():
        raise FileMissing(path=str(path))
    if path.stat().st_size > yaml_text.MAX_BYTES:
        raise ConfigUnreadable(str(path), t("config.unreadable.too_large", lang))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigUnreadable(str(path), t("config.unreadable.not_text", lang)) from error
    loaded = load(text, lang, source=path)
    return Loaded(anchor(loaded.config, (Path.cwd(), path.resolve().parent)), loaded.notices)


def load(text: str, lang: str = "en", source: Path | None = None) -> Loaded:
    """Read YAML text: EasyTune's own, a run's job.yaml, or LLaMA-Factory's.

    `source` is where the text came from, if from a file. Raises ConfigUnreadable when it is no
    YAML mapping, ConfigInvalid with all broken rules, in `lang`.
    """
    document = _parse(text, lang, source)
    repeated = [("repeated_key", {"option": name}) for name in document.repeated]
    content, notices = _understand(document.content, source)
    try:
        config = TrainConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigInvalid(problems=validation.lines(error, lang)) from error
    return Loaded(config, (*repeated, *notices))


def dump(config: TrainConfig) -> str:
    """Return the whole configuration as YAML, every option included. Never holds secrets."""
    header = "# EasyTune run. Run it again with: easytune train <this file>\n"
    return header + yaml.safe_dump(
        config.model_dump(mode="json"), sort_keys=False, allow_unicode=True
    )


def command(what: TrainConfig | Path, shell: Shell = "posix") -> str:
    """Return the command line that runs a YAML file, or a config's differences from the defaults.

    Quoted so that it can be pasted into bash and zsh, or into PowerShell.
    """
    rest = [str(what)] if isinstance(what, Path) else flags(what)
    words = ["easytune", "train", *rest]
    return shlex.join(words) if shell == "posix" else " ".join(map(_powershell, words))


def flags(config: TrainConfig) -> list[str]:
    """Return the command-line flags for every option that is not at its default."""
    default = TrainConfig()
    found: list[str] = []
    for option in options():
        value = getattr(getattr(config, option.section), option.name)
        if value != getattr(getattr(default, option.section), option.name):
            found += _flag(f"--{option.path}", value)
    return found


def anchor(config: TrainConfig, folders: Iterable[Path]) -> TrainConfig:
    """Return the config with relative paths that exist under one of `folders` made absolute."""
    places = tuple(folders)
    return config.changed(
        model__base_model=_anchored(config.model.base_model, places),
        model__adapter=_anchored(config.model.adapter, places),
        data__datasets=tuple(_anchored(name, places) for name in config.data.datasets),
        data__held_out_file=_anchored(config.data.held_out_file, places),
        data__chat_template=_anchored(config.data.chat_template, places),
        data__replay=_anchored(config.data.replay, places),
        monitor__probe=_anchored(config.monitor.probe, places),
    )


def _anchored(name: str | None, places: tuple[Path, ...]) -> str | None:
    if name is None or name == "demo" or name.startswith(("demo/", "dataset:")):
        return name
    path, mark, entry = name.partition("#") if not Path(name).exists() else (name, "", "")
    wanted = Path(path).expanduser()
    found = (place / wanted for place in places if (place / wanted).exists())
    return str(next(found, path)) + mark + entry


def _parse(text: str, lang: str, source: Path | None) -> yaml_text.Document:
    name = str(source) if source else "YAML"
    try:
        document = yaml_text.parse(text.removeprefix("\ufeff"))
    except yaml_text.YamlRefused as refused:
        reason = t(
            f"config.unreadable.{refused.code}", lang, line=refused.line, detail=refused.detail
        )
        raise ConfigUnreadable(name, reason) from refused
    if document.content is None:
        raise ConfigUnreadable(name, t("config.unreadable.empty", lang))
    if not isinstance(document.content, dict):
        raise ConfigUnreadable(name, t("config.unreadable.not_a_mapping", lang))
    return document


def _understand(raw: dict[Any, Any], source: Path | None) -> tuple[dict[str, Any], list[Notice]]:
    """Return the content as sections, whichever program wrote it."""
    content = {str(key): value for key, value in raw.items()}
    if "task" in content and isinstance(content.get("config"), dict):
        content = {str(key): value for key, value in content["config"].items()}
    if not any(name in SECTIONS for name in content) and llamafactory.recognise(content):
        return llamafactory.convert(content, source)
    return _known(content)


def _known(content: dict[str, Any]) -> tuple[dict[str, Any], list[Notice]]:
    """Return the content without the keys that are no option, and a notice for each of those."""
    paths = [option.path for option in options()]
    kept: dict[str, Any] = {}
    notices: list[Notice] = []
    for section, group in content.items():
        if section not in SECTIONS:
            notices.append(_unknown(section, [*SECTIONS, *paths]))
        elif not isinstance(group, dict):
            # An empty section is the same as none; anything else is refused by validation.
            kept |= {} if group is None else {section: group}
        else:
            named = {str(name): value for name, value in group.items()}
            kept[section] = {k: v for k, v in named.items() if f"{section}.{k}" in paths}
            strays = [f"{section}.{name}" for name in named if name not in kept[section]]
            notices += [_unknown(stray, paths) for stray in strays]
    return kept, notices


def _unknown(path: str, known: list[str]) -> Notice:
    meant = validation.closest(path, known)
    if meant is None:
        return "unknown_option", {"option": path}
    return "unknown_option_meant", {"option": path, "meant": meant}


def _flag(name: str, value: Any) -> list[str]:
    match value:
        case tuple():
            words = [str(item) for item in value]
        case dict():
            words = [_flow(value)]
        case bool():
            words = ["true" if value else "false"]
        case None:
            return [f"{name}="]
        case _:
            words = [str(value)]
    if any(word.startswith("-") or not word for word in words):
        return [f"{name}={word}" for word in words]
    return [name, *words]


def _flow(value: dict[str, Any]) -> str:
    """Return YAML on one line. Unlike JSON it has few double quotes, which PowerShell 5 eats."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**30
    )
    return text.strip()


def _powershell(word: str) -> str:
    # PowerShell splits bare words at dots after a dash, and takes curly quotes for straight ones.
    if re.fullmatch(r"[A-Za-z0-9_/\\:][A-Za-z0-9_/\\:.-]*", word):
        return word
    return "'" + re.sub("(['\u2018-\u201b])", r"\1\1", word) + "'"
