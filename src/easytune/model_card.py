"""The model card of an export: what hubs show of a model, told from the files beside it. No torch.

Nothing in it gives away folders of this machine, nor the names of datasets unless that is wanted.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from easytune import forgetting, hubs, records

if TYPE_CHECKING:
    from easytune.export_files import ExportOrder, Parity, Source

# What of the training settings tells how the model came about.
_SETTINGS = (
    ("model.method", "Method"),
    ("lora.rank", "Rank"),
    ("lora.alpha", "Alpha"),
    ("lora.target_modules", "Layers"),
    ("optim.learning_rate", "Learning rate"),
    ("optim.optimizer", "Optimizer"),
    ("schedule.epochs", "Epochs"),
    ("schedule.batch_size", "Batch size"),
    ("schedule.gradient_accumulation", "Gradient accumulation"),
    ("data.max_length", "Longest row (tokens)"),
    ("schedule.seed", "Seed"),
)


def card(order: "ExportOrder", number_format: str, parity: "tuple[Parity, ...]") -> str:
    """Return the card as Markdown with the header that hubs read.

    Before the gate has spoken `number_format` and `parity` are empty, and the card says so.
    """
    options, first = order.config.hub, order.sources[0]
    header = yaml.safe_dump(_header(order), sort_keys=False, allow_unicode=True)
    name = options.repository.rpartition("/")[2] or first.title
    facts = [*_what(order, number_format), *_training(order)]
    parts = [
        f"---\n{header}---\n\n# {_plain(name)}\n",
        _table(facts),
        f"\n## Use it\n\n```python\n{_snippet(order)}\n```\n",
        _learned(first),
        _parity(parity),
        "\nMade with EasyTune.\n",
    ]
    return "\n".join(part for part in parts if part)


def base_id(source: "Source") -> str:
    """Return what the base model is called in public: its hub id, else the name of its folder."""
    return source.base if hubs.is_repository(source.base) else Path(source.base).name


def _header(order: "ExportOrder") -> dict[str, Any]:
    options, first = order.config.hub, order.sources[0]
    found: dict[str, Any] = {}
    if hubs.is_repository(first.base):
        found["base_model"] = first.base
        found["base_model_relation"] = "adapter" if options.content == "adapter" else "finetune"
    if license_name := options.license.strip() or _license(Path(first.base_folder)):
        found["license"] = license_name
    found["library_name"] = "peft" if options.content == "adapter" else "transformers"
    found["pipeline_tag"] = "text-generation"
    found["tags"] = ["easytune", *(["lora"] if options.content == "adapter" else [])]
    # Only names that somebody can look up; a hub refuses others.
    public = [name for name in _datasets(order) if hubs.is_repository(name)]
    return found | ({"datasets": public} if public else {})


def _license(base: Path) -> str:
    """Return the licence that the base model's own card names; "" where it names none."""
    try:
        text = (base / "README.md").read_text(encoding="utf-8")
        found = yaml.safe_load(text.split("---", 2)[1]) if text.startswith("---") else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, IndexError):
        return ""
    name = found.get("license") if isinstance(found, dict) else None
    return name if isinstance(name, str) else ""


def _what(order: "ExportOrder", number_format: str) -> Iterator[tuple[str, str]]:
    first, what = order.sources[0], order.config.what
    yield "Base model", f"`{_plain(base_id(first))}`"
    if len(order.sources) > 1:
        yield "Merged", f"{len(order.sources)} adapters, {what.merge}"
    if what.strength != 1:
        yield "Strength", f"{what.strength:g}"
    if number_format:
        yield "Number format", number_format
    yield "Made with", ", ".join(f"{name} {version}" for name, version in order.versions.items())


def _training(order: "ExportOrder") -> Iterator[tuple[str, str]]:
    config = _config(order.sources[0])
    for path, label in _SETTINGS:
        section, _, name = path.partition(".")
        value = (config.get(section) or {}).get(name)
        if value not in (None, "", []):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else f"{value}"
            yield label, _plain(shown)
    if names := _datasets(order):
        yield "Datasets", ", ".join(f"`{_plain(name)}`" for name in names)


def _datasets(order: "ExportOrder") -> list[str]:
    """Return the names of what was trained on, where they may be told; never their folders."""
    if not order.config.hub.name_datasets:
        return []
    data = _config(order.sources[0]).get("data") or {}
    names = [str(name) for name in data.get("datasets") or ()]
    return [name if hubs.is_repository(name) else Path(name).stem for name in names]


def _learned(source: "Source") -> str:
    """Return the losses and the forgetting that the run measured; "" where there was no run."""
    content = records.read(Path(source.folder) / "metrics.json") or {}
    metrics, lost = content.get("metrics") or {}, content.get("forgetting") or {}
    rows = [
        (label, f"{metrics[name]:.4f}")
        for name, label in (("loss", "Training loss"), ("held_out_loss", "Best held-out loss"))
        if isinstance(metrics.get(name), float | int)
    ]
    if isinstance(lost.get("score"), float | int):
        score = float(lost["score"])
        text = f"{score:.3f} nats per token, {forgetting.band(score)}"
        rows.append(("Forgetting", f"{text}; retention {100 * forgetting.retention(score):.1f}%"))
    return f"\n## What was measured\n\n{_table(rows)}\n" if rows else ""


def _parity(parity: "tuple[Parity, ...]") -> str:
    """Return how close the files are to the trained model."""
    if not parity:
        return "\n## Is it the model that was trained\n\n" + _NOT_YET
    rows = "\n".join(
        f"| {one.runtime} {one.version} | {one.prompts} | {100 * one.greedy_agreement:.1f}% "
        f"| {one.kl:.2g} | {one.largest_logit_difference:.3g} |"
        for one in parity
    )
    return _PARITY.format(rows=rows)


def _config(source: "Source") -> dict[str, Any]:
    """Return the settings of the run that trained it; {} where they are not known."""
    try:
        found = yaml.safe_load((Path(source.folder) / "easytune.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _snippet(order: "ExportOrder") -> str:
    options = order.config.hub
    repository = json.dumps(options.repository or "owner/name")
    if options.content == "merged":
        return _LOAD_MODEL.format(repository=repository)
    return _LOAD_ADAPTER.format(repository=repository, base=json.dumps(base_id(order.sources[0])))


def _table(rows: list[tuple[str, str]]) -> str:
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"| | |\n|---|---|\n{lines}"


def _plain(text: str) -> str:
    """Return text that stays within its cell and is no markup."""
    kept = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return kept.replace("<", "&lt;").replace(">", "&gt;")


_NOT_YET = "Measured before anything is sent.\n"
_PARITY = """
## Is it the model that was trained

These files were loaded again and compared with the trained model on fixed prompts.

| Loaded with | Prompts | Same answers | KL (nats per token) | Largest logit difference |
|---|---|---|---|---|
{rows}
"""
_LOAD_ADAPTER = """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, {repository})
tokenizer = AutoTokenizer.from_pretrained({repository})"""
_LOAD_MODEL = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained({repository})
tokenizer = AutoTokenizer.from_pretrained({repository})"""
