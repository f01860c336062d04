"""The house rules that a machine can check."""

import ast
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))
FILES = [
    *SOURCES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
]
TOOLS = Path(sys.executable).parent


def _passes(*command: str) -> None:
    program = shutil.which(command[0], path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
    assert program, f"{command[0]} is not installed: pip install -e '.[test]'"
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    _passes("ruff", "check", "--no-cache", ".")


def test_the_code_is_formatted() -> None:
    _passes("ruff", "format", "--no-cache", "--check", ".")


def test_the_types_hold() -> None:
    _passes("pyright", "--pythonpath", sys.executable)


def test_imports_point_down_only() -> None:
    _passes("lint-imports", "--no-cache")


NAMES = ("torch", "transformers", "peft", "gradio", "pandas.core")
HEAVY = f"[name for name in {NAMES} if name in sys.modules]"


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import easytune.webui.launch, easytune.webui.app", ["gradio"]),
        ("import easytune.services.runs, easytune.services.dispatch", []),
        ("import easytune.data.preview, easytune.data.encoding", []),
        ("import easytune.cli\ntry: easytune.cli.main(['--help'])\nexcept SystemExit: pass", []),
        ("import easytune.cli.train, easytune.cli.runs, easytune.doctor", []),
    ],
    ids=["web", "services", "data", "help", "command line"],
)
def test_heavy_packages_stay_unloaded(code: str, loaded: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint({HEAVY})"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == repr(loaded)


def _function_lengths(files: list[Path]) -> dict[str, int]:
    return {
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }


def test_functions_are_short() -> None:
    lengths = _function_lengths(SOURCES)

    assert {name: lines for name, lines in lengths.items() if lines > 80} == {}
    assert statistics.median(lengths.values()) <= 12


def test_files_are_short() -> None:
    lengths = {str(f.relative_to(ROOT)): len(f.read_text("utf-8").splitlines()) for f in FILES}

    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_files_are_named_after_what_is_in_them() -> None:
    vague = {"utils", "util", "common", "manager", "helpers", "helper", "misc", "base", "core"}

    assert [str(file) for file in FILES if file.stem.strip("_") in vague] == []


def test_public_functions_and_classes_say_what_they_are_for() -> None:
    silent = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in SOURCES
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if not ast.get_docstring(node)
    ]

    assert silent == []


def test_every_test_is_a_sentence() -> None:
    names = [name.split()[-1] for name in _function_lengths(FILES)]

    assert [n for n in names if n.startswith("test_") and len(n.split("_")) < 4] == []


def test_no_test_is_skipped_without_a_condition() -> None:
    forbidden = re.compile(r"mark\.(skip|xfail)\b(?!if)")
    own = Path(__file__)

    assert [str(f) for f in FILES if f != own and forbidden.search(f.read_text("utf-8"))] == []


def test_the_readme_gives_both_commands_and_names_only_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text.partition("webui.py  ")[2].partition("```")[0]
    named = {word for word in tree.split() if re.fullmatch(r"\w+(\.py|/)", word)}

    assert "pip install -e . && python webui.py" in text
    assert 'pip install -e ".[test]" && pytest' in text
    inside = ROOT / "src" / "easytune"
    assert [name for name in named if not any((f / name).exists() for f in (ROOT, inside))] == []
    modules = {file.name for file in inside.glob("[a-z]*.py")}
    assert modules - named == set()


def test_machine_specific_words_stay_out_of_files() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    texts = [
        ROOT / name for name in listed if Path(name).suffix in {".py", ".md", ".yaml", ".toml"}
    ]

    own = Path(__file__)
    assert [str(f) for f in texts if f != own and "/work/" in f.read_text("utf-8")] == []
