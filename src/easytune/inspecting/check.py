"""The whole check of a folder's files, from what lies there to a report."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

from easytune.inspecting import (
    adapter_keys,
    adapter_options,
    amounts,
    listing,
    pinned,
    settings_text,
    shards,
    templates,
    tokens,
)
from easytune.inspecting.findings import Findings
from easytune.inspecting.headers import Header
from easytune.inspecting.listing import Listed
from easytune.inspecting.pinned import Base
from easytune.inspection_files import CheckedFile, ComparedTemplate, StaticReport

_PIECE = 1 << 20
_EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings", "lm_head")


def check(
    folder: Path, base: Path | None, findings: Findings | None = None, own_code: bool = False
) -> StaticReport:
    """Return what the files in `folder` say, compared with the base that the user chose.

    `own_code` tells whether the user allows models that bring Python code. Nothing is loaded, run
    or followed. Raises FileMissing or ModelIncomplete for the base.
    """
    began = time.monotonic()
    findings = Findings() if findings is None else findings
    known = pinned.read(base) if base else None
    listed = listing.listed(folder, findings)
    work = _Check(listed, known, findings, own_code)
    work.run()
    kept = frozenset(listed.kept)
    left_out = tuple(name for name in listed.sizes if name not in kept)
    for name in left_out:
        if name not in listed.pickles:
            findings.add("left_out", "note", file=name)
    return StaticReport(
        kind=listed.kind,
        findings=findings.all(),
        files=tuple(_hashed(listed)) if not findings.has("critical") else _sized(listed),
        left_out=left_out,
        declared=work.declared,
        templates=work.templates,
        tensors=sum(len(one.tensors) for one in work.headers.values()),
        numbers=work.count(),
        pickles=listed.convertible(),
        seconds=time.monotonic() - began,
    )


class _Check:
    """One check; each step notes what it finds and leaves the rest to the others."""

    def __init__(
        self, listed: Listed, base: Base | None, findings: Findings, own_code: bool
    ) -> None:
        self.listed, self.base, self.findings, self.own_code = listed, base, findings, own_code
        self.headers: dict[str, Header] = {}
        self.templates: tuple[ComparedTemplate, ...] = ()
        self.declared: dict[str, object] = {}

    def run(self) -> None:
        """Do every step that what is there allows."""
        if not any(one.code in ("link", "special_file") for one in self.findings.all()):
            self._check_weights()
        resized = False
        match self.listed.kind:
            case "adapter":
                resized = self._check_adapter()
            case "model":
                self._check_model()
                resized = True
            case _:
                self.findings.add("nothing_known", "critical")
        tokens.check(self.listed, self.base, resized, self.findings)
        self.templates = templates.check(self.listed, self.base, self.findings)

    def count(self) -> int:
        """Return how many numbers the weights are."""
        total = 0
        for header in self.headers.values():
            for tensor in header.tensors.values():
                size = 1
                for length in tensor.shape:
                    size *= length
                total += size
        return total

    def _check_weights(self) -> None:
        if not self.listed.weights and not self.listed.convertible():
            self.findings.add("weights_missing", "critical")
        self.headers = shards.read(self.listed, self.findings)
        amounts.check(self.headers, self.findings)

    def _check_adapter(self) -> bool:
        """Check options and tensors; tell whether the adapter brings embeddings of its own."""
        name = adapter_options.FILE
        if not self.listed.has(name):
            self.findings.add("file_missing", "critical", file=name)
            return False
        content = settings_text.read(self.listed.root, name, self.findings)
        if not content:
            return False
        settings_text.note_code(content, name, self.findings)
        self.declared = adapter_options.declared(content)
        if self.base is None:
            self.findings.add("base_needed", "critical")
        elif not self.base.tensors:
            self.findings.add("base_untold", "medium")
        options = adapter_options.read(content, self.base, self.findings)
        header = self.headers.get(adapter_keys.FILE)
        if options is None or header is None or "pattern_unsafe" in self.findings.codes():
            return False
        adapter_keys.check(header, options, self.base, self.findings)
        own = {one.rpartition(".")[2] for one in options.whole}
        return bool(own & set(_EMBEDDINGS)) or bool(options.tokens)

    def _check_model(self) -> None:
        content = settings_text.read(self.listed.root, "config.json", self.findings)
        if content.get("auto_map") and self.own_code:
            self.findings.add("own_code_allowed", "high", file="config.json")
        else:
            settings_text.note_code(content, "config.json", self.findings)
        named = content.get("architectures")
        causal = isinstance(named, list) and any(
            "CausalLM" in str(one) or "LMHead" in str(one) for one in named
        )
        if content and not causal:
            self.findings.add("model_other", "critical", file="config.json", name=str(named))
        if content.get("quantization_config"):
            self.findings.add("model_quantized", "medium", file="config.json")


def _sized(listed: Listed) -> tuple[CheckedFile, ...]:
    return tuple(CheckedFile(path=name, bytes=listed.sizes[name]) for name in listed.kept)


def _hashed(listed: Listed) -> Iterator[CheckedFile]:
    for name in listed.kept:
        digest = hashlib.sha256()
        with (listed.root / name).open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        yield CheckedFile(path=name, bytes=listed.sizes[name], sha256=digest.hexdigest())
