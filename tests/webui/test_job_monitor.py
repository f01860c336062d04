"""The page is told what changed, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from easytune.data.versions.library import Library
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.runs import Runs
from easytune.webui.job_monitor import PARTS, Monitor
from tests.patience import eventually

StartRun = Callable[..., Any]


def test_a_page_that_shows_everything_is_told_nothing(home: Path, start_run: StartRun) -> None:
    folder = start_run(home, steps=2)
    eventually(folder.exit.exists)
    monitor = _monitor(home)
    first = monitor.changes("", None, "en")
    assert first is not None
    run_id, shown, fresh = first
    assert run_id == folder.id
    assert set(fresh) == set(PARTS)
    assert monitor.changes(run_id, shown, "en") is None


def test_a_new_run_changes_the_picker_but_not_the_open_run(home: Path, start_run: StartRun) -> None:
    older = start_run(home, steps=2, name="older")
    eventually(older.exit.exists)
    monitor = _monitor(home)
    _, shown, _ = monitor.changes(older.id, None, "en") or ("", {}, {})
    newer = start_run(home, steps=2, name="newer")
    eventually(newer.exit.exists)
    after = monitor.changes(older.id, shown, "en")
    assert after is not None
    assert after[0] == older.id
    assert set(after[2]) == {"picker"}
    assert [choice[1] for choice in after[2]["picker"]["choices"]] == [newer.id, older.id]


def test_what_somebody_opened_is_closed_by_another_run_only(
    home: Path, start_run: StartRun
) -> None:
    older = start_run(home, steps=2, name="older")
    eventually(older.exit.exists)
    running = start_run(home, steps=9000, pause=0.1, name="running")
    monitor = _monitor(home)
    run, shown, first = monitor.changes(running.id, None, "en") or ("", {}, {})
    assert (run, first["resume"]) == (running.id, {"visible": False, "open": False})
    running.stop.touch()
    eventually(running.exit.exists)

    # Two looks may overlap: both know what the page showed before the end.
    for _ in range(2):
        _, _, ended = monitor.changes(running.id, shown, "en") or ("", {}, {})
        assert ended["resume"] == {"visible": True}
    _, _, other = monitor.changes(older.id, shown, "en") or ("", {}, {})
    assert other["resume"] == {"visible": True, "open": False}


def test_another_language_translates_what_the_server_writes(
    home: Path, start_run: StartRun
) -> None:
    folder = start_run(home, steps=2, ending="out_of_memory")
    eventually(folder.exit.exists)
    monitor = _monitor(home)
    _, shown, english = monitor.changes("", None, "en") or ("", {}, {})
    _, _, chinese = monitor.changes(folder.id, shown, "zh") or ("", {}, {})
    assert "Failed" in english["status"]["value"]
    assert "失败" in chinese["status"]["value"]
    assert "批" in chinese["failure"]["value"]


def test_without_a_run_the_page_says_what_to_do(home: Path) -> None:
    _, _, fresh = _monitor(home).changes("gone", None, "en") or ("", {}, {})
    assert "Start training" in fresh["status"]["value"]
    assert fresh["stop"] == {"visible": False}


def _monitor(home: Path) -> Monitor:
    runs = Runs(home)
    return Monitor(runs, Library(home), Evaluations(home, runs, Catalogue(home, runs)))
