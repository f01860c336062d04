"""From a run to what has changed in its data since: two versions compared in the Data tab."""

from typing import Any

import gradio as gr

from easytune.webui.run_panel import RunPanel
from easytune.webui.tabs.data import LOOK, DataTab

# Only what is in the page can be set, and one thing after the other: the versions choose two to
# compare by themselves when another dataset is shown.
_OPEN = "(wanted) => easytune.openVersions(wanted)"
_WAIT = "(wanted) => easytune.versionShown(wanted)"


def wire(panel: RunPanel, tab: DataTab) -> None:
    """Let the card of a run show in the Data tab what has changed since."""
    now: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    wanted = panel.compared
    panel.data.click(_asked, None, wanted, **now)
    wanted.change(None, wanted, wanted, js=_OPEN).then(
        _shown, wanted, [*tab.shown, tab.compare], **now
    ).then(None, wanted, wanted, js=_WAIT).then(_compared, wanted, [tab.compare, wanted], **now)


def _asked(event: gr.EventData) -> str:
    return str(event._data.get("since", ""))


def _shown(wanted: str) -> list[Any]:
    """Return the version to look at."""
    name = (wanted or "").partition(" ")[2]
    # Without anything to compare yet, so that the same pair once more is a change.
    return [name, LOOK, ""] if name else [gr.skip(), gr.skip(), gr.skip()]


def _compared(wanted: str) -> list[Any]:
    """Return the two versions to compare, and nothing more to ask for."""
    return [wanted, ""] if wanted else [gr.skip(), gr.skip()]
