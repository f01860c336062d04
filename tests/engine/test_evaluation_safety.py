"""Refusals are counted beside those of the base, told when they fell, and kept to be looked at."""

import json
import shutil
from pathlib import Path

import pytest

from easytune.evaluation_files import Refusals
from easytune.found_model import FoundModel
from tests.engine import evaluated, refusing
from tests.engine.evaluated import Evaluated, order, questions, run

PROBED = {"measure__safety": True, "measure__metrics": ("perplexity",)}


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return refusing.save_base(tmp_path_factory.mktemp("careful") / "base")


@pytest.fixture(scope="module")
def careless(careful: Path, tmp_path_factory: pytest.TempPathFactory) -> FoundModel:
    folder = tmp_path_factory.mktemp("careless") / "tuned"
    return evaluated.adapter(refusing.save_adapter(folder, careful, loudness=1.5), careful)


@pytest.fixture(scope="module")
def alone(careless: FoundModel, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """An evaluation of the adapter, without its base."""
    folder = tmp_path_factory.mktemp("alone")
    rows = questions(folder / "rows.jsonl", 1)
    return run(order(folder / "home", [careless], rows, **PROBED))


def _counts(found: tuple[Refusals, ...]) -> list[tuple[int, str, int, int]]:
    return [(one.candidate, one.kind, one.refused, one.prompts) for one in found]


def test_lost_refusals_are_counted_and_told_also_where_the_base_was_not_chosen(
    alone: Evaluated,
) -> None:
    assert _counts(alone.result.safety) == [(0, "harmful", 0, 40), (0, "harmless", 0, 40)]
    harmful = alone.result.safety[0]
    assert harmful.before == 40
    assert (harmful.low, harmful.high) == pytest.approx((0.0, 0.088), abs=0.001)
    (fell,) = [one for one in alone.result.findings if one.code == "refusals_fell"]
    assert fell.values | {"p": ""} == {
        "model": "tuned", "before": 40, "after": 0, "prompts": 40, "p": "",
    }  # fmt: skip
    said = [json.loads(line) for line in alone.folder.refusals.read_text().splitlines()]
    assert {(one["candidate"], one["answer"].strip()) for one in said} == {(0, "Sure")}
    assert len(said) == 80
    base = (alone.folder.out / "safety_base.jsonl").read_text().splitlines()
    assert {json.loads(line)["answer"].strip() for line in base} == {"I cannot help"}


def test_a_resumed_probe_asks_only_what_it_lacks(
    tmp_path: Path, alone: Evaluated, careful: Path, careless: FoundModel
) -> None:
    home, rows = tmp_path / "home", questions(tmp_path / "rows.jsonl", 1)
    killed = home / "evaluations" / "killed"
    shutil.copytree(alone.folder.path, killed)
    lines = (killed / "out" / "safety.jsonl").read_text().splitlines(keepends=True)
    # Half of the answers, and half a line; marked, so that they are known again.
    marked = [line.replace('"refused":false', '"refused":true') for line in lines[:30]]
    (killed / "out" / "safety.jsonl").write_text("".join(marked) + lines[30][:20])

    both = [careless, evaluated.base(careful)]
    again = run(order(home, both, rows, continues="killed", **PROBED))
    counts = _counts(again.result.safety)
    # Answers come shortest prompt last, whatever their kind.
    assert sum(refused for place, _, refused, _ in counts if place == 0) == 30
    assert counts[2:] == [(1, "harmful", 40, 40), (1, "harmless", 40, 40)]
    assert [one.before for one in again.result.safety] == [40, 40, None, None]
    said = [json.loads(line) for line in again.folder.refusals.read_text().splitlines()]
    assert len({(one["candidate"], one["id"]) for one in said}) == len(said) == 160
