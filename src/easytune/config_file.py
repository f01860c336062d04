"""Configurations as YAML text: what the form, the command line and a colleague share.

Runs, evaluations and exports are read the same way; `kind` says which of them is wanted. Loading is
forgiving and honest: unknown keys are named, not obeyed and not fatal; everything that breaks a
rule is reported at once. LLaMA-Factory's training YAML opens too.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import yaml
from pydantic import ValidationError

from easytune import llamafactory, validation, yaml_text
from easytune.config import TrainConfig
from easytune.errors import ConfigInvalid, ConfigUnreadable, FileMissing
from easytune.evaluation import EvaluateConfig
from easytune.export import ExportConfig
from easytune.i18n import t
from easytune.options import declared

Config = TypeVar("Config", TrainConfig, EvaluateConfig, ExportConfig)
AnyConfig = TrainConfig | EvaluateConfig | ExportConfig
Kind = type[TrainConfig] | type[EvaluateConfig] | type[ExportConfig]
Notice = tuple[str, dict[str, Any]]
Shell = Literal["posix", "powershell"]
COMMANDS: dict[Kind, str] = {
    TrainConfig: "train", EvaluateConfig: "evaluate", ExportConfig: "export",
}  # fmt: skip
"""The subcommand that runs each kind of configuration."""
_HEADERS = {
    TrainConfig: "# EasyTune run. Run it again with: easytune train <this file>\n",
    EvaluateConfig: "# EasyTune evaluation. Repeat it with: easytune evaluate <this file>\n",
    ExportConfig: "# EasyTune export. Repeat it with: easytune export <this file>\n",
}
_UNKNOWN = ("unknown_option", "unknown_option_meant")
# How names begin that are no paths.
_NAMES = ("demo/", "dataset:", "held-out:")
# Options that may name a file or a folder.
_PLACES: dict[Kind, tuple[str, ...]] = {
    TrainConfig: (
        "model.base_model", "model.adapter", "data.datasets", "data.held_out_file",
        "data.chat_template", "data.replay", "monitor.probe",
    ),
    EvaluateConfig: (
        "candidates.models", "test.datasets", "measure.probe", "measure.benchmark_folder",
    ),
    ExportConfig: ("what.models",),
}  # fmt: skip


@dataclass(frozen=True)
class Loaded(Generic[Config]):
    """A configuration, and what the reader should know about how it was read."""

    config: Config
    notices: tuple[Notice, ...] = ()

    def sentences(self, lang: str = "en") -> list[str]:
        """Return the notices in words; texts are `config.notice.<code>`."""
        return [t(f"config.notice.{code}", lang, **values) for code, values in self.notices]


def load_file(path: Path, lang: str = "en", kind: type[Config] = TrainConfig) -> Loaded[Config]:
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
    loaded = load(text, lang, path, kind)
    return Loaded(anchor(loaded.config, (Path.cwd(), path.resolve().parent)), loaded.notices)


def load(
    text: str, lang: str = "en", source: Path | None = None, kind: type[Config] = TrainConfig
) -> Loaded[Config]:
    """Read YAML text: EasyTune's own, a job.yaml, or for a run LLaMA-Factory's.

    `source` is where the text came from, if from a file. Raises ConfigUnreadable when it is no
    YAML mapping or of the other kind, ConfigInvalid with all broken rules, in `lang`.
    """
    document = _parse(text, lang, source)
    repeated = [("repeated_key", {"option": name}) for name in document.repeated]
    content, notices = _understand(document.content, source, kind)
    if (other := _meant_for(content, notices, kind)) is not None:
        reason = t("config.unreadable.other_kind", lang, command=COMMANDS[other])
        raise ConfigUnreadable(str(source or "YAML"), reason)
    try:
        config = kind.model_validate(content)
    except ValidationError as error:
        raise ConfigInvalid(problems=validation.lines(error, lang)) from error
    return Loaded(config, (*repeated, *notices))


def dump(config: AnyConfig) -> str:
    """Return the whole configuration as YAML, every option included. Never holds secrets."""
    return _HEADERS[type(config)] + yaml.safe_dump(
        config.model_dump(mode="json"), sort_keys=False, allow_unicode=True
    )


def command(what: AnyConfig | Path, shell: Shell = "posix", kind: Kind = TrainConfig) -> str:
    """Return the command line that runs a YAML file, or a config's differences from the defaults.

    `kind` says what is in a file; of a config it is known.
    Quoted so that it can be pasted into bash and zsh, or into PowerShell.
    """
    rest = [str(what)] if isinstance(what, Path) else flags(what)
    name = COMMANDS[kind if isinstance(what, Path) else type(what)]
    words = ["easytune", name, *rest]
    return shlex.join(words) if shell == "posix" else " ".join(map(_powershell, words))


def flags(config: AnyConfig) -> list[str]:
    """Return the command-line flags for every option that is not at its default."""
    default = type(config)()
    found: list[str] = []
    for option in declared(type(config)):
        value = getattr(getattr(config, option.section), option.name)
        if value != getattr(getattr(default, option.section), option.name):
            found += _flag(f"--{option.path}", value)
    return found


def anchor(config: Config, folders: Iterable[Path]) -> Config:
    """Return the config with relative paths that exist under one of `folders` made absolute."""
    places = tuple(folders)
    changes: dict[str, Any] = {}
    for path in _PLACES[type(config)]:
        section, _, name = path.partition(".")
        named = getattr(getattr(config, section), name)
        is_list = isinstance(named, tuple)
        found = [_anchored(one, places) for one in (named if is_list else (named,))]
        changes[f"{section}__{name}"] = tuple(found) if is_list else found[0]
    return config.changed(**changes)


def _anchored(name: str | None, places: tuple[Path, ...]) -> str | None:
    if name is None or name == "demo" or name.startswith(_NAMES):
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


def _understand(
    raw: dict[Any, Any], source: Path | None, kind: Kind
) -> tuple[dict[str, Any], list[Notice]]:
    """Return the content as sections, whichever program wrote it."""
    content = {str(key): value for key, value in raw.items()}
    if "task" in content and isinstance(content.get("config"), dict):
        content = {str(key): value for key, value in content["config"].items()}
    is_ours = any(name in kind.model_fields for name in content)
    if kind is TrainConfig and not is_ours and llamafactory.recognise(content):
        return llamafactory.convert(content, source)
    return _known(content, kind)


def _meant_for(content: dict[str, Any], notices: list[Notice], kind: Kind) -> Kind | None:
    """Return the other kind of configuration when nothing but sections of it were given."""
    given = [str(values.get("option")) for code, values in notices if code in _UNKNOWN]
    others = (other for other in COMMANDS if other is not kind and not content)
    return next((o for o in others if any(name in o.model_fields for name in given)), None)


def _known(content: dict[str, Any], kind: Kind) -> tuple[dict[str, Any], list[Notice]]:
    """Return the content without the keys that are no option, and a notice for each of those."""
    paths = [option.path for option in declared(kind)]
    sections = tuple(kind.model_fields)
    kept: dict[str, Any] = {}
    notices: list[Notice] = []
    for section, group in content.items():
        if section not in sections:
            notices.append(_unknown(section, [*sections, *paths]))
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
        return _UNKNOWN[0], {"option": path}
    return _UNKNOWN[1], {"option": path, "meant": meant}


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
