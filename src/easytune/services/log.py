"""The end of a job's log, fit to show and to paste."""

import re
from pathlib import Path

_REACH = 64 * 1024
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SECRETS = (
    (re.compile(r"\b(hf_|ghp_|gho_|github_pat_|sk-)[\w-]{8,}"), r"\1***"),
    (re.compile(r"(?i)(\b[\w.-]*(?:token|secret|password|passwd|api_?key)['\"]?\s*[=:]\s*['\"]?)"
                r"[^\s,;&'\"]+"), r"\1***"),
    (re.compile(r"(?i)(authorization\W{1,4}(?:bearer|basic)\s+)\S+"), r"\1***"),
    (re.compile(r"(\w+://)[^/\s:@]+:[^/\s@]+@"), r"\1***@"),
)  # fmt: skip


def tail(path: Path, lines: int = 50) -> list[str]:
    """Return the last lines, progress bars as they stood last, without colours. Empty: no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _REACH))
            block = file.read()
    except OSError:
        return []
    text = _TERMINAL_CODES.sub("", block.decode("utf-8", errors="replace"))
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    while shown and not shown[-1].strip():
        shown.pop()
    return shown[-lines:] if lines > 0 else []


def without_secrets(text: str) -> str:
    """Return `text` with tokens, passwords and the name of the user's home folder left out."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text
