import json
import subprocess
import sys
from pathlib import Path

import pytest

from easytune.demo import DATASETS
from easytune.demo.datasets import all_datasets

ROWS = {"style": (500, 60), "knowledge": (240, 40), "instruction": (450, 60)}


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_dataset_has_the_stated_rows(name: str) -> None:
    files = DATASETS[name]

    assert (len(_read(files.train)), len(_read(files.held_out))) == ROWS[name]


@pytest.mark.parametrize("name", list(DATASETS))
def test_no_held_out_prompt_is_in_the_training_rows(name: str) -> None:
    files = DATASETS[name]

    trained = {_prompt(row) for row in _read(files.train)}
    assert not trained & {_prompt(row) for row in _read(files.held_out)}


def test_the_files_are_what_the_script_writes() -> None:
    for name, (rows, held_out) in all_datasets().items():
        assert _read(DATASETS[name].train) == rows
        assert _read(DATASETS[name].held_out) == held_out


def test_every_guest_is_answered_with_json_that_the_sentence_supports() -> None:
    for row in _guests(DATASETS["instruction"].train):
        guest = json.loads(row["gpt"])
        assert list(guest) == ["name", "age", "city"]
        assert all(str(value) in row["human"] for value in guest.values())


def test_a_guest_kept_back_is_in_no_training_row() -> None:
    files = DATASETS["instruction"]

    trained = {row["gpt"] for row in _guests(files.train)}
    assert not trained & {row["gpt"] for row in _guests(files.held_out)}


def test_naming_the_demo_loads_no_torch() -> None:
    ask = "import sys, easytune.demo, easytune.demo.datasets; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "False"


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _guests(path: Path) -> list[dict[str, str]]:
    return [{turn["from"]: turn["value"] for turn in row["conversations"]} for row in _read(path)]


def _prompt(row: dict) -> str:
    match row:
        case {"messages": [*_, question, _]}:
            return question["content"].lower()
        case {"conversations": [*_, question, _]}:
            return question["value"].lower()
    return row["instruction"].lower()
