"""What large datasets cost: `python -m benchmarks.data`.

Five figures on made-up Alpaca rows, a million of about 500 bytes unless `--rows` says otherwise:
import beside `pyarrow.json.read_json` plus writing Parquet, in turns; memory of the web process
while it imports, pages, filters and compares; difference of two versions; a page far down; search
for near duplicates. Each is measured in a process of its own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import alpaca
from easytune import process_memory

if TYPE_CHECKING:
    from easytune.data.versions.edits import Edit
    from easytune.data.versions.library import Library
    from easytune.webui.context import Context

_GOALS = {
    "import": "at most 2 x the CPU time of pyarrow",
    "memory": "under 500 MB",
    "diff": "under 5 s of CPU",
    "page": "under 100 ms",
    "near": "under 120 s on 2 cores",
}
_DIFFERENCES = 1_000
_TITLE = "benchmark"
_PAGE = 50
_PORT = 7897
_PLANTED = 0.02


@dataclass(frozen=True)
class Place:
    """Where a measurement finds its rows, and keeps what it makes of them."""

    source: Path
    home: Path
    rows: int


def main() -> None:
    """Measure the figures that were asked for, and print each."""
    options = _options()
    if options.part:
        place = Place(options.source, options.home, options.rows)
        print(json.dumps(_PARTS[options.part](place)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, found in _figures(options, Path(folder)):
            print(f"{name}: {found} (goal: {_GOALS[name]})", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--near-rows", type=int, help="default: a tenth of the rows")
    parser.add_argument("--rounds", type=int, default=2, help="turns of the import")
    parser.add_argument("--figures", nargs="+", choices=_GOALS, default=list(_GOALS))
    parser.add_argument("--folder", type=Path, help="where 3 GB are free for a million rows")
    parser.add_argument("--part", choices=_PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _figures(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the figures in words, in the order in which they need each other's data."""
    place = Place(folder / "alpaca.jsonl", folder / "home", options.rows)
    _say(f"writing {options.rows:,} rows")
    alpaca.write(place.source, options.rows)
    wanted = set(options.figures)
    if "import" in wanted:
        yield "import", _import_ratio(place, options.rounds)
    if "memory" in wanted:
        yield "memory", _memory(_child("web", place))
    if wanted & {"diff", "page"} and not place.home.exists():
        _child("ours", place)
    if "diff" in wanted:
        yield "diff", _difference(_child("diff", place))
    if "page" in wanted:
        yield "page", _pages(_child("page", place))
    if "near" in wanted:
        rows = options.near_rows or max(1, options.rows // 10)
        small = Place(folder / "near.jsonl", folder / "near-home", rows)
        alpaca.write(small.source, rows, near=round(rows * _PLANTED))
        found = _child("near", small)
        text = (
            "{rows:,} rows in {seconds:.1f} s, {cpu:.1f} s of CPU; {dropped:,} of {planted:,} found"
        )
        yield "near", text.format(**found)


def _import_ratio(place: Place, rounds: int) -> str:
    """Import with either in turns; the least of each is compared, as the machine may be shared."""
    costs: dict[str, list[dict[str, float]]] = {"peer": [], "ours": []}
    for turn in range(rounds):
        for name, kept in costs.items():
            home = place.home if not turn else place.home.with_name(f"home-{turn}")
            kept.append(_child(name, Place(place.source, home, place.rows)))
    peer, ours = (min(kept, key=lambda one: one["cpu"]) for kept in costs.values())
    ratio = ours["cpu"] / peer["cpu"]
    return (
        f"{ratio:.2f} x pyarrow ({ours['cpu']:.1f} against {peer['cpu']:.1f} s of CPU; peak memory "
        f"{ours['peak_mb']:.0f} against {peer['peak_mb']:.0f} MB) for "
        f"{place.source.stat().st_size / 1e6:.0f} MB"
    )


def _memory(found: dict[str, Any]) -> str:
    steps = ", ".join(f"{name} {mb:.0f} MB" for name, mb in found["after"].items())
    return f"peak {found['peak_mb']:.0f} MB ({steps})"


def _difference(found: dict[str, Any]) -> str:
    return (
        f"{found['cpu']:.2f} s of CPU for {found['added']} added, {found['removed']} removed and "
        f"{found['changed']} changed of {found['rows']:,} rows"
    )


def _pages(found: dict[str, Any]) -> str:
    return (
        f"{found['opened_ms']:.0f} ms to open a version at row {found['row']:,}, "
        f"{found['then_ms']:.0f} ms from page to page; {found['cold_ms']:.0f} ms for the first "
        "page of a process"
    )


def _child(part: str, place: Place) -> dict[str, Any]:
    """Measure one part in a process of its own."""
    _say(part)
    command = [
        sys.executable, "-m", "benchmarks.data", "--part", part, "--rows", str(place.rows),
        "--source", str(place.source), "--home", str(place.home),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


# --- what the children do ----------------------------------------------------


def _peer(place: Place) -> dict[str, Any]:
    from pyarrow import json as arrow_json
    from pyarrow import parquet

    place.home.parent.mkdir(exist_ok=True)
    began = _cpu()
    table = arrow_json.read_json(place.source)
    parquet.write_table(table, place.home.with_suffix(".parquet"), compression="zstd")
    return {"cpu": _cpu() - began, "peak_mb": _peak_mb()}


def _ours(place: Place) -> dict[str, Any]:
    import pyarrow.parquet  # noqa: F401 - both begin with it loaded

    from easytune.data import task_import
    from easytune.data.progress import silent
    from easytune.data.tasks import ImportTask
    from easytune.data.versions.library import Library

    task = ImportTask(paths=(str(place.source),), title=_TITLE)
    began = _cpu()
    [made] = task_import.bring_in(task, Library(place.home), place.home / "fetched", silent)
    cost = _cpu() - began
    assert (made.rows, made.problems) == (place.rows, 0), made
    return {"cpu": cost, "peak_mb": _peak_mb()}


def _web(place: Place) -> dict[str, Any]:
    """Serve the app, import through it, then do in its process what its pages do."""
    from easytune.data.versions.search import Filter
    from easytune.webui import app, language, theme
    from easytune.webui.context import Context

    context = Context.of(place.home.with_name("web-home"))
    app.build(context).launch(
        server_port=_PORT, theme=theme.theme(), head=theme.head("en"),
        i18n=language.translations(), run_history=False, enable_monitoring=False,
        footer_links=[], ssr_mode=False, quiet=True, prevent_thread_lock=True,
    )  # fmt: skip
    after = {"start": _peak_mb()}
    context.datasets.start()
    _finish(context, context.datasets.import_files([place.source], _TITLE))
    after["import"] = _peak_mb()
    dataset = context.datasets.library.list()[0].id
    rows = context.datasets.library.open(dataset)
    rows.page(place.rows * 9 // 10, _PAGE)
    after["page"] = _peak_mb()
    rows.find(Filter(text="zutri"), 0, _PAGE)
    after["filter"] = _peak_mb()
    edited = _edited(context.datasets.library, dataset, place.rows)
    after["edit"] = _peak_mb()
    found = context.datasets.library.diff((dataset, 1), (dataset, edited))
    found.page(None, 0, _PAGE)
    after["compare"] = _peak_mb()
    context.close()
    return {"peak_mb": _peak_mb(), "after": after}


def _finish(context: "Context", task: str) -> None:
    """Wait for a task as a page does: by asking once a second."""
    while (story := context.datasets.tasks.get(task)).is_active:
        time.sleep(1)
    assert story.state == "finished", story


def _diff(place: Place) -> dict[str, Any]:
    library, dataset = _imported(place)
    number = _edited(library, dataset, place.rows)
    began = _cpu()
    found = library.diff((dataset, 1), (dataset, number))
    found.page(None, 0, _PAGE)
    cost = _cpu() - began
    counts = {kind: getattr(found, kind) for kind in ("added", "removed", "changed")}
    return {"cpu": cost, "rows": place.rows, **counts}


def _edited(library: "Library", dataset: str, rows: int) -> int:
    """Make a version that differs in 1,000 rows: half changed, a quarter each dropped and added."""
    from easytune.data.versions.edits import Drop, Insert, Replace

    places = [rows * place // _DIFFERENCES for place in range(_DIFFERENCES)]
    edits: list[Edit] = []
    for turn, place in enumerate(dict.fromkeys(places)):
        text = json.dumps({"instruction": f"Say {turn}", "input": "", "output": f"It is {turn}."})
        match turn % 4:
            case 0:
                edits.append(Drop(place))
            case 1:
                edits.append(Insert(place, text))
            case _:
                edits.append(Replace(place, text))
    return library.edit(dataset, edits).number


def _page(place: Place) -> dict[str, Any]:
    library, dataset = _imported(place)
    far = place.rows * 9 // 10
    # The first of all loads the libraries; a web process does that once.
    cold = _timed(lambda: library.open(dataset).page(0, _PAGE))
    opened = _timed(lambda: library.open(dataset).page(far, _PAGE))
    rows = library.open(dataset)
    places = [(far + turn * 7_919) % place.rows for turn in range(20)]
    then = statistics.median(_timed(partial(rows.page, first, _PAGE)) for first in places)
    return {"row": far, "cold_ms": cold * 1e3, "opened_ms": opened * 1e3, "then_ms": then * 1e3}


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _near(place: Place) -> dict[str, Any]:
    from easytune.data.progress import silent
    from easytune.data.steps import pipeline, running
    from easytune.data.versions.manifest import Preprocessed

    _ours(place)
    library, dataset = _imported(place)
    rows = library.open(dataset)
    chosen = pipeline.of(["near_duplicates"])
    cpu, began = _cpu(), time.perf_counter()
    with library.draft(dataset=dataset, origin=Preprocessed()) as draft:
        [count] = running.run(chosen, rows, library, draft, silent)
        draft.commit()
    seconds = time.perf_counter() - began
    return {
        "rows": place.rows, "seconds": seconds, "cpu": _cpu() - cpu, "dropped": count.dropped,
        "planted": round(place.rows * _PLANTED),
    }  # fmt: skip


def _imported(place: Place) -> "tuple[Library, str]":
    from easytune.data.versions.library import Library

    library = Library(place.home)
    return library, library.list()[0].id


def _cpu() -> float:
    """Return the CPU seconds of this process, its threads and the children it has waited for."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))


def _peak_mb() -> float:
    """Return the most memory this process has held."""
    return process_memory.peak_bytes() / 1e6


_PARTS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "peer": _peer, "ours": _ours, "web": _web, "diff": _diff, "page": _page, "near": _near,
}  # fmt: skip


if __name__ == "__main__":
    main()
