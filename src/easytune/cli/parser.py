"""A parser that says what is wrong with a command line in one sentence, in the user's language."""

import argparse
import re
from typing import Any

from easytune import validation
from easytune.i18n import t


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the help of long flags beside them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the page-long usage of the train command."""

    def __init__(self, lang: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._lang = lang

    def error(self, message: str) -> Any:
        see = t("cli.misused.see", self._lang, program=self.prog)
        self.exit(2, f"{_in_words(message, self._lang)} {see}\n")


def _in_words(message: str, lang: str) -> str:
    """Return what argparse complains about in a language; its own words for what is rare."""
    if found := re.fullmatch(
        r"argument COMMAND: invalid choice: '(.*)' \(choose from (.*)\)", message
    ):
        commands = found[2].replace("'", "")
        meant = validation.closest(found[1], commands.split(", "))
        if meant is None:
            return t("cli.misused.command", lang, word=found[1], known=commands)
        return t("cli.unknown_word_meant", lang, word=found[1], meant=meant)
    if found := re.fullmatch(
        r"argument (\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)", message
    ):
        known = found[3].replace("'", "")
        return t("cli.misused.choice", lang, option=found[1], given=found[2], known=known)
    if found := re.fullmatch(r"the following arguments are required: (.*)", message):
        return t("cli.misused.required", lang, names=found[1])
    if found := re.fullmatch(r"argument (\S+): expected .* arguments?", message):
        return t("cli.misused.missing", lang, option=found[1])
    if found := re.fullmatch(r"argument (\S+): invalid \w+ value: '(.*)'", message):
        return t("cli.misused.value", lang, option=found[1], given=found[2])
    return f"{message}."
