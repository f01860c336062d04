"""`easytune models` as a user types it."""

import json
from pathlib import Path
from typing import Any

import pytest

from easytune.cli import arguments, main
from easytune.cli.models_arguments import ACTIONS
from tests.inspecting import sound
from tests.services.registry_home import checkpoint, export, run


class Models:
    """`easytune models` on the test's home."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._home, self._capsys = home, capsys

    def run(self, *words: str, lang: str = "en") -> tuple[int, str]:
        """Run a command in this process; return its status and all that it printed."""
        self._capsys.readouterr()
        status = main(["--home", str(self._home), "--lang", lang, "models", *words])
        said = self._capsys.readouterr()
        return status, said.out + said.err

    def read(self, *words: str) -> Any:
        """Run a command with --json and return what it prints."""
        status, said = self.run(*words, "--json")
        assert status == 0, said
        return json.loads(said)


@pytest.fixture
def models(home: Path, capsys: pytest.CaptureFixture[str]) -> Models:
    return Models(home, capsys)


def test_the_list_filters_and_speaks_json_and_chinese(home: Path, models: Models) -> None:
    assert "No versions yet" in models.run("list")[1]
    export(home, run(home), "tone")
    run(home, number=2)

    assert [one["version"] for one in models.read("list", "--sort", "loss")] == [
        "house-style:v2", "house-style:v1", "tone:v1",
    ]  # fmt: skip
    assert [one["version"] for one in models.read("list", "--kind", "export")] == ["tone:v1"]
    assert "Clear the search" in models.run("list", "--search", "nothing")[1]
    assert "留出损失" in models.run("list", lang="zh")[1]


def test_a_version_is_shown_with_figures_files_trace_and_history(
    home: Path, models: Models
) -> None:
    made = run(home)
    checkpoint(made)
    export(home, made, "tone")

    status, said = models.run("show", "house-style:v1")

    assert status == 0
    for wanted in ("Forgetting: 0.010", "adapter_model.safetensors", "Export tone", "demo/style"):
        assert wanted in said
    shown = models.read("show", "tone:v1")
    assert [link["kind"] for link in shown["trace"]] == ["export", "run", "file", "base"]
    assert all(len(file["sha256"]) == 64 for file in shown["files"])


def test_versions_are_labelled_compared_and_made_current(home: Path, models: Models) -> None:
    checkpoint(run(home))
    run(home, number=2, optim__learning_rate=5e-5)

    assert "approved" in models.run("stage", "house-style:v1", "approved")[1].lower()
    assert models.read("tag", "house-style:v1", "best", "old")["tags"] == ["best", "old"]
    assert models.read("tag", "house-style:v1", "--remove", "old")["tags"] == ["best"]
    assert models.read("note", "house-style:v1", "For Ann")["notes"] == "For Ann"
    for version in ("house-style:v1", "house-style:v2"):
        assert models.read("current", version)["is_current"]
    assert models.read("rollback", "house-style")["version"] == "house-style:v1"
    compared = models.read("compare", "house-style", "house-style:v2")
    assert "optim.learning_rate" in [line["name"] for line in compared["lines"]]
    assert "Learning rate" in models.run("compare", "house-style", "house-style:v2")[1]
    made = models.read("list", "--sort", "created", "--reverse")[0]["run"]
    assert models.read("keep", made, "2", "--name", "early")["version"] == "early:v1"
    assert models.read("rename", "early:v1", "first")["version"] == "first:v1"


def test_deleting_tells_first_and_the_trash_gives_back(home: Path, models: Models) -> None:
    made = run(home)
    export(home, made, "tone")

    status, said = models.run("delete", "house-style:v1")
    assert (status, made.path.is_dir()) == (2, True)
    assert "Export tone" in said
    item = json.loads(models.run("delete", "house-style:v1", "--yes", "--json")[1])["item"]
    assert not made.path.exists()
    assert [one["id"] for one in models.read("trash")] == [item]
    assert models.run("trash", "empty")[0] == 2
    assert models.run("trash", "restore", item)[0] == 0
    assert models.run("verify", "house-style:v1")[0] == 0
    (made.adapter / "metrics.json").write_text("{}")
    assert models.run("verify", "house-style:v1")[0] == 1
    models.run("delete", "tone:v1")
    assert models.run("trash", "empty", "--yes")[0] == 0
    assert models.read("trash") == []
    assert "has no tone:v1" in models.run("show", "tone:v1")[1]


def test_an_import_with_warnings_ends_with_four_until_they_are_accepted(
    home: Path, models: Models, tmp_path: Path
) -> None:
    adapter = sound.make(tmp_path / "guest")
    sound.with_config(eva_config={"rho": 2.0})(adapter)

    status, said = models.run("import", str(adapter), "--base", "demo", "--name", "Guest")

    assert status == 4, said
    assert "eva_config" in said
    assert "--accept-warnings" in said
    assert list((home / "imports").iterdir()) == []
    (adapter / sound.WEIGHTS).unlink()
    status, said = models.run("import", str(adapter), "--base", "demo", "--accept-warnings")
    assert (status, "no weights" in said) == (1, True)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_action_explains_itself_in_both_languages(
    action: str, lang: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parse(["--lang", lang, "models", action, "--help"], lang)

    assert ended.value.code == 0
    assert "models.cli" not in capsys.readouterr().out
