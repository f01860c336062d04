"""How the page's events go together. No browser: what Gradio is told."""

from collections import Counter
from pathlib import Path

from easytune.webui.app import build
from easytune.webui.context import Context


def test_of_all_who_listen_to_an_event_one_defers_at_most(home: Path) -> None:
    """Two would send it to each other for ever: an answer that was deferred dispatches it again."""
    page = build(Context.of(home, "en"))
    deferring = Counter(
        target
        for event in page.fns.values()
        if event.trigger_mode == "always_last" and event.fn is not None
        for target in event.targets
        if target[0] is not None
    )
    assert deferring
    assert [target for target, count in deferring.items() if count > 1] == []
