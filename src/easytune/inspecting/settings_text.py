"""JSON files of strangers, read strictly."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from easytune import strict_json
from easytune.inspecting.findings import Findings

_LARGEST = 4 * 2**20
_LARGEST_TOKENIZER = 64 * 2**20
_LARGEST_NUMBER, _LARGEST_FLOAT = 2**53, 1e38
_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines", "custom_generate")
_KERNEL_KEYS = ("attn_implementation", "experts_implementation", "kernel_config")


def read(root: Path, name: str, findings: Findings) -> dict[str, Any]:
    """Return the object in a file; empty, with the reason noted, for anything else."""
    path = root / name
    size = path.stat().st_size
    is_vocabulary = name.endswith(("tokenizer.json", "vocab.json", ".index.json"))
    if size > (_LARGEST_TOKENIZER if is_vocabulary else _LARGEST):
        findings.add("json_large", "critical", file=name, bytes=size)
        return {}
    try:
        content = strict_json.read(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        findings.add("json_invalid", "critical", file=name, reason="UTF-8")
        return {}
    except strict_json.JsonRefused as refused:
        reason = f"{refused.code} {refused.what}".strip()
        findings.add("json_invalid", "critical", file=name, reason=reason)
        return {}
    if not isinstance(content, dict):
        findings.add("json_invalid", "critical", file=name, reason="{}")
        return {}
    if (huge := next(_huge(content), None)) is not None:
        findings.add("number_huge", "critical", file=name, number=str(huge)[:40])
        return {}
    return content


def note_code(content: dict[str, Any], name: str, findings: Findings) -> None:
    """Note every key, however deep, by which code of the author would be run."""
    for key, value in _keys(content):
        if key in _CODE_KEYS and value:
            findings.add("remote_code", "critical", file=name, key=key, value=str(value))
        elif key.strip("_").startswith(_KERNEL_KEYS) and "/" in str(value):
            # A kernel by the name of a repository is Python code that transformers fetches.
            findings.add("remote_code", "critical", file=name, key=key, value=str(value))


def _keys(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield key, value
            yield from _keys(value)
    elif isinstance(content, list):
        for one in content:
            yield from _keys(one)


def _huge(content: Any) -> Iterator[float]:
    if isinstance(content, dict | list):
        for one in content.values() if isinstance(content, dict) else content:
            yield from _huge(one)
    elif isinstance(content, int | float) and not isinstance(content, bool) and _is_huge(content):
        yield content


def _is_huge(number: float) -> bool:
    # Tokenizers call "no limit" 1e30, which nobody computes with.
    if isinstance(number, int):
        return abs(number) > _LARGEST_NUMBER and number != int(1e30)
    return abs(number) > _LARGEST_FLOAT
