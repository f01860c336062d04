"""What kind of file a pasted text would be."""

import csv
import json

_LOOKED_AT = 20
_LONGEST_LINE = 100_000


def ending_of(text: str) -> str:
    """Return the ending a pasted text should be saved under: .json, .jsonl, .csv, .tsv or .txt."""
    content = text.strip()
    lines = [line for line in content.split("\n", 1_000) if line.strip()]
    if content.startswith(("{", "[")):
        lined = len(lines) > 1 and content.startswith("{") and _is_json(lines[0])
        return ".jsonl" if lined else ".json"
    if lines and content.startswith('"') and all(_is_json(line) for line in lines[:_LOOKED_AT]):
        return ".jsonl"
    for ending, delimiter in ((".tsv", "\t"), (".csv", ","), (".csv", ";")):
        if _is_table(lines, delimiter):
            return ending
    return ".txt"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_table(lines: list[str], delimiter: str) -> bool:
    """Tell whether a header of short names stands above records with as many cells."""
    if len(lines) < 2 or delimiter not in lines[0] or len(lines[0]) > _LONGEST_LINE:
        return False
    try:
        records = list(csv.reader(lines[:_LOOKED_AT], delimiter=delimiter))
    except csv.Error:
        return False
    names = [name.strip() for name in records[0]]
    is_header = len(set(names)) == len(names) and all(0 < len(name) <= 40 for name in names)
    fitting = sum(len(cells) == len(names) for cells in records[1:])
    return is_header and fitting * 2 >= len(records) - 1
