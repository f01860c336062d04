"""The run card beside an adapter: what was trained, on what, how long, and how to run it again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from easytune import config_file, forgetting
from easytune.data.gathering import UsedVersion
from easytune.data.stored import Reference
from easytune.events import CategoryForgetting, Forgetting
from easytune.job import Job, run_name

_LINE, _HELD_OUT = "#4f46e5", "#ea580c"
_FORGOT = "#0f766e"


@dataclass(frozen=True)
class Facts:
    """Everything that a run card tells."""

    job: Job
    base: str
    device: str
    precision: str
    rows: int
    held_out_rows: int
    fingerprint: str
    versions: tuple[UsedVersion, ...]
    step: int
    kept: int
    """The step whose weights these are: an earlier one where the run went back to it."""
    total_steps: int
    ended: str
    metrics: dict[str, float]
    history: list[dict[str, Any]]
    """transformers' log history: entries with step and `loss`, `eval_loss` or `forgetting`."""
    forgetting: Forgetting | None = None
    """What the weights that the run ends with have forgotten; None when that was not measured."""


def write(folder: Path, facts: Facts) -> None:
    """Write README.md, loss.png, easytune.yaml and metrics.json into an adapter's folder."""
    text = config_file.dump(facts.job.config)
    (folder / "easytune.yaml").write_text(text, encoding="utf-8")
    versions = [asdict(used) for used in facts.versions]
    content = {
        "step": facts.step,
        "kept_step": facts.kept,
        "metrics": facts.metrics,
        "dataset_versions": versions,
        "history": facts.history,
        "forgetting": facts.forgetting and facts.forgetting.model_dump(mode="json"),
    }
    (folder / "metrics.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    draw(folder / "loss.png", facts.history)
    (folder / "README.md").write_text(card(facts, text), encoding="utf-8")


def card(facts: Facts, config_text: str) -> str:
    """Return the run card as Markdown with a model-card header."""
    config = facts.job.config
    library = "transformers" if config.model.method == "full" else "peft"
    rows = [
        ("Base model", f"`{facts.base}`"),
        ("Method", config.model.method),
        ("Data", ", ".join(f"`{Path(name).name}`" for name in config.data.datasets)),
        ("Rows", f"{facts.rows} to learn from, {facts.held_out_rows} held out"),
        *[("Dataset version", _version(used)) for used in facts.versions],
        ("Data fingerprint", f"`{facts.fingerprint[:16]}`"),
        ("Steps", f"{facts.step} of {facts.total_steps} ({facts.ended})"),
        *([("Weights", f"those of step {facts.kept}")] if facts.kept != facts.step else []),
        ("Time", _duration(facts.metrics.get("seconds", 0))),
        ("Device", f"{facts.device}, {facts.precision}"),
        *_losses(facts),
        *_forgotten(facts),
        ("Seed", str(config.schedule.seed)),
        ("Versions", ", ".join(f"{n} {v}" for n, v in facts.job.versions.items())),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return _CARD.format(
        header=_header(facts, library),
        name=run_name(config),
        table=table,
        forgetting=_by_category(facts),
        loading=_loading(facts, library),
        config=config_text.strip(),
    )


def draw(path: Path, history: list[dict[str, Any]]) -> None:
    """Draw the loss curves, and that of forgetting on an axis of its own, as a picture."""
    # Imported here: it costs half a second that no run should wait for at its start.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for key, label, color in (("loss", "Training", _LINE), ("eval_loss", "Held-out", _HELD_OUT)):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            mark = "o" if len(points) < 30 else None
            axes.plot(*zip(*points, strict=True), label=label, color=color, marker=mark, ms=3)
    axes.set(xlabel="Step", ylabel="Loss (nats per token)")
    axes.grid(alpha=0.25)
    if axes.lines:
        axes.legend(frameon=False)
    scores = [(entry["step"], entry["forgetting"]) for entry in history if "forgetting" in entry]
    if scores:
        # A step that was passed over may have been measured after later ones.
        _draw_forgetting(axes.twinx(), sorted(scores))
    FigureCanvasAgg(figure).print_figure(str(path), dpi=110)


def _draw_forgetting(axes: Any, scores: list[tuple[float, float]]) -> None:
    axes.plot(*zip(*scores, strict=True), color=_FORGOT, linestyle="--", marker="o", ms=3)
    axes.set_ylabel("Forgetting (nats per token)", color=_FORGOT)


def _version(used: UsedVersion) -> str:
    """Name a version so that `easytune data show` finds it, and its whole fingerprint."""
    name = str(Reference(used.dataset, used.number))
    return f"`{name}`, {used.rows} rows, fingerprint `{used.fingerprint}`"


def _losses(facts: Facts) -> list[tuple[str, str]]:
    rows, metrics = [], facts.metrics
    before = [e["eval_loss"] for e in facts.history if "eval_loss" in e and not e["step"]]
    if "loss" in metrics:
        rows.append(("Training loss", f"{metrics['loss']:.4f}"))
    if "held_out_loss" in metrics:
        best = f"{metrics['held_out_loss']:.4f} at step {metrics['best_step']:.0f}"
        rows.append(("Best held-out loss", best))
    if before:
        rows.append(("Held-out loss before training", f"{before[0]:.4f}"))
    return rows


def _forgotten(facts: Facts) -> list[tuple[str, str]]:
    found = facts.forgetting
    if found is None:
        reason = "" if facts.job.config.monitor.forgetting else " (switched off)"
        return [("Forgetting", f"not measured{reason}")]
    kept = f"retention {100 * forgetting.retention(found.score):.1f}%"
    interval = f"95% interval {_interval(found)}"
    probe = facts.job.config.monitor.probe
    score = f"{found.score:.3f} nats per token ({interval}), {forgetting.band(found.score)}; {kept}"
    read = f"{found.sequences} sequences of `{Path(probe).name}`, {found.tokens} tokens"
    return [("Forgetting", score), ("Measured on", read)]


def _by_category(facts: Facts) -> str:
    """Return the table of forgetting by category, "" without categories."""
    found = facts.forgetting
    if found is None or len(found.categories) < 2:
        return ""
    rows = "\n".join(
        f"| {_cell(name)} | {one.score:.3f} | {_interval(one)} | {one.sequences} |"
        for name, one in sorted(found.categories.items(), key=lambda item: -item[1].score)
    )
    return _FORGETTING.format(rows=rows)


def _interval(one: Forgetting | CategoryForgetting) -> str:
    return f"{one.low:.3f} to {one.high:.3f}" if one.sequences > 1 else "unknown"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _header(facts: Facts, library: str) -> str:
    lines = [f"base_model: {json.dumps(facts.base)}", f"library_name: {library}"]
    return "\n".join([*lines, "pipeline_tag: text-generation", "tags: [easytune]"])


def _loading(facts: Facts, library: str) -> str:
    if library == "transformers":
        return _LOAD_MODEL
    return _LOAD_ADAPTER.format(base=facts.base)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


_CARD = """\
---
{header}
---

# {name}

| | |
|---|---|
{table}

![Loss over steps](loss.png)
{forgetting}
## Use it

```python
{loading}
```

## Train it again

Save this as `run.yaml`, then run `easytune train run.yaml`.

```yaml
{config}
```
"""

_FORGETTING = """
## What it forgot

Loss on general text minus that of the base model, in nats per token; zero is nothing forgotten.

| Category | Forgetting | 95% interval | Sequences |
|---|---|---|---|
{rows}
"""

_LOAD_ADAPTER = """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained("{base}")
model = PeftModel.from_pretrained(base, "path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")"""

_LOAD_MODEL = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")"""
