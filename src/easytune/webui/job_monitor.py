"""What has changed on the page since it last asked.

The page keeps in a hidden JSON what it shows: the run, the version of its story, and a digest of
each part. Nothing is remembered here, so a reload, a second browser or a restarted server need no
special path: they ask with an empty hand and get everything.
"""

import json
import time
from typing import Any
from zlib import crc32

from easytune import remedies
from easytune.config import TrainConfig
from easytune.data.versions.library import Library
from easytune.errors import RunMissing
from easytune.i18n import t
from easytune.services import forgotten
from easytune.services.evaluations import Evaluations, EvaluationSummary
from easytune.services.runs import Runs, RunSummary
from easytune.services.story import Story
from easytune.webui import evaluate_progress_view, forgetting_view, plots, run_data, run_view
from easytune.webui.forgetting_view import Ways
from easytune.webui.language import label

PARTS = (
    "picker", "state", "status", "failure", "fix_row", "fill_form", "apply", "chart",
    "forgetting", "resources", "samples", "result", "evaluated", "data", "resume", "notices", "log",
    "stop", "stop_now",
)  # fmt: skip
Shown = dict[str, Any]
Update = dict[str, Any]
# Elapsed time and evidence of life go on while a run reports nothing.
HEARTBEAT_SECONDS = 3.0


class Monitor:
    """Compares what a page shows with what the files say."""

    def __init__(self, runs: Runs, library: Library, evaluations: Evaluations) -> None:
        self._runs = runs
        self._library = library
        self._evaluations = evaluations

    def changes(
        self, run_id: str, shown: Shown | None, lang: str
    ) -> tuple[str, Shown, dict[str, Update]] | None:
        """Return the run to show, what the page shows then, and an update for each changed part.

        An empty `run_id` means the latest run. None: nothing is new.
        """
        before = shown or {}
        runs = self._runs.list()
        run_id = self._existing(run_id, runs)
        stamp = self._stamp(run_id, runs, lang)
        if before.get("stamp") == stamp:
            return None
        parts = self._parts(run_id, runs, lang)
        digests = {name: _digest(update) for name, update in parts.items()}
        # Another run means another page: what the user had open belongs to the one before.
        known = before.get("parts", {}) if before.get("run") == run_id else {}
        fresh = {name: parts[name] for name in PARTS if known.get(name) != digests[name]}
        if not known:
            fresh["resume"] = {**parts["resume"], "open": False}
        return run_id, {"run": run_id, "stamp": stamp, "parts": digests}, fresh

    def _existing(self, run_id: str, runs: list[RunSummary]) -> str:
        if any(run.id == run_id for run in runs):
            return run_id
        return self._runs.latest() or ""

    def _stamp(self, run_id: str, runs: list[RunSummary], lang: str) -> str:
        states = {run.id: run.state for run in runs}
        version = self._runs.version(run_id) if run_id else ""
        beat = 0
        if states.get(run_id) in run_view.ACTIVE:
            beat = int(time.time() / HEARTBEAT_SECONDS)
        config = next((run.order.config for run in runs if run.id == run_id), None)
        data = run_data.stamp(config, self._library) if config else []
        evaluated = [(one.id, one.name, one.state) for one in self._evaluated(run_id)]
        return _digest([run_id, version, lang, beat, list(states.items()), data, evaluated])

    def _evaluated(self, run_id: str) -> list[EvaluationSummary]:
        return self._evaluations.of_run(run_id) if run_id else []

    def _parts(self, run_id: str, runs: list[RunSummary], lang: str) -> dict[str, Update]:
        run = next((run for run in runs if run.id == run_id), None)
        if run is None:
            return _nothing(lang)
        try:
            story = self._runs.story(run_id)
        except RunMissing:  # deleted since it was listed
            return _nothing(lang)
        log = self._runs.log_tail(run_id, run_view.LOG_LINES)
        folder = self._runs.folder(run_id).adapter
        has_adapter = story.has_ended and folder.is_dir() and any(folder.iterdir())
        return {
            "picker": _picker(runs, run_id, lang),
            "forgetting": {"value": self._forgetting(story, run, lang)},
            **_telling(story, run, lang),
            "result": {
                "value": run_view.result(story, str(folder) if has_adapter else "", run_id, lang)
            },
            "evaluated": {"value": evaluate_progress_view.links(self._evaluated(run_id), lang)},
            "data": {"value": run_data.card(run.order.config, self._library, lang)},
            "log": {"value": run_view.log(log, story.state, lang)},
            **_offers(story, run.order.config),
        }

    def _forgetting(self, story: Story, run: RunSummary, lang: str) -> dict[str, Any] | None:
        ways = Ways()
        if forgotten.is_severe(story):
            halves = story.has_ended and self._runs.can_be_halved(run.id)
            ways = Ways(self._runs.models_by_step(run.id), halves)
        return forgetting_view.panel(story, run.order.config, ways, lang)


def _telling(story: Story, run: RunSummary, lang: str) -> dict[str, Update]:
    """Return the parts that only tell."""
    return {
        "state": {"value": story.state},
        "status": {"value": run_view.status(story, run.name, run.order.config, lang)},
        "failure": {"value": run_view.failure(story.failure, run.order.config, lang)},
        "chart": {"value": plots.loss_chart(story, lang)},
        "resources": {"value": _resources(story, lang)},
        "samples": {"value": run_view.samples(story, lang)},
        "notices": {"value": run_view.notices(story, lang)},
    }


def _resources(story: Story, lang: str) -> dict[str, Any]:
    now = None if story.has_ended else story.resources
    return run_view.gauges(now, story.resource_history, lang)


def _offers(story: Story, config: TrainConfig) -> dict[str, Update]:
    """Return which buttons are of use now."""
    failed = story.failure
    can_fix = failed is not None and remedies.remedy(failed.code, config, failed.values) is not None
    return {
        "fix_row": {"visible": failed is not None},
        "fill_form": {"visible": can_fix},
        "apply": {"visible": can_fix},
        "resume": {"visible": story.has_ended},
        "stop": stop_button(story.state),
        "stop_now": {"visible": story.state == "stopping"},
    }


def stop_button(state: str) -> Update:
    """Return what the button to stop a run in this state says, and whether there is one."""
    text = "monitor.leave_queue" if state == "queued" else "monitor.stop"
    # As a string: in an update, Gradio does not turn the object into what the browser translates.
    return {"visible": state in ("queued", "starting", "running"), "value": str(label(text))}


def _nothing(lang: str) -> dict[str, Update]:
    """Return the parts while there is no run."""
    empty = run_view.nothing_yet(lang)
    hidden = ("fix_row", "fill_form", "apply", "resume", "stop", "stop_now")
    quiet = ("failure", "result", "evaluated", "data", "notices", "state")
    drawn = ("chart", "forgetting", "resources", "samples", "log")
    return {
        "picker": {"choices": [], "value": None, "visible": False},
        "status": {"value": empty},
        **{name: {"visible": False} for name in hidden},
        **{name: {"value": ""} for name in quiet},
        **{name: {"value": None} for name in drawn},
    }


def _picker(runs: list[RunSummary], run_id: str, lang: str) -> Update:
    choices = [(choice(run, lang), run.id) for run in runs]
    return {"choices": choices, "value": run_id, "visible": True}


def choice(run: RunSummary, lang: str) -> str:
    """Return how a run is called in a list: name, time, state."""
    when = run.created.astimezone().strftime("%m-%d %H:%M:%S")
    return f"{run.name} · {when} · {t(f'monitor.state.{run.state}', lang)}"


def _digest(content: object) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True, default=str).encode()):08x}"
