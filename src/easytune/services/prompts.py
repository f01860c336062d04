"""Lists of prompts for a batch: typed, from a file, or rows of a dataset with their answers."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easytune.config import DataSection
from easytune.data import conversation, dataset, files, formats, sources
from easytune.data.decoding import decode
from easytune.data.formats import Layout
from easytune.data.rows import Message, Problem, RowInvalid
from easytune.errors import FileEmpty, FileMissing, FileUnreadable, FormatUnknown, StageMismatch
from easytune.inference_errors import ImportUnreadable, PromptEmpty
from easytune.wire import Turn

MAX_BYTES = 64 * 1024 * 1024
_TURN_FIELDS = ("messages", "conversations", "conversation")
_QUESTIONS = ("prompt", "question", "query", "instruction", "input", "text")
_REFERENCES = (
    "reference", "completion", "response", "answer", "output", "target", "expected",
)  # fmt: skip


@dataclass(frozen=True)
class Prompt:
    """What to ask, ending with a question, and the answer to compare with where one is known."""

    messages: tuple[Turn, ...]
    reference: str = ""


def read_text(text: str) -> list[Prompt]:
    """Return one prompt per line; where blank lines stand between, one per block of lines.

    Raises PromptEmpty.
    """
    plain = text.replace("\r\n", "\n").strip()
    blocks = re.split(r"\n[^\S\n]*\n\s*", plain)
    pieces = blocks if len(blocks) > 1 else plain.split("\n")
    found = [_asked(piece.strip()) for piece in pieces if piece.strip()]
    if not found:
        raise PromptEmpty
    return found


def read_file(path: Path) -> list[Prompt]:
    """Return the prompts of a file: all, or none.

    A .txt or .md file is read as typed text is. Rows of .jsonl, .json, .csv, .tsv and .parquet have
    a conversation, or a prompt and maybe a reference, under one of the usual names; JSON may also
    list plain texts. Raises ImportUnreadable with the row and the reason, FileMissing.
    """
    if not path.is_file():
        raise FileMissing(path=str(path))
    if path.stat().st_size > MAX_BYTES:
        raise ImportUnreadable(path.name, "@stored.import.too_large")
    try:
        if path.suffix.lower() in (".txt", ".md"):
            return read_text(decode(path.read_bytes(), path.name).lstrip("\ufeff"))
        return _rows(path)
    except FileUnreadable as error:
        raise ImportUnreadable(path.name, error.reason) from error
    except (FileEmpty, PromptEmpty) as error:
        raise ImportUnreadable(path.name, "@stored.import.no_prompts") from error


def read_dataset(name: str, limit: int, home: Path | None = None) -> list[Prompt]:
    """Return at most `limit` rows of a dataset, the last answer of each as its reference.

    The rows are those kept back from training where the dataset has such, else its first ones.
    `name` is what `data.datasets` takes: "demo/style", a file, a folder, a version of a dataset
    of `home` (by default that of the user). Raises ImportUnreadable for plain text and unknown
    columns, and what else `easytune.data.dataset.load` raises.
    """
    if not name.strip():
        raise FileMissing(path=name)
    found, _ = sources.resolve(name, home)
    kept_back = any(source.keeps_rows_back for source in found)
    # The share is not used where a dataset keeps back rows of its own.
    options = DataSection(datasets=(name,), held_out_share=0.1 if kept_back else 0)
    try:
        loaded = dataset.load(options, home=home)
    except StageMismatch as error:
        raise ImportUnreadable(name, "@stored.import.plain_text") from error
    except FormatUnknown as error:
        reason = f"@stored.import.no_prompt ({error.columns})"
        raise ImportUnreadable(name, reason) from error
    rows = loaded.held_out if kept_back else loaded.train
    asked = (_split(row.messages) for row in rows if row.messages)
    return list(itertools.islice(asked, max(0, limit)))


def _asked(question: str, system: str = "", reference: str = "") -> Prompt:
    said = [Message("system", system)] if system.strip() else []
    return Prompt(_turns([*said, Message("user", question)]), reference)


def _turns(messages: Iterable[Message]) -> tuple[Turn, ...]:
    return tuple(Turn(role=message.role, content=message.content) for message in messages)


def _split(messages: tuple[Message, ...]) -> Prompt:
    """Return a conversation as what comes before its last answer, and that answer."""
    if messages and messages[-1].role == "assistant":
        return Prompt(_turns(messages[:-1]), messages[-1].content)
    return Prompt(_turns(messages))


def _rows(path: Path) -> list[Prompt]:
    table = files.read(path, path.name)
    unit = "@data.line" if path.suffix.lower() in (".jsonl", ".ndjson") else "@data.row"
    problems, found = list(table.problems), []
    for number, value in table.rows:
        try:
            found.append(_prompt(value))
        except RowInvalid as invalid:
            problems.append(invalid.at(number, path.name))
    if problems:
        first = min(problems, key=lambda problem: problem.number)
        raise ImportUnreadable(path.name, _reason(first, unit))
    return found


def _reason(problem: Problem, unit: str) -> str:
    field = problem.values.get("field")
    section = "stored.import" if problem.code == "no_prompt" else "data.reason"
    what = f" ({field})" if field else ""
    return f"{unit} {problem.number}: @{section}.{problem.code}{what}"


def _prompt(value: Any) -> Prompt:
    if isinstance(value, str) and value.strip():
        return _asked(conversation.text_of({"prompt": value}, "prompt"))
    if not isinstance(value, dict):
        raise RowInvalid("not_row")
    name = next((name for name in _TURN_FIELDS if name in value), None)
    if name:
        return _of_turns(value, name)
    return _of_known_format(value) or _of_fields(value)


def _of_turns(row: Mapping[str, Any], name: str) -> Prompt:
    messages, _ = conversation.read_turns(conversation.listed(row, name), name, conversation.Tags())
    system = conversation.text_of(row, "system", optional=True)
    said = [Message("system", system), *messages] if system.strip() else messages
    prompt = _split(tuple(said))
    if not any(turn.role == "user" for turn in prompt.messages):
        raise RowInvalid("no_question", field=name)
    reference = _first(row, _REFERENCES)
    return Prompt(prompt.messages, reference) if reference else prompt


def _of_known_format(row: Mapping[str, Any]) -> Prompt | None:
    """Return a row of a training dataset as a prompt; None where it is not a whole one."""
    name = formats.recognise([row])
    if name is None or name == "text":
        return None
    match formats.convert(row, 0, "", Layout(name)):
        case (found, _) if found.messages:
            return _split(found.messages)
        case _:
            return None


def _of_fields(row: Mapping[str, Any]) -> Prompt:
    name = next((name for name in _QUESTIONS if row.get(name) not in (None, "")), None)
    if name is None:
        raise RowInvalid("no_prompt", field=", ".join(row))
    question = conversation.text_of(row, name)
    if name == "instruction" and isinstance(row.get("input"), str) and row["input"].strip():
        question = f"{question}\n{row['input']}"
    system = conversation.text_of(row, "system", optional=True)
    return _asked(question, system, _first(row, _REFERENCES))


def _first(row: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return the first of these texts that a row has; empty when it has none."""
    name = next((name for name in names if row.get(name) not in (None, "")), None)
    return conversation.text_of(row, name, optional=True) if name else ""
