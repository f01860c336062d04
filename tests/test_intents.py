from pathlib import Path

import pytest

from easytune import demo, intents, paths
from easytune.cli import arguments, chosen
from easytune.cli.main import main
from easytune.config import TrainConfig
from easytune.i18n import languages
from easytune.metrics import METRICS

BUNDLED = ["style", "knowledge", "instructions"]
OWN = """\
title: Legal
summary: {en: Answers as our lawyers give them., zh: 像律师一样回答。}
rank: [8, 16]
targets: qkv+mlp
config:
  schedule: {epochs: 5}
because:
  schedule.epochs: Statutes need {value} rounds.
wishes: [court]
"""


def put(home: Path, name: str, text: str) -> Path:
    folder = home / intents.FOLDER
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_the_bundled_intents_are_whole_in_every_language(tmp_path: Path) -> None:
    known = intents.load(tmp_path)

    assert (list(known.found), known.problems) == (BUNDLED, [])
    for intent in known.found.values():
        assert set(intent.title) == set(intent.summary) == set(languages())
        assert set(intent.metrics) <= set(METRICS)
        TrainConfig.model_validate(intent.config)
    assert {file.stem for file in (paths.CONFIGS / "intents").iterdir()} == set(BUNDLED)


def test_a_file_in_the_home_adds_an_intent_or_replaces_one(tmp_path: Path) -> None:
    put(tmp_path, "legal.yaml", OWN)
    put(tmp_path, "style.yaml", OWN.replace("Legal", "House style"))

    known = intents.load(tmp_path)
    assert list(known.found) == [*BUNDLED, "legal"]
    assert known.found["style"].title_in("en") == "House style"
    legal = known.found["legal"]
    assert (legal.title_in("zh"), legal.summary_in("zh")) == ("Legal", "像律师一样回答。")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("title: x\nsummary: y\nlora:\n  rank: 8\n", 3, "no lora"),
        ("title: x\nsummary: y\nrnak: [4, 8]\n", 3, "Did you mean rank"),
        ("title: x\n", 1, "summary is missing"),
        ("title: x\nsummary: y\nrank: [16, 8]\n", 3, "at least 16"),
        ("title: x\nsummary: y\nrank:\n  - 4\n  - many\n", 5, "many"),
        ("title: x\nsummary: y\nconfig:\n  lora:\n    rank: 0\n", 5, "lora.rank"),
        ("title: x\nsummary: y\nconfig:\n  lora:\n    rnk: 8\n", 5, "lora.rank"),
        ("title: x\nsummary: y\nconfig:\n  data:\n    datasets: [a]\n", 5, "data.datasets"),
        ("title: x\nsummary: y\nbecause:\n  lora.rank: 'as {many'\n", 4, "lora.rank"),
        ("title: x\nsummary: y\ntitle: [\n", 4, "line 4"),
        ("- a list\n", 1, "title"),
        ("", 1, "title"),
    ],
)
def test_an_error_in_a_file_is_named_by_its_line_and_blocks_no_other(
    text: str, line: int, said: str, tmp_path: Path
) -> None:
    broken = put(tmp_path, "style.yaml", text)
    put(tmp_path, "legal.yaml", OWN)

    known = intents.load(tmp_path)
    assert list(known.found) == [*BUNDLED, "legal"]
    assert (known.problems[0].path, known.problems[0].line) == (broken, line)
    assert said in known.problems[0].message
    assert (
        intents.load(tmp_path, "zh").problems[0].message != known.problems[0].message or "[" in text
    )


def test_a_file_that_is_no_text_or_has_a_taken_name_is_told_of(tmp_path: Path) -> None:
    put(tmp_path, "expert.yaml", OWN)
    put(tmp_path, "house style.yaml", OWN)
    put(tmp_path, "notes.yaml", "").write_bytes(b"\xff\xfe\x00title")

    known = intents.load(tmp_path)
    assert list(known.found) == BUNDLED
    assert [problem.path.name for problem in known.problems] == [
        "expert.yaml", "house style.yaml", "notes.yaml",
    ]  # fmt: skip


def test_the_command_line_lists_intents_and_names_errors_by_file_and_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = put(home, "legal.yaml", "title: x\nsummary: y\nrnak: [4, 8]\n")

    assert main(["intents", "list", "--home", str(home)]) == 0
    said = capsys.readouterr()
    assert all(name in said.out for name in [*BUNDLED, "expert"])
    assert f"{broken}:3: " in said.err
    assert main(["intents", "show", "legal", "--home", str(home)]) == 1
    assert "style, knowledge, instructions, expert" in capsys.readouterr().err


def test_the_command_line_proposes_an_intent_by_words_of_ones_own(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, "legal.yaml", OWN)

    assert main(["intents", "propose", "as", "a", "court", "would", "--home", str(home)]) == 0
    assert "legal (Legal), because of: court" in capsys.readouterr().out
    assert main(["intents", "propose", "make it better", "--home", str(home)]) == 1


def test_training_takes_what_an_intent_suggests_but_for_what_was_typed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--home", str(home), "train", "--intent", "style", "--data.datasets", "demo/style"]
    typed = arguments.parse([*words, "--lora.alpha", "7"], "en")

    config = chosen.config(typed, "en")
    assert (config.goal.intent, config.lora.rank, config.lora.alpha) == ("style", 8, 7)
    assert config.data.datasets == ("demo/style",)
    rows = len(demo.DATASETS["style"].train.read_text("utf-8").splitlines())
    assert f"You have {rows} rows" in " ".join(capsys.readouterr().err.split())
