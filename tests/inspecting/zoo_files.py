"""Hostile files: pickles under any name, links, archives, programs, broken headers.

Each entry: what to do to a sound adapter, and the code that has to be found. Every pickle would
write the canary if it were ever loaded.
"""

import io
import json
import os
import pickle
import pickletools
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.inspecting import sound
from tests.inspecting.sound import CONFIG, LAYER, WEIGHTS, with_header, with_text

CANARY = "EASYTUNE_CANARY"
"""Names the file that payloads would write."""
Change = Callable[[Path], None]
Zoo = dict[str, tuple[Change, str]]


class Payload:
    """Writes the canary when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Return what a pickle would run."""
        return os.system, (f"touch ${CANARY}",)


def pickled(protocol: int = 2) -> bytes:
    """Return a pickle that writes the canary."""
    return pickle.dumps({"weight": Payload()}, protocol)


def in_zip(name: str = "archive/data.pkl") -> bytes:
    """Return the pickle as torch packs it today."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, pickled())
        archive.writestr("archive/version", "3\n")
    return packed.getvalue()


def in_tar() -> bytes:
    """Return the pickle as the oldest torch packed it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            member = tarfile.TarInfo(name)
            member.size = len(pickled())
            archive.addfile(member, io.BytesIO(pickled()))
    return packed.getvalue()


def legacy() -> bytes:
    """Return the pickle behind the magic number of torch before 1.6."""
    return pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickled()


def _objects() -> bytes:
    packed = io.BytesIO()
    np.save(packed, np.array([Payload()], object), allow_pickle=True)
    return packed.getvalue()


def _only(name: str, content: bytes) -> Change:
    def apply(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / name).write_bytes(content)

    return apply


def _link(name: str, target: str) -> Change:
    def apply(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return apply


def _append(content: bytes) -> Change:
    def apply(folder: Path) -> None:
        with (folder / WEIGHTS).open("ab") as file:
            file.write(content)

    return apply


def _cut(folder: Path) -> None:
    raw = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(raw[:-100])


def _twice(folder: Path) -> None:
    raw = (folder / WEIGHTS).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    name = json.dumps(f"{LAYER}.lora_A.weight").encode()
    again = (
        b"{" + name + b':{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' + raw[9 : 8 + length]
    )
    sound.write(folder / WEIGHTS, again, raw[8 + length :])


def _facts(**changes: Any) -> Change:
    return with_header(lambda header: header[f"{LAYER}.lora_A.weight"].update(changes))


def _thousands(folder: Path) -> None:
    for number in range(2_100):
        (folder / f"{number}.txt").touch()


_BYTECODE = pickletools.optimize(pickled(4))

PICKLES: Zoo = {
    "weights pickled": (_only("adapter_model.bin", pickled()), "pickle_weights"),
    "weights in a zip": (_only("adapter_model.bin", in_zip()), "pickle_weights"),
    "weights in a tar": (_only("adapter_model.bin", in_tar()), "pickle_weights"),
    "weights of old torch": (_only("adapter_model.bin", legacy()), "pickle_weights"),
    "pt": (_only("adapter_model.pt", in_zip()), "pickle_file"),
    "pth": (with_text("model.pth", in_zip()), "pickle_file"),
    "ckpt": (with_text("last.ckpt", in_zip()), "pickle_file"),
    "pkl": (with_text("scaler.pkl", pickled()), "pickle_file"),
    "optimizer": (with_text("optimizer.pt", in_zip()), "pickle_file"),
    "training arguments": (with_text("training_args.bin", in_zip()), "pickle_file"),
    "generators": (with_text("rng_state.pth", pickled()), "pickle_file"),
    "joblib": (with_text("model.joblib", pickled(4)), "pickle_file"),
    "safetensors in name only": (with_text(WEIGHTS, pickled()), "pickle_file"),
    "zip named safetensors": (with_text(WEIGHTS, in_zip()), "pickle_file"),
    "tar named safetensors": (with_text(WEIGHTS, in_tar()), "pickle_file"),
    "legacy named safetensors": (with_text(WEIGHTS, legacy()), "pickle_file"),
    "pickle named json": (with_text("special_tokens_map.json", _BYTECODE), "pickle_file"),
    "pickle named readme": (with_text("README.md", pickled(5)), "pickle_file"),
    "text pickle": (with_text("notes.txt", b"cos\nsystem\n(S'touch x'\ntR."), "pickle_file"),
    "array of objects": (with_text("extra.npy", _objects()), "pickle_file"),
    "pickle in a subfolder": (with_text("deep/er/w.dat", pickled(3)), "pickle_file"),
    "capital letters": (with_text("MODEL.BIN", in_zip()), "pickle_file"),
    "zip at the end": (_append(in_zip()), "two_kinds"),
}
FILES: Zoo = {
    "link out": (_link("README.md", "/etc/passwd"), "link"),
    "link to weights": (_link(WEIGHTS, "/dev/zero"), "link"),
    "link to a folder": (_link("assets", "/etc"), "link"),
    "dead link": (_link("merges.txt", "nowhere"), "link"),
    "pipe": (lambda folder: os.mkfifo(folder / "vocab.json"), "special_file"),
    "shared library": (with_text("libfast.so", b"\x7fELF" + bytes(64)), "program"),
    "program named json": (with_text("merges.txt", b"\x7fELF" + bytes(64)), "program"),
    "windows program": (with_text("setup.exe", b"MZ" + bytes(64)), "program"),
    "script": (with_text("install", "#!/bin/sh\ntouch $EASYTUNE_CANARY\n"), "program"),
    "python": (with_text("modeling_llama.py", "import os"), "program"),
    "archive inside": (with_text("more.tar.gz", b"\x1f\x8b\x08" + bytes(64)), "archive_inside"),
    "zip inside": (with_text("more.dat", b"PK\x03\x04" + bytes(64)), "archive_inside"),
    "keras": (with_text("model.h5", b"\x89HDF\r\n\x1a\n"), "code_in_weights"),
    "name turned round": (with_text("README\u202ecod.md", "x"), "name_strange"),
    "name with a line": (with_text("a\nb.txt", "x"), "name_strange"),
    "backslash": (with_text("a\\b.txt", "x"), "name_strange"),
    "names alike": (with_text("Adapter_Model.safetensors", "x"), "names_alike"),
    "too many folders": (with_text("/".join("abcdefghijk") + "/x", "x"), "folders_deep"),
    "thousands of files": (_thousands, "files_many"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "weights_missing"),
    "no options": (lambda folder: (folder / CONFIG).unlink(), "file_missing"),
}
HEADERS: Zoo = {
    "length beyond the file": (with_text(WEIGHTS, b"\0" * 7 + b"\x80{}"), "header_length"),
    "length of a gigabyte": (with_text(WEIGHTS, struct.pack("<Q", 2**30) + b"{}"), "header_length"),
    "no header": (with_text(WEIGHTS, b"\x00" * 7), "header_length"),
    "no json": (lambda f: sound.write(f / WEIGHTS, b"{'a': 1}", b""), "header_json"),
    "a list": (lambda f: sound.write(f / WEIGHTS, b"[1, 2, 3]", b""), "header_json"),
    "not text": (lambda f: sound.write(f / WEIGHTS, b'{"\xff\xfe":1}', b""), "header_json"),
    "too deep": (lambda f: sound.write(f / WEIGHTS, b'{"a":' * 9000 + b"1" + b"}" * 9000, b""),
                 "header_json"),
    "a key twice": (_twice, "header_json"),
    "not a number": (lambda f: sound.write(f / WEIGHTS, b'{"a": NaN}', b""), "header_json"),
    "metadata no text": (with_header(lambda h: h.update(__metadata__={"a": 1})), "header_metadata"),
    "metadata large": (with_header(lambda h: h.update(__metadata__={"a": "b" * 99_999})),
                       "header_metadata_large"),
    "overlap": (with_header(
        lambda h: h[f"{LAYER}.lora_B.weight"].update(data_offsets=[0, 4096])), "header_overlap"),
    "gap": (lambda f: sound.write(f / WEIGHTS, {"a": {"dtype": "U8", "shape": [2],
            "data_offsets": [2, 4]}}, b"abcd"), "header_gap"),
    "rest": (_append(b"more"), "header_rest"),
    "cut off": (_cut, "header_short"),
    "shape too large": (_facts(shape=[2**40, 2**40]), "header_tensor"),
    "negative shape": (_facts(shape=[-4, -256]), "header_tensor"),
    "true as a length": (_facts(shape=[True, 1024]), "header_tensor"),
    "unknown type": (_facts(dtype="F128"), "header_tensor"),
    "type of another size": (_facts(dtype="F16"), "header_tensor"),
    "backwards": (_facts(data_offsets=[4096, 0]), "header_tensor"),
    "more facts": (_facts(loader="os.system"), "header_tensor"),
    "strange name": (with_header(lambda h: h.update({"a\u202eb": h.pop(f"{LAYER}.lora_A.weight")})),
                     "header_tensor"),
}  # fmt: skip
