"""What an evaluation asks: rows of runs, demos, versions and files, and what is said about them."""

import json
from pathlib import Path
from typing import Any

import pytest

from easytune import evaluation_files, job, paths
from easytune.config import TrainConfig
from easytune.data import dataset, overlaps, test_sets
from easytune.data.formats import Layout
from easytune.data.stored import Batch, row_id, row_text
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from easytune.errors import FileMissing, RunMissing
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import HeldOutMissing, NothingToAsk
from easytune.evaluation_files import Finding, Order
from easytune.found_model import FoundModel
from easytune.job import Job

CONFIG = EvaluateConfig()


def rows_file(folder: Path, *rows: Any, name: str = "rows.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(name: str, home: Path, **test: Any) -> test_sets.Found:
    options = {f"test__{key}": value for key, value in test.items()}
    return test_sets.read(name, CONFIG.changed(**options), home)


def said(row: evaluation_files.TestRow) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in row.messages]


def remarks(found: list[Finding]) -> dict[str, Any]:
    return {finding.code: finding.values.get("rows") for finding in found}


def submitted(home: Path, config: TrainConfig) -> str:
    return job.create(paths.runs(home), Job(config=config)).id


def pairs(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(count)]


def test_a_run_is_asked_what_it_kept_back_and_nothing_it_learned(
    home: Path, tmp_path: Path
) -> None:
    config = TrainConfig().changed(
        data__datasets=(rows_file(tmp_path, *pairs(40)),), data__held_out_share=0.2,
        schedule__seed=7, output__name="tone",
    )  # fmt: skip
    run = submitted(home, config)
    found = read(f"held-out:{run}", home)
    kept = dataset.load(config.data, 7, home)
    assert found.set.title == test_sets.title_of(f"held-out:{run}") == "held-out:tone"
    assert [int(row.id) for row in found.rows] == [row.number for row in kept.held_out]
    assert len(found.rows) == 8
    assert {row.reference for row in found.rows}.isdisjoint(
        turns[-1].content for row in kept.train if (turns := row.messages)
    )


def test_rows_kept_back_keep_their_names_and_what_there_is_to_choose_from(
    home: Path, tmp_path: Path
) -> None:
    rows = [
        {
            "id": f"q-{n}", "prompt": f"question {n}", "options": ["Bern", "Oslo", f"Rome {n}"],
            "completion": f"Rome {n}" if n % 2 else "C",
        }
        for n in range(20)
    ]  # fmt: skip
    config = TrainConfig().changed(
        data__datasets=(rows_file(tmp_path, *rows),), data__held_out_share=0.3
    )
    found = read(f"held-out:{submitted(home, config)}", home)
    assert len(found.rows) == 6
    for row in found.rows:
        number = int(row.id.removeprefix("q-"))
        assert row.messages[-1].content == f"question {number}"
        learned = ("Bern", "Oslo", f"Rome {number}") if number % 2 else ("A", "B", "C")
        assert row.choices == learned


def test_a_run_whose_data_have_changed_since_is_told(home: Path, tmp_path: Path) -> None:
    config = TrainConfig().changed(data__datasets=(rows_file(tmp_path, *pairs(20)),))
    run = submitted(home, config)
    card = paths.runs(home) / run / "out" / "adapter" / "README.md"
    card.parent.mkdir(parents=True)
    fingerprint = dataset.load(config.data, 42, home).fingerprint
    card.write_text(f"| Data fingerprint | `{fingerprint[:16]}` |")
    assert remarks(read(f"held-out:{run}", home).findings) == {}
    rows_file(tmp_path, *pairs(21))
    assert "held_out_changed" in remarks(read(f"held-out:{run}", home).findings)


def test_a_run_that_kept_nothing_back_and_one_that_is_gone_are_named(
    home: Path, tmp_path: Path
) -> None:
    config = TrainConfig().changed(
        data__datasets=(rows_file(tmp_path, *pairs(4)),), data__held_out_share=0
    )
    with pytest.raises(HeldOutMissing):
        read(f"held-out:{submitted(home, config)}", home)
    with pytest.raises(RunMissing):
        read("held-out:../runs", home)


def test_a_demo_is_asked_by_its_held_out_file(home: Path) -> None:
    found = read("demo/style", home)
    assert (found.set.rows, found.set.name) == (60, "demo/style")
    assert all((row.reference or "").startswith("Ahoy") for row in found.rows)


def test_of_a_version_only_the_rows_kept_back_are_asked_where_it_keeps_some(home: Path) -> None:
    library = Library(home)
    rows = pairs(6)

    def version(held_out: list[bool]) -> str:
        layouts = {"rows.jsonl": Layout("prompt_completion")}
        with library.draft(title="Tone", origin=Imported(), layouts=layouts) as draft:
            draft.add(
                Batch(
                    texts=[row_text(row) for row in rows],
                    ids=[row_id(row) for row in rows],
                    sources=["rows.jsonl"] * 6,
                    numbers=list(range(1, 7)),
                    held_out=held_out,
                )
            )
            return str(draft.commit().reference)

    kept = read(version([False, True] * 3), home)
    assert [row.reference for row in kept.rows] == ["answer 1", "answer 3", "answer 5"]
    assert kept.findings[0].code == "held_out_part"
    assert kept.findings[0].values["all"] == 6
    assert kept.set.name.endswith("@1")
    whole = read(version([]), home)
    assert remarks(whole.findings) == {"whole_version": 6}
    assert len(whole.rows) == 6


def test_a_conversation_is_asked_up_to_its_last_answer(home: Path, tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "Goodbye"},
    ]
    row = read(rows_file(tmp_path, {"id": "bye", "messages": turns}), home).rows[0]
    assert said(row) == [(turn["role"], turn["content"]) for turn in turns[:4]]
    assert (row.id, row.reference) == ("bye", "Goodbye")


def test_rows_without_a_reference_are_asked_all_the_same_and_counted(
    home: Path, tmp_path: Path
) -> None:
    name = rows_file(
        tmp_path,
        {"prompt": "Q1", "completion": "A1"},
        {"prompt": "Q2"},
        {"prompt": "Q3", "completion": "  "},
        {"messages": [{"role": "user", "content": "Q4"}]},
        {"messages": [{"role": "user", "content": "Q5"}, {"role": "assistant", "content": ""}]},
        {"prompt": ""},
    )
    found = read(name, home)
    assert [said(row)[-1][1] for row in found.rows] == ["Q1", "Q2", "Q3", "Q4", "Q5"]
    assert [row.reference for row in found.rows] == ["A1", None, None, None, None]
    assert remarks(found.findings) == {
        "no_reference": 2, "empty_reference": 2, "rows_unusable": 1,
    }  # fmt: skip


def test_a_file_without_any_column_of_answers_is_asked(home: Path, tmp_path: Path) -> None:
    found = read(rows_file(tmp_path, {"question": "Q1"}, {"instruction": "Q2", "input": "x"}), home)
    assert [said(row)[-1][1] for row in found.rows] == ["Q1", "Q2\nx"]
    assert remarks(found.findings) == {"no_reference": 2}


def test_answers_in_other_columns_and_in_figures_are_references(home: Path, tmp_path: Path) -> None:
    found = read(
        rows_file(
            tmp_path, {"question": "6 x 7", "answer": 42}, {"input": "x", "target": "y", "n": 1}
        ),
        home,
    )
    assert [row.reference for row in found.rows] == ["42", "y"]
    assert said(found.rows[1]) == [("user", "x")]


def test_choices_are_read_however_they_are_written(home: Path, tmp_path: Path) -> None:
    found = read(
        rows_file(
            tmp_path,
            {"question": "a", "choices": ["red", "blue"], "answer": 1},
            {"question": "b", "options": ["red", "blue"], "answer": "A"},
            {"question": "c", "choices": {"text": ["red", "blue"], "label": ["1", "2"]},
             "answerKey": "2"},
            {"question": "d", "options": {"A": "red", "B": "blue"}, "answer": "blue"},
            {"question": "e", "choices": ["red", "blue"], "answer": "green"},
        ),
        home,
    )  # fmt: skip
    assert [row.reference for row in found.rows] == ["blue", "red", "blue", "blue", "green"]
    assert [row.choices for row in found.rows] == [("red", "blue")] * 4 + [()]
    assert remarks(found.findings) == {"choice_unknown": 1}


def test_plain_text_is_continued_from_its_middle(home: Path, tmp_path: Path) -> None:
    found = read(
        rows_file(tmp_path, {"text": "one two three four"}, {"text": "春眠不觉晓处处"}), home
    )
    assert [(row.prompt, row.reference) for row in found.rows] == [
        ("one two", " three four"),
        ("春眠不", "觉晓处处"),
    ]


def test_a_limit_draws_the_same_rows_again_by_seed_and_in_their_order(
    home: Path, tmp_path: Path
) -> None:
    name = rows_file(tmp_path, *pairs(30), {"prompt": ""})
    first, again = read(name, home, rows=10), read(name, home, rows=10)
    other = read(name, home, rows=10, seed=1)
    assert first.rows == again.rows
    assert first.set.fingerprint == again.set.fingerprint != other.set.fingerprint
    numbers = [int(row.id) for row in first.rows]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)


def test_a_set_that_cannot_be_read_is_left_out_and_the_others_go_on(
    home: Path, tmp_path: Path
) -> None:
    good, gone = rows_file(tmp_path, *pairs(2)), str(tmp_path / "gone.jsonl")
    sets, rows, findings = test_sets.load([gone, good, "demo/style"], CONFIG, home)
    assert [each.name for each in sets] == [good, "demo/style"]
    assert [row.set for row in rows] == [0] * 2 + [1] * 60
    assert findings[0].code == "set_unusable"
    assert findings[0].values["set"] == "gone.jsonl"
    with pytest.raises(FileMissing):
        test_sets.load([gone], CONFIG, home)
    with pytest.raises(NothingToAsk):
        read(rows_file(tmp_path, {"prompt": " "}, name="none.jsonl"), home)


def candidate(home: Path, run: str) -> FoundModel:
    folder = str(paths.runs(home) / run / "out" / "adapter")
    return FoundModel(
        id=run, title=run, kind="adapter", folder=folder, base="demo", base_folder="/nowhere",
        is_adapter=True, fingerprint="", run=run,
    )  # fmt: skip


def test_test_rows_that_a_model_has_learned_are_found_also_through_the_run_it_went_on_from(
    home: Path, tmp_path: Path
) -> None:
    first = TrainConfig().changed(
        data__datasets=(rows_file(tmp_path, *pairs(20)),), data__held_out_share=0.2
    )
    early = submitted(home, first)
    other = rows_file(tmp_path, {"prompt": "x", "completion": "y"}, name="other.jsonl")
    adapter = candidate(home, early).folder
    later = submitted(
        home,
        first.changed(data__datasets=(other,), data__held_out_share=0, model__adapter=adapter),
    )
    learned = dataset.load(first.data, 42, home).train[0].messages
    assert learned
    test = rows_file(
        tmp_path,
        {"prompt": f"  {learned[0].content}\n", "completion": learned[1].content},
        {"prompt": learned[0].content, "completion": "something else"},
        {"prompt": learned[0].content},
        name="test.jsonl",
    )
    order = Order(config=CONFIG, candidates=(candidate(home, early), candidate(home, later)))
    _, rows, _ = test_sets.load([f"held-out:{early}", test], CONFIG, home)
    found = overlaps.overlaps(order, rows, home)
    assert [(one.candidate, one.set, one.rows) for one in found] == [(0, 1, (4, 6)), (1, 1, (4, 6))]


def test_a_model_whose_training_data_are_gone_is_told(home: Path, tmp_path: Path) -> None:
    name = rows_file(tmp_path, *pairs(4))
    run = submitted(home, TrainConfig().changed(data__datasets=(name,)))
    Path(name).unlink()
    findings: list[Finding] = []
    order = Order(config=CONFIG, candidates=(candidate(home, run),))
    _, rows, _ = test_sets.load(["demo/style"], CONFIG, home)
    assert overlaps.overlaps(order, rows, home, findings) == []
    assert remarks(findings) == {"training_unknown": None}
