"""General rows mixed into training: how many, which, and what the model sees of them."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from easytune import demo
from easytune.config import DataSection, TrainConfig
from easytune.data import dataset, replay, tokenizer
from easytune.data.dataset import Dataset
from easytune.data.encoding import Encoder, Example
from easytune.data.insight.measure import measure
from easytune.data.preview import preview
from easytune.data.rows import Row
from easytune.demo import general
from easytune.errors import FileMissing, ReplayUnusable
from easytune.i18n import languages, t
from easytune.services import data_links, submission
from tests.data.models import model_folder

ESSAY = {"text": "The capital of France is Paris."}
CHAT = {"prompt": "What is the capital of France?", "response": "Paris."}


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def pairs(path: Path, count: int) -> str:
    return write(path, [{"prompt": f"{path.stem} {n}?", "response": "yes"} for n in range(count)])


def load(share: float, seed: int = 42, **options: Any) -> Dataset:
    chosen = {"datasets": ("demo/knowledge",), "replay_share": share} | options
    return dataset.load(DataSection.model_validate(chosen), seed)


def encoded(folder: Path, own: str, general: str, stage: str) -> list[Example]:
    options = {"stage": stage, "datasets": (own,), "replay": general, "replay_share": 0.5}
    section = DataSection.model_validate(options | {"held_out_share": 0})
    rows = dataset.load(section).train
    return Encoder(tokenizer.load(folder), section).encode(rows).examples


def learned_text(folder: Path, example: Example) -> str:
    ids = example.input_ids[example.trained].tolist()
    return tokenizer.load(folder).backend.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize(("share", "rows"), [(0.1, 27), (0.25, 80), (0.5, 240)])
def test_general_rows_make_up_the_wanted_share_of_the_rows_learned(share: float, rows: int) -> None:
    without, mixed = load(0), load(share)

    assert (mixed.replayed, len(mixed.train)) == (rows, 240 + rows)
    assert mixed.train[:240] == without.train
    assert {row.source for row in mixed.train[240:]} == {"demo/replay"}
    assert mixed.held_out == without.held_out
    assert mixed.read == without.read
    assert mixed.fingerprint != without.fingerprint
    assert without.notices == []
    [(code, values)] = mixed.notices
    assert (code, values["rows"], values["percent"]) == ("replay_mixed", rows, share * 100)


def test_the_seed_decides_which_rows_are_replayed() -> None:
    first, again, other = load(0.25), load(0.25), load(0.25, seed=7)

    assert first.train == again.train
    assert first.fingerprint == again.fingerprint
    assert first.train[240:] != other.train[240:]


def test_few_general_rows_come_evenly_often_and_the_user_is_told(tmp_path: Path) -> None:
    loaded = load(0.5, replay=pairs(tmp_path / "few.jsonl", 100))

    assert sorted(set(Counter(loaded.train[240:]).values())) == [2, 3]
    assert ("replay_repeated", 240, 100) in [
        (code, values["rows"], values.get("have")) for code, values in loaded.notices
    ]


def test_a_row_that_is_held_out_is_never_replayed(tmp_path: Path) -> None:
    own = pairs(tmp_path / "own.jsonl", 40)
    loaded = load(0.5, datasets=(own,), replay=own, held_out_share=0.25)

    measured = {row.messages for row in loaded.held_out}
    assert len(measured) == 10
    assert loaded.replayed == 30
    assert not measured & {row.messages for row in loaded.train}
    with pytest.raises(ReplayUnusable) as refused:
        replay.draw(DataSection(replay=own, replay_share=0.5), 30, _rows(own), 42)
    for lang in languages():
        assert "@" not in t(f"error.{refused.value.code()}", lang, **refused.value.values)


def test_bad_general_rows_are_counted_and_none_at_all_is_refused(tmp_path: Path) -> None:
    bad = {"prompt": "Hello", "response": ""}
    loaded = load(0.5, replay=write(tmp_path / "some.jsonl", [bad, CHAT]))
    values = dict(loaded.notices)["replay_rows_unusable"]
    assert values["rows"] == 1
    for lang in languages():
        assert not re.search(r"[{@]", t("notice.replay_rows_unusable", lang, **values))

    with pytest.raises(ReplayUnusable):
        load(0.5, replay=write(tmp_path / "none.jsonl", [bad]))
    with pytest.raises(ReplayUnusable):
        load(0.5, replay=write(tmp_path / "empty.jsonl", []))
    with pytest.raises(FileMissing):
        load(0.5, replay=str(tmp_path / "gone.jsonl"))


def test_plain_texts_can_be_replayed_beside_conversations(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", adds_bos=True)
    own, texts = (write(tmp_path / n, [r]) for n, r in (("a.jsonl", CHAT), ("b.jsonl", ESSAY)))

    chat, text = encoded(folder, own, texts, "sft")
    assert learned_text(folder, chat).strip() == "Paris.<|im_end|>"
    assert learned_text(folder, text) == f"{ESSAY['text']}<|im_end|>"
    assert text.input_ids[0] == tokenizer.load(folder).backend.token_to_id("<|bos|>")


def test_conversations_replayed_to_plain_text_keep_the_template_a_model_has(tmp_path: Path) -> None:
    own, chats = (write(tmp_path / n, [r]) for n, r in (("a.jsonl", ESSAY), ("b.jsonl", CHAT)))
    tuned = model_folder(tmp_path / "tuned")
    base = model_folder(tmp_path / "base", "base", adds_bos=True)

    _, chat = encoded(tuned, own, chats, "pretrain")
    assert learned_text(tuned, chat).strip() == "Paris.<|im_end|>"
    _, text = encoded(base, own, chats, "pretrain")
    assert learned_text(base, text) == f"{CHAT['prompt']}\n\n{CHAT['response']}</s>"


def test_figures_and_preview_count_what_is_replayed(tmp_path: Path) -> None:
    data = DataSection(datasets=("demo/knowledge",), replay_share=0.25, packing=False)
    found = measure(TrainConfig(data=data), demo.MODEL, tmp_path)
    seen = preview(data, demo.MODEL, 319)

    assert (found.replayed, found.used, found.held_out) == (80, 320, 40)
    assert found.steps_per_epoch == 40
    assert (seen.used, seen.source) == (320, "demo/replay")
    assert [code for code, _ in seen.notices] == ["replay_mixed"]


def test_a_run_finds_its_general_rows_wherever_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"data__replay": "mine.jsonl", "monitor__probe": "mine.jsonl"}
    config = submission.with_absolute_paths(TrainConfig().changed(**own))

    assert config.data.replay == config.monitor.probe == str(tmp_path / "mine.jsonl")
    # Neither file is there: what uses one is refused before it begins, what does not is not.
    for options in ({"data__replay_share": 0.1}, {"monitor__forgetting": True}):
        with pytest.raises(FileMissing):
            submission.check(_quiet(config).changed(**options), tmp_path)
    submission.check(_quiet(config), tmp_path)


def test_versions_of_general_rows_belong_to_the_versions_a_run_uses() -> None:
    config = TrainConfig().changed(data__replay="dataset:essays@2", monitor__probe="dataset:quiz@1")

    assert [str(each) for each in data_links.references(config)] == ["dataset:quiz@1"]
    replaying = config.changed(data__replay_share=0.1, monitor__forgetting=False)
    assert [str(each) for each in data_links.references(replaying)] == ["dataset:essays@2"]


def test_the_bundled_general_rows_are_what_the_script_writes() -> None:
    lines = demo.GENERAL["replay"].read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]

    assert rows == general.rows()
    assert len(rows) > 400
    assert {row["language"] for row in rows} == {"en", "zh"}
    # Another model must not learn to call itself by the demo model's name.
    assert not [line for line in lines if "EasyTune" in line or "demo model" in line]


@pytest.mark.parametrize("pattern", [r"^(\d+) \+ (\d+) = (\d+)", r"From \d+ coins, (\d+) come"])
def test_sums_among_the_general_rows_are_right(pattern: str) -> None:
    asked = [(q["content"], a["content"]) for row in general.rows() for q, a in
             zip(row["messages"][::2], row["messages"][1::2], strict=True)]  # fmt: skip
    found = 0
    for question, answer in asked:
        if match := re.search(pattern, answer):
            found += 1
            numbers = [int(number) for number in re.findall(r"\d+", question)]
            right = numbers[2] - numbers[0] * numbers[1] if "coins" in answer else sum(numbers)
            assert int(match.groups()[-1]) == right
    assert found >= 8


def _quiet(config: TrainConfig) -> TrainConfig:
    return config.changed(data__replay_share=0.0, monitor__forgetting=False)


def _rows(path: str) -> list[Row]:
    return dataset.load(DataSection(datasets=(path,), held_out_share=0)).train
