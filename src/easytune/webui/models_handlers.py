"""What the Models tab does: values in, one service call, the parts of the page that changed out."""

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from easytune import quantities
from easytune.config import TrainConfig
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.job import JobFolder
from easytune.registry_errors import EntryMissing
from easytune.services import account, discovery, registry_comparison
from easytune.services.registry import Edit
from easytune.services.registry_entry import SORTS, Entry, Query, Sort
from easytune.webui import data_figures, models_list_view, models_sheet_view
from easytune.webui.context import Context
from easytune.webui.models_sheet_view import Sheet
from easytune.webui.spoken import sentence, spoken

PARTS = ("filters", "list", "sheet", "files", "trash")
PATIENCE_S = 0.08
"""How long a look may read new folders; the rest is read in the background."""
State = dict[str, Any]
Told = dict[str, Any]


class ModelsHandlers:
    """The events of the tab. Each returns the state, the parts that changed, and the timer."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registry = context.registry

    def entered(self, request: gr.Request, state: State | None, search: str) -> list[Any]:
        """Draw everything as it is now."""
        return self._seen(request, _known(state), search, *PARTS)

    def searched(self, request: gr.Request, state: State | None, search: str) -> list[Any]:
        """List what has the words that were typed."""
        return self._seen(request, _known(state) | {"first": 0}, search, "list")

    def ticked(self, request: gr.Request, state: State | None, search: str) -> list[Any]:
        """Draw what goes on in the background; never the fields that somebody fills in."""
        return self._seen(request, _known(state), search, "filters", "list", "files")

    def clicked(
        self, request: gr.Request, event: gr.EventData, state: State | None, search: str
    ) -> list[Any]:
        """Do what a button of the tab says."""
        told, known = dict(event._data), _known(state)
        lang = self._context.language_of(request)
        work = str(told.get("work", ""))
        try:
            parts = _WORK[work](self, known, told, lang) if work in _WORK else ()
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return self._drawn(request, known, search, *parts)

    # --- what the buttons do --------------------------------------------------

    def _open(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state.update(shown=str(told.get("id", "")), asking=False, picked=[])
        return ("list", "sheet", "files")

    def _filter(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["filters"] = _known({"filters": told.get("filters")})["filters"]
        state["first"] = 0
        return ("list",)

    def _page(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["first"] = max(0, int(told.get("first", 0)))
        return ("list",)

    def _pick(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["picked"] = _known({"picked": told.get("picked")})["picked"]
        return ("list", "sheet", "files")

    def _everything(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["everything"] = not state["everything"]
        return ("sheet",)

    def _close(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["picked"] = []
        return ("list", "sheet", "files")

    def _ask(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["asking"] = told.get("work") == "delete"
        return ("sheet",)

    def _delete(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        entry = self._registry.get(str(told["id"]))
        self._registry.delete(entry.key, self._who(), confirmed=True)
        state.update(shown="", asking=False, picked=[])
        _say(t("models.deleted", lang, version=entry.ref))
        return PARTS

    def _current(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        if told["work"] == "rollback":
            name = self._registry.get(str(told["id"])).name
            entry = self._registry.roll_back(name, self._who())
            state["shown"] = entry.key
        else:
            entry = self._registry.set_current(str(told["id"]), self._who())
        _say(t("models.now_current", lang, version=entry.ref, name=entry.name))
        return ("list", "sheet", "files")

    def _verify(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        files = self._registry.verify(str(told["id"]))
        if files.changes:
            gr.Warning(t("models.changed_files", lang, count=len(files.changes)))
        else:
            _say(t("models.verified", lang, count=len(files.now)))
        return ("files",)

    def _save(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        key, name = str(told["id"]), str(told.get("name", ""))
        same = self._registry.get(key).name == name
        edit = Edit(
            stage=told.get("stage"), tags=str(told.get("tags", "")).split(","),
            notes=str(told.get("notes", "")), name=None if same else name,
        )  # fmt: skip
        self._registry.edit(key, edit, self._who(), int(told.get("revision", 0)))
        _say(t("models.edit.saved", lang))
        return ("filters", "list", "sheet", "files")

    def _keep_step(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        entry = self._registry.get(str(told["id"]))
        step = int(told.get("step", 0))
        kept = self._registry.keep_checkpoint(entry.facts.run or "", step, self._who())
        _say(t("models.keep.kept", lang, version=kept.ref))
        return ("filters", "list", "sheet")

    def _restore(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        found = self._registry.restore(str(told["id"]), self._who())
        _say(t("models.trash.restored", lang, title=found.title))
        return ("filters", "list", "trash")

    def _ask_leaving(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["leaving"] = str(told["id"]) if told["work"] == "remove" else ""
        return ("trash",)

    def _remove(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["leaving"] = ""
        freed = self._registry.trash.empty(str(told["id"]))
        _say(t("models.trash.emptied", lang, size=quantities.size(freed)))
        return ("trash",)

    def _empty(self, state: State, told: Told, lang: str) -> tuple[str, ...]:
        state["emptying"] = told["work"] == "empty"
        if told["work"] == "empty-really":
            freed = self._registry.trash.empty()
            _say(t("models.trash.emptied", lang, size=quantities.size(freed)))
        return ("trash",)

    def _who(self) -> str:
        """Return whom the history names: whoever runs the app, until there are accounts."""
        return account.user()

    def _seen(self, request: gr.Request, state: State, search: str, *parts: str) -> list[Any]:
        """Draw parts, and leave the state to the clicks: one may be on its way."""
        return [gr.skip(), *self._drawn(request, state, search, *parts)[1:]]

    # --- drawing --------------------------------------------------------------

    def _drawn(self, request: gr.Request, state: State, search: str, *parts: str) -> list[Any]:
        lang = self._context.language_of(request)
        drawn: dict[str, str] = {}
        pending = False
        try:
            if "list" in parts or "filters" in parts:
                found = self._registry.list(_query(state, search), PATIENCE_S)
                pending = bool(found.pending)
                if state["first"] >= len(found.entries):
                    state["first"] = 0
                drawn["filters"] = models_list_view.filters(found, state["filters"], lang)
                drawn["list"] = models_list_view.table(
                    found, state["first"], state["shown"], state["picked"], lang
                )
                # What is new is read to the end, and hashed, where nobody waits for it.
                self._registry.read_on()
            if "sheet" in parts:
                drawn["sheet"] = self._sheet(state, lang)
            if "files" in parts:
                drawn["files"], hashing = self._files(state, lang)
                pending = pending or hashing
            if "trash" in parts:
                there = self._registry.trash.list()
                drawn["trash"] = models_list_view.trash(
                    there, state["emptying"], state["leaving"], lang
                )
        except EasyTuneError as error:
            drawn["list"] = data_figures.notice(sentence(error, lang), "bad")
        chosen = [drawn[part] if part in parts and part in drawn else gr.skip() for part in PARTS]
        return [state, *chosen, gr.Timer(active=pending)]

    def _sheet(self, state: State, lang: str) -> str:
        if len(state["picked"]) == 2:
            return self._compared(state, lang)
        hint = ""
        if state["picked"]:
            said = data_figures.notice(t("models.pick_more", lang))
            hint = f'<div class="models-hint">{said}</div>'
        if not state["shown"]:
            return hint or models_sheet_view.nothing(lang)
        try:
            entry = self._registry.get(state["shown"])
        except EntryMissing:
            # Deleted in another tab, or on the command line.
            state["shown"] = ""
            return hint or models_sheet_view.nothing(lang)
        return hint + models_sheet_view.sheet(self._told(entry, bool(state["asking"])), lang)

    def _told(self, entry: Entry, asking: bool) -> Sheet:
        context = self._context
        return Sheet(
            entry=entry,
            settings=_unusual(registry_comparison.settings(context.runs, entry)),
            figures=registry_comparison.figures(context.evaluations, entry),
            chain=self._registry.tracer.trace(entry),
            needs=self._registry.needs(entry.key),
            checkpoints=self._free_steps(entry),
            asking=asking,
        )

    def _free_steps(self, entry: Entry) -> list[int]:
        """Return the steps of a run's checkpoints that are no versions yet."""
        if entry.facts.kind != "run" or entry.facts.run is None:
            return []
        folder = JobFolder(self._context.runs.folder(entry.facts.run).path).checkpoints
        kept = self._registry.kept_steps(entry.facts.run)
        steps = [step for step, _ in discovery.whole_checkpoints(folder)]
        return sorted(step for step in steps if step not in kept)

    def _compared(self, state: State, lang: str) -> str:
        a, b = state["picked"]
        try:
            compared = registry_comparison.compare(
                self._registry, self._context.runs, self._context.evaluations, a, b
            )
        except EntryMissing as error:
            state["picked"] = []
            return data_figures.notice(sentence(error, lang), "warn")
        return models_sheet_view.side_by_side(compared, bool(state["everything"]), lang)

    def _files(self, state: State, lang: str) -> tuple[str, bool]:
        if not state["shown"] or len(state["picked"]) == 2:
            return "", False
        try:
            files = self._registry.files(state["shown"])
            history = self._registry.history(state["shown"])
        except EntryMissing:
            return "", False
        drawn = models_sheet_view.files(files.now, files.changes, history, lang)
        return drawn, not files.is_known


def _known(state: State | None) -> State:
    """Return the state of the page, whatever a browser sends."""
    given = state if isinstance(state, dict) else {}
    filters = given.get("filters")
    kept = filters if isinstance(filters, dict) else {}
    return {
        "filters": {str(name): str(value) for name, value in kept.items()},
        "first": int(given.get("first") or 0),
        "shown": str(given.get("shown") or ""),
        "picked": [str(one) for one in given.get("picked") or []][-2:],
        "asking": bool(given.get("asking")),
        "everything": bool(given.get("everything")),
        "emptying": bool(given.get("emptying")),
        "leaving": str(given.get("leaving") or ""),
    }


def _query(state: State, search: str) -> Query:
    kept = state["filters"]
    return Query(
        search=search or "", stage=kept.get("stage", ""), kind=kept.get("kind", ""),
        base=kept.get("base", ""), tag=kept.get("tag", ""),
        sort=_sort(kept.get("sort")),
    )  # fmt: skip


def _sort(name: object) -> Sort:
    for known in SORTS:
        if known == name:
            return known
    return "created"


def _unusual(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the training options that are not what they are by default."""
    usual = TrainConfig()
    found: dict[str, Any] = {}
    for path, value in settings.items():
        section, _, name = path.partition(".")
        if value != getattr(getattr(usual, section), name):
            found[path] = value
    return found


def _say(text: str) -> None:
    # Gradio renders markup in messages, and names are people's own.
    gr.Info(escape(text, quote=False), duration=4)


_WORK: dict[str, Callable[[ModelsHandlers, State, Told, str], tuple[str, ...]]] = {
    "open": ModelsHandlers._open,
    "filter": ModelsHandlers._filter,
    "page": ModelsHandlers._page,
    "pick": ModelsHandlers._pick,
    "everything": ModelsHandlers._everything,
    "compare-close": ModelsHandlers._close,
    "delete": ModelsHandlers._ask,
    "keep": ModelsHandlers._ask,
    "confirm": ModelsHandlers._delete,
    "current": ModelsHandlers._current,
    "rollback": ModelsHandlers._current,
    "verify": ModelsHandlers._verify,
    "save": ModelsHandlers._save,
    "keep-step": ModelsHandlers._keep_step,
    "restore": ModelsHandlers._restore,
    "remove": ModelsHandlers._ask_leaving,
    "remove-not": ModelsHandlers._ask_leaving,
    "remove-really": ModelsHandlers._remove,
    "empty": ModelsHandlers._empty,
    "empty-not": ModelsHandlers._empty,
    "empty-really": ModelsHandlers._empty,
}
