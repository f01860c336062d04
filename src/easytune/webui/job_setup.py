"""What setting up any job does: from values to updates, with one service call between."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Generic

import gradio as gr

from easytune import config_file
from easytune.config_file import Config, Loaded
from easytune.errors import EasyTuneError, FileMissing
from easytune.i18n import t
from easytune.services.job_shelf import JobShelf
from easytune.webui import config_bar
from easytune.webui.context import Context
from easytune.webui.form import Form, toast
from easytune.webui.pickers import Choice
from easytune.webui.spoken import sentence, spoken

BUNDLED, EARLIER = "configs", "earlier"
Update = dict[str, Any]
Kept = dict[str, Any]


class SetupDesk(ABC, Generic[Config]):
    """Values in, updates out; nothing of a visitor is kept.

    `name` is the section of the locales and the beginning of the ids. Updates of `filled` are those
    of the form, then `beside` more that tell facts about what is chosen.
    """

    name: str
    configs: Path
    """Folder of the configurations that ship with EasyTune."""

    def __init__(self, context: Context, form: Form[Config], kind: type[Config]) -> None:
        """Serve a form."""
        self._context, self._form, self._kind = context, form, kind

    # --- what a kind of job says for itself ---

    @abstractmethod
    def _jobs(self) -> JobShelf[Any, Any, Any]:
        """Return the jobs of this kind."""

    @abstractmethod
    def _submit(self, config: Config) -> str:
        """Queue a job and return its id. Raises EasyTuneError."""

    @abstractmethod
    def _first(self) -> Config:
        """Return what a newcomer finds."""

    @abstractmethod
    def _about(self, model: str, config: Config) -> Config:
        """Return the config for a model that another tab has sent the visitor with."""

    @abstractmethod
    def _offered(self, config: Config, lang: str) -> dict[str, list[Choice]]:
        """Return what can be chosen where that depends on this machine, by option."""

    @abstractmethod
    def _beside(self, config: Config, lang: str) -> list[Update]:
        """Return updates of what tells facts about a config."""

    @abstractmethod
    def _blame(self, error: EasyTuneError, config: Config) -> str | None:
        """Return the option that an error of a service is about; None where it is none."""

    # --- what all have ---

    def entered(
        self, request: gr.Request, kept: Kept | None, held: str, *values: Any
    ) -> list[Update]:
        """Fill the form with what the visitor left, or was sent here with.

        Somebody who only comes back finds it as it was, with what there is to choose now.
        """
        lang, left = self._lang(request), kept or {}
        wanted = str(left.get("model") or "")
        if held and not wanted:
            return self._offering(self._form.lenient(*values), lang)
        config = self._form.lenient(*values) if held else self._draft(left.get("yaml"))
        if wanted:
            config = self._about(wanted, config or self._kind())
        return self._shown(config or self._first(), lang)

    def edited(self, request: gr.Request, shell: Any, held: str, *values: Any) -> list[Any]:
        """Show what applies, what is wrong, and the configuration as a file."""
        problems = self._form.validate(*values, lang=self._lang(request))
        painted = self._form.paint(values, problems)
        if problems:
            return [*painted, gr.skip(), gr.skip(), gr.skip(), held]
        yaml, command, name = config_bar.texts(self._form.parse(*values), shell)
        return [*painted, yaml, command, name, yaml]

    def opened(self, request: gr.Request, file: str) -> list[Any]:
        """Fill the form from a YAML file."""
        return self._read(lambda lang: self._from_file(Path(file), lang), self._lang(request))

    def opened_saved(self, request: gr.Request, choice: str | None) -> list[Any]:
        """Fill the form from a bundled configuration or from that of an earlier job."""
        if not choice:
            return [gr.skip() for _ in range(len(self._shown(self._kind(), "en")) + 1)]
        kind, _, name = choice.partition(":")
        if kind == EARLIER:
            return self._read(
                lambda _: Loaded(self._jobs().story(name).order.config), self._lang(request)
            )
        file = self.configs / Path(name).name
        return self._read(lambda lang: self._from_file(file, lang), self._lang(request))

    def saved(self) -> Update:
        """Return what there is to open: bundled configurations, earlier jobs."""
        found = [(f"{one.name} · {one.id}", f"{EARLIER}:{one.id}") for one in self._jobs().list()]
        return gr.update(choices=[*bundled(self.configs), *found], value=None)

    def started(self, request: gr.Request, shown: str, *values: Any) -> list[Any]:
        """Submit the job and show it, or say what stands in the way."""
        lang = self._lang(request)
        problems = self._form.validate(*values, lang=lang)
        if not problems:
            config = self._form.parse(*values)
            try:
                return [*self._form.paint(values, {}), self._submit(config)]
            except EasyTuneError as error:
                about = self._blame(error, config)
                if about not in self._form.placed:
                    raise spoken(error, lang) from error
                problems = {str(about): sentence(error, lang)}
        said = escape(toast(problems, lang), quote=False)
        gr.Warning(said, title=t(f"{self.name}.not_started", lang), duration=12)
        return [*self._form.paint(values, problems), shown]

    def _read(self, load: Callable[[str], Loaded[Config]], lang: str) -> list[Any]:
        try:
            loaded = load(lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        notices = config_bar.notices(loaded, lang)
        if notices:
            gr.Info(t("train.opened_with_notices", lang, count=len(loaded.notices)))
        shown = self._shown(loaded.config, lang)
        return [*shown, gr.update(value=notices, visible=bool(notices))]

    def _shown(self, config: Config, lang: str) -> list[Update]:
        """Return updates of the form and of what is beside it that show a config."""
        filled = self._form.fill(config)
        for path, choices in self._offered(config, lang).items():
            place = self._form.placed.index(path)
            filled[place] = {**filled[place], "choices": choices}
        return [*filled, *self._beside(config, lang)]

    def _offering(self, config: Config, lang: str) -> list[Update]:
        """Return updates of the form and the facts that leave every value as it is."""
        offered = self._offered(config, lang)
        updates = [
            gr.update(choices=offered[path]) if path in offered else gr.skip()
            for path in self._form.placed
        ]
        boxes = [gr.skip() for _ in self._form.outputs[len(updates) :]]
        return [*updates, *boxes, *self._beside(config, lang)]

    def _from_file(self, file: Path, lang: str) -> Loaded[Config]:
        if not file.is_file():
            raise FileMissing(path=file.name)
        return config_file.load_file(file, lang, self._kind)

    def _draft(self, text: Any) -> Config | None:
        """Return what the browser kept; None when it is nothing, or from another version."""
        if not isinstance(text, str) or not text.strip():
            return None
        try:
            return config_file.load(text, kind=self._kind).config
        except EasyTuneError:
            return None

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)


def bundled(folder: Path) -> list[tuple[str, str]]:
    """Return the configurations that ship with EasyTune, demo first."""
    files = sorted(folder.glob("*.yaml"), key=lambda file: (file.stem != "demo", file.name))
    return [(file.name, f"{BUNDLED}:{file.name}") for file in files]
