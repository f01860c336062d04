"""LLaMA-Factory's `dataset_info.json`: which files, which columns, which words for roles."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from easytune.data.conversation import ROLES, Tags
from easytune.data.decoding import decode, unreadable
from easytune.data.formats import Layout
from easytune.data.rows import Role
from easytune.errors import DatasetEntryUnusable, FileMissing

FILE_NAME = "dataset_info.json"
_ALPACA = {"prompt": "instruction", "query": "input", "response": "output"}
_COLUMNS = {
    "prompt", "query", "response", "history", "system", "messages", "chosen", "rejected", "kto_tag",
}  # fmt: skip
_REMOTE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_ROLE_TAGS: dict[str, Role] = {
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "assistant",
    "system_tag": "system",
}
_WHOLE = {"file_name", "formatting", "columns", "tags"}


@dataclass(frozen=True)
class Entry:
    """One dataset of the list: its file or folder, its layout, and what was made of its keys."""

    name: str
    path: Path
    layout: Layout
    mapped: tuple[str, ...]
    unmapped: tuple[str, ...]


def names(path: Path) -> list[str]:
    """Return the datasets a list has. Raises FileMissing, FileUnreadable."""
    return list(_read(path))


def entry(path: Path, name: str) -> Entry:
    """Return one dataset of a list.

    Raises FileMissing when the list has no such name, DatasetEntryUnusable when it is one that
    cannot be trained on here, such as one on a hub.
    """
    described = _read(path).get(name)
    if not isinstance(described, dict):
        raise FileMissing(path=f"{path}#{name}")
    found = describe(name, described)
    return replace(found, path=path.parent / found.path)


def parse(raw: bytes, path: str) -> dict[str, Any]:
    """Return the datasets of a list, each as it is described there. Raises FileUnreadable."""
    try:
        content = json.loads(decode(raw, path))
    except json.JSONDecodeError as problem:
        raise unreadable(path, "bad_json", problem.lineno) from problem
    except (ValueError, RecursionError) as problem:
        raise unreadable(path, "bad_json") from problem
    if not isinstance(content, dict):
        raise unreadable(path, "no_rows")
    return content


def describe(name: str, described: Any) -> Entry:
    """Return one dataset; its path is as the list says. Raises DatasetEntryUnusable."""
    if not isinstance(described, dict) or not isinstance(described.get("file_name"), str):
        remote = isinstance(described, dict) and any(key in described for key in _REMOTE)
        reason = "@data.entry.remote" if remote else "@data.entry.no_file"
        raise DatasetEntryUnusable(name=name, reason=reason)
    layout = _layout(described)
    if layout is None:
        raise DatasetEntryUnusable(name=name, reason="@data.entry.formatting")
    mapped, unmapped = _mapping(described)
    return Entry(name, Path(described["file_name"]), layout, mapped, unmapped)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileMissing(path=str(path))
    return parse(path.read_bytes(), str(path))


def _texts(described: dict[str, Any], section: str) -> dict[str, str]:
    content = described.get(section)
    pairs = content.items() if isinstance(content, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _layout(described: dict[str, Any]) -> Layout | None:
    columns = {n: c for n, c in _texts(described, "columns").items() if n in _COLUMNS}
    ranked = bool(described.get("ranking"))
    match described.get("formatting", "alpaca"):
        case "alpaca":
            own = {_ALPACA.get(name, name): column for name, column in columns.items()}
            return _pairs(own, ranked=ranked)
        case "sharegpt" | "openai":
            own = {"messages": columns.get("messages", "conversations")}
            own |= {n: columns[n] for n in ("system", "chosen", "rejected") if n in columns}
            own |= {"label": columns["kto_tag"]} if "kto_tag" in columns else {}
            form = "preference" if ranked else "kto" if "label" in own else "messages"
            return Layout(form, own, _tags(_texts(described, "tags")))
        case _:
            return None


def _pairs(own: dict[str, str], *, ranked: bool) -> Layout:
    """Return the layout of rows with a column for the question and one for the answer."""
    if ranked:
        return Layout("preference", own)
    if list(own) == ["instruction"]:
        # So LLaMA-Factory's lists name the column of plain texts to pre-train on.
        return Layout("text", {"text": own["instruction"]})
    if "kto_tag" in own:
        return Layout("kto", {"label" if n == "kto_tag" else n: c for n, c in own.items()})
    defaults = {name: name for name in ("instruction", "input", "output")}
    # Columns that are named there are all there are: an unnamed one is not used.
    return Layout("alpaca", dict.fromkeys(defaults, "") | own if own else defaults)


def _tags(tags: dict[str, str]) -> Tags:
    usual = Tags()
    roles: dict[str, Role] = dict(ROLES)
    roles.update({tags[name]: role for name, role in _ROLE_TAGS.items() if name in tags})
    role, content = tags.get("role_tag"), tags.get("content_tag")
    return Tags(
        role=(role, *usual.role) if role else usual.role,
        content=(content, *usual.content) if content else usual.content,
        roles=roles,
    )


def _mapping(described: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the dotted keys that took effect, and those that did not."""
    known = _COLUMNS | set(_ROLE_TAGS) | {"role_tag", "content_tag"}
    keys = [key for key in described if key not in ("columns", "tags")]
    inner = [f"{part}.{key}" for part in ("columns", "tags") for key in described.get(part) or {}]
    mapped = [key for key in keys if key in _WHOLE]
    mapped += [key for key in inner if key.partition(".")[2] in known]
    return tuple(mapped), tuple(key for key in [*keys, *inner] if key not in mapped)
