"""The index of a model in several files: every tensor where the index says, and nothing outside."""

from pathlib import PurePosixPath

from easytune.inspecting import headers, settings_text
from easytune.inspecting.findings import Findings
from easytune.inspecting.headers import Header
from easytune.inspecting.listing import Listed

INDEX = "model.safetensors.index.json"


def read(listed: Listed, findings: Findings) -> dict[str, Header]:
    """Return the sound headers of all weight files, by file, noting where the index differs."""
    found: dict[str, Header] = {}
    for name in listed.weights:
        header = headers.read(listed.root / name, name, findings)
        if header is not None:
            found[name] = header
    if listed.kind == "model" and listed.has(INDEX):
        _compare(listed, found, findings)
    elif len(found) > 1:
        findings.add("index_missing", "high", file=INDEX)
    _note_twins(found, findings)
    return found


def _compare(listed: Listed, found: dict[str, Header], findings: Findings) -> None:
    places = settings_text.read(listed.root, INDEX, findings).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(one, str) for one in places.values()):
        findings.add("index_invalid", "critical", file=INDEX)
        return
    for tensor, name in places.items():
        path = PurePosixPath(name.replace("\\", "/"))
        if len(path.parts) != 1 or path.is_absolute() or ":" in name:
            findings.add("index_outside", "critical", file=INDEX, name=name)
        elif not listed.has(name):
            findings.add("index_absent", "critical", file=INDEX, name=name)
        elif name in found and tensor not in found[name].tensors:
            findings.add("index_differs", "critical", file=INDEX, tensor=tensor, name=name)
    for name, header in found.items():
        strange = [tensor for tensor in header.tensors if places.get(tensor) != name]
        if strange:
            findings.add("index_differs", "critical", file=INDEX, tensor=strange[0], name=name)


def _note_twins(found: dict[str, Header], findings: Findings) -> None:
    seen: dict[str, str] = {}
    for name, header in found.items():
        for tensor in header.tensors:
            if tensor in seen:
                findings.add("tensor_twice", "critical", file=name, tensor=tensor)
            seen[tensor] = name
