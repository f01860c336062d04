"""What can be typed after `easytune`: subcommands, and one flag per declared option."""

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from easytune import generation, paths, validation, yaml_text
from easytune.cli import (
    data_arguments,
    evaluate_arguments,
    export_arguments,
    models_arguments,
    serve_arguments,
)
from easytune.cli.commands import COMMANDS, USAGES
from easytune.cli.parser import Formatter, Parser
from easytune.config import TrainConfig
from easytune.deployment import DeployConfig
from easytune.errors import ConfigInvalid
from easytune.evaluation import EvaluateConfig
from easytune.export import ExportConfig
from easytune.generation import GenerationConfig
from easytune.i18n import DEFAULT_LANGUAGE, has, languages, t
from easytune.options import Option, declared

PORT = 7860
Given = TypeVar("Given", bound=BaseModel)


def language(words: Sequence[str]) -> str:
    """Return the language to speak: `--lang`, else the locale of the shell, else English."""
    asked = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    asked.add_argument("--lang")
    named = asked.parse_known_args([word for word in words if word not in ("-h", "--help")])[0]
    shell = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    code = (named.lang or shell or DEFAULT_LANGUAGE)[:2].lower()
    return code if code in languages() else DEFAULT_LANGUAGE


def parse(words: Sequence[str], lang: str) -> argparse.Namespace:
    """Return the parsed command line; `options` holds `section.option -> text` as typed.

    Exits with status 2 and a hint for what is not understood, 0 for `--help`.
    """
    parser = _parser(lang)
    args, unknown = parser.parse_known_args(words)
    if args.command is None:
        parser.print_help()
        parser.exit(0)
    if unknown:
        parser.exit(2, _unknown(unknown[0], args.command, lang) + "\n")
    return args


def overlaid(config: Given, args: argparse.Namespace, lang: str) -> Given:
    """Return the config with the options given as flags put over it. Raises ConfigInvalid."""
    content = _overlaid(config.model_dump(), declared(type(config)), args, lang)
    try:
        return type(config).model_validate(content)
    except ValidationError as error:
        raise ConfigInvalid(problems=validation.lines(error, lang)) from error


def option_help(option: Option, lang: str) -> str:
    """Return an option's explanation in a language."""
    key = f"option.{option.path}.help"
    return t(key, lang) if has(key, lang) else option.help


def shape(option: Option) -> Literal["list", "mapping", "switch", "choice", "value"]:
    """Return what kind of value an option holds."""
    kinds = _kinds(option)
    if any(getattr(kind, "__origin__", kind) is tuple for kind in kinds):
        return "list"
    if any(getattr(kind, "__origin__", kind) is dict for kind in kinds):
        return "mapping"
    if bool in kinds:
        return "switch"
    return "choice" if choices(option) else "value"


def choices(option: Option) -> tuple[Any, ...]:
    """Return the values an option is limited to; empty when it is not."""
    return get_args(option.field.annotation) if _is_literal(option.field.annotation) else ()


def _is_literal(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is Literal


def _kinds(option: Option) -> tuple[Any, ...]:
    """Return the members of an optional type, or the type alone."""
    annotation = option.field.annotation
    is_container = getattr(annotation, "__origin__", None) in (tuple, dict, Literal)
    return (annotation,) if is_container else (get_args(annotation) or (annotation,))


def _value(option: Option, typed: Any, lang: str) -> Any:
    """Return what was typed as pydantic takes it. An empty text empties an optional option."""
    kind = shape(option)
    if kind == "mapping":
        return _mapping(option, typed, lang)
    if kind == "choice":
        return next((choice for choice in choices(option) if str(choice) == typed), typed)
    return None if typed == "" and type(None) in _kinds(option) else typed


def _mapping(option: Option, typed: str, lang: str) -> Any:
    try:
        return yaml_text.parse(typed).content or {}
    except yaml_text.YamlRefused as refused:
        problem = t("config.invalid.dict_type", lang, given=typed)
        raise ConfigInvalid(problems=f"{option.path}: {problem}") from refused


def _overlaid(
    content: dict[str, Any], known: Iterable[Option], args: argparse.Namespace, lang: str
) -> dict[str, Any]:
    for option in known:
        typed = getattr(args, option.path, None)
        if typed is not None:
            content[option.section][option.name] = _value(option, typed, lang)
    return content


def _unknown(word: str, command: str, lang: str) -> str:
    name = word.partition("=")[0].lstrip("-")
    if command == "chat":
        known = [_flag(option) for option in generation.options()]
    elif command == "serve":
        known = serve_arguments.known()
    elif command == "data":
        known = list(data_arguments.FLAGS)
    elif command == "models":
        known = list(models_arguments.FLAGS)
    elif command == "evaluate":
        known = [*evaluate_arguments.FLAGS, *(option.path for option in declared(EvaluateConfig))]
    elif command == "export":
        known = [*export_arguments.FLAGS, *(option.path for option in declared(ExportConfig))]
    else:
        known = [option.path for option in declared(TrainConfig)]
    meant = validation.closest(name, known)
    if meant is None:
        return t("cli.unknown_word", lang, word=word)
    return t("cli.unknown_word_meant", lang, word=word, meant=f"--{meant}")


def _parser(lang: str) -> argparse.ArgumentParser:
    parser = Parser(
        lang, prog="easytune", description=t("cli.about", lang), epilog=t("cli.example", lang),
        formatter_class=Formatter, allow_abbrev=False,
    )  # fmt: skip
    _add_common(parser, lang, home=paths.home(), chosen=None)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title=t("cli.title", lang),
        parser_class=partial(Parser, lang),  # type: ignore[arg-type]
    )  # fmt: skip
    for name in COMMANDS:
        _fill(name, _command(commands, name, lang), lang)
    return parser


def _command(commands: Any, name: str, lang: str) -> argparse.ArgumentParser:
    return _subcommand(commands, name, t(f"cli.command.{name}", lang), lang)


def _subcommand(commands: Any, name: str, about: str, lang: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=about, description=about, formatter_class=Formatter, allow_abbrev=False,
        usage=USAGES.get(name),
    )  # fmt: skip
    # May stand before the command too, where a default here would overwrite it.
    _add_common(parser, lang, home=argparse.SUPPRESS, chosen=argparse.SUPPRESS)
    return parser


def _add_common(parser: argparse.ArgumentParser, lang: str, home: Any, chosen: Any) -> None:
    parser.add_argument("--home", type=_folder, default=home, help=t("cli.home", lang))
    parser.add_argument("--lang", choices=languages(), default=chosen, help=t("cli.lang", lang))


def _fill(name: str, parser: argparse.ArgumentParser, lang: str) -> None:
    match name:
        case "ui":
            _add_ui(parser, lang)
        case "train":
            _add_train(parser, lang)
        case "estimate":
            _add_estimate(parser, lang)
        case "check":
            _add_check(parser, lang)
        case "evaluate":
            evaluate_arguments.add(parser, lang)
            _add_options(parser, lang, EvaluateConfig)
        case "export":
            export_arguments.add(parser, lang)
            _add_options(parser, lang, ExportConfig)
        case "serve":
            serve_arguments.add(parser, lang)
            _add_flags(parser, serve_arguments.options(), DeployConfig(), lang)
        case "chat":
            _add_chat(parser, lang)
        case "config":
            _add_config(parser, lang)
        case "intents":
            _add_intents(parser, lang)
        case "stop":
            _add_stop(parser, lang)
        case "resume":
            _add_resume(parser, lang)
        case "report":
            _add_run(parser, lang)
        case "data":
            _add_actions(parser, "cli.data", data_arguments.add, lang)
        case "models":
            _add_actions(parser, "models.cli", models_arguments.add, lang)


def _folder(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


def _gigabytes(text: str) -> float:
    amount = float(text)
    if not 0 < amount < float("inf"):
        raise ValueError(text)
    return amount


def _add_ui(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("--host", default="127.0.0.1", help=t("cli.host", lang))
    parser.add_argument("--port", type=_port, default=PORT, help=t("cli.port", lang))
    parser.add_argument("--share", action="store_true", help=t("cli.share", lang))
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help=t("cli.no_browser", lang)
    )


def _add_train(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("file", nargs="?", type=Path, help=t("cli.file", lang))
    parser.add_argument("--output", dest="output.folder", metavar="DIR", help=t("cli.output", lang))
    parser.add_argument("--intent", metavar="ID", help=t("intent.cli.train", lang))
    parser.add_argument(
        "--processes", dest="memory.processes", metavar="N", help=t("cli.processes", lang)
    )
    _add_options(parser, lang)


def _add_estimate(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("file", nargs="?", type=Path, help=t("cli.file", lang))
    parser.add_argument("--json", action="store_true", help=t("estimate.json", lang))
    _add_options(parser, lang)


def _add_check(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("file", nargs="?", type=Path, help=t("cli.file", lang))
    parser.add_argument("--memory", type=_gigabytes, metavar="GB", help=t("cli.check.memory", lang))
    for flag in ("steady", "range-test", "no-ladder"):
        key = f"cli.check.{flag.replace('-', '_')}"
        parser.add_argument(f"--{flag}", action="store_true", help=t(key, lang))
    _add_options(parser, lang)


def _add_chat(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("model", metavar="MODEL", help=t("cli.chat.model", lang))
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help=t("cli.chat.prompt", lang))
    parser.add_argument("--base", help=t("cli.chat.base", lang))
    parser.add_argument("--system", metavar="TEXT", help=t("cli.chat.system", lang))
    flags = [(option, f"--{_flag(option)}") for option in generation.options()]
    _add_flags(parser, flags, GenerationConfig(), lang)


def _flag(option: Option) -> str:
    return option.name.replace("_", "-")


def _add_config(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("file", nargs="?", type=Path, help=t("cli.file", lang))
    parser.add_argument(
        "--as-command", choices=("posix", "powershell"), help=t("cli.as_command", lang)
    )
    _add_options(parser, lang)


def _add_intents(parser: argparse.ArgumentParser, lang: str) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", title=t("intent.cli.title", lang),
        parser_class=partial(Parser, lang),  # type: ignore[arg-type]
    )  # fmt: skip
    _subcommand(actions, "list", t("intent.cli.command.list", lang), lang)
    show = _subcommand(actions, "show", t("intent.cli.command.show", lang), lang)
    show.add_argument("intent", metavar="ID", help=t("intent.cli.intent", lang))
    show.add_argument("file", nargs="?", type=Path, help=t("cli.file", lang))
    _add_options(show, lang)
    propose = _subcommand(actions, "propose", t("intent.cli.command.propose", lang), lang)
    propose.add_argument("wish", metavar="WISH", nargs="+", help=t("intent.cli.wish", lang))


def _add_run(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help=t("cli.run", lang))


def _add_stop(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_run(parser, lang)
    parser.add_argument("--now", action="store_true", help=t("cli.now", lang))


def _add_resume(parser: argparse.ArgumentParser, lang: str) -> None:
    _add_run(parser, lang)
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help=t("cli.checkpoint", lang))
    parser.add_argument("--epochs", type=float, help=t("cli.longer_epochs", lang))
    parser.add_argument("--max-steps", type=int, help=t("cli.longer_steps", lang))


def _add_actions(
    parser: argparse.ArgumentParser, texts: str, fill: Callable[..., None], lang: str
) -> None:
    """Add the actions of a command, whose texts are `<texts>.command.<action>`."""
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", title=t(f"{texts}.title", lang), required=True,
        parser_class=partial(Parser, lang),  # type: ignore[arg-type]
    )  # fmt: skip

    def make(group: Any, name: str) -> argparse.ArgumentParser:
        return _subcommand(group, name, t(f"{texts}.command.{name}", lang), lang)

    fill(actions, make, lang)


def _add_options(
    parser: argparse.ArgumentParser, lang: str, kind: type[BaseModel] = TrainConfig
) -> None:
    _add_flags(parser, [(option, f"--{option.path}") for option in declared(kind)], kind(), lang)


def _add_flags(
    parser: argparse.ArgumentParser, flags: list[tuple[Option, str]], usual: BaseModel, lang: str
) -> None:
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option, flag in flags:
        if option.section not in groups:
            groups[option.section] = parser.add_argument_group(
                t(f"cli.section.{option.section}", lang)
            )
        groups[option.section].add_argument(
            flag,
            dest=option.path,
            help=_escaped(f"{option_help(option, lang)} {_standard(option, usual, lang)}"),
            default=None,
            **_arity(option),
        )


def _arity(option: Option) -> dict[str, Any]:
    match shape(option):
        case "list":
            return {"nargs": "*", "action": "extend", "metavar": option.name.upper()}
        case "switch":
            return {"nargs": "?", "const": "true", "metavar": "true|false"}
        case "choice" if len(choices(option)) < 8:
            return {"metavar": "|".join(map(str, choices(option)))}
        case "mapping":
            return {"metavar": "JSON"}
        case _:
            return {"metavar": option.name.upper()}


def _standard(option: Option, usual: BaseModel, lang: str) -> str:
    value = getattr(getattr(usual, option.section), option.name)
    if value is None or value == () or value == {}:
        return ""
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return t("cli.default", lang, value=text.lower() if isinstance(value, bool) else text)


def _escaped(text: str) -> str:
    return text.strip().replace("%", "%%")
