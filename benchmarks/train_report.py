"""What `benchmarks.train` has found, as a table and as a picture."""

import platform
import statistics
from datetime import date
from pathlib import Path
from typing import Any

OURS = "ours default"
# Losses of the first step that differ by more are not those of the same training.
SAME_LOSS = 1e-3
# Their first step has other rows: packs are made before steps.
_PACKS = ("trl packed", "llamafactory best")


def summarised(rounds: list[dict[str, dict[str, Any]]], flops: float) -> dict[str, dict[str, Any]]:
    """Return the medians of all rounds by way, with ratios taken within each round.

    `flops` are the products per token that the training cannot do without.
    """
    found: dict[str, dict[str, Any]] = {}
    for way in rounds[0]:
        mine = [one[way] for one in rounds]
        ours = f"{OURS} {way.split()[2]}"
        found[way] = {
            "speed": statistics.median(one["speed"] for one in mine),
            "ours_is": statistics.median(
                one[ours]["speed"] / one[way]["speed"] for one in rounds
            ),
            "share": statistics.median(
                one["speed"] * flops / 1e9 / one["limit_gflops"] for one in mine
            ),
            "limit_gflops": statistics.median(one["limit_gflops"] for one in mine),
            "memory_gb": max(one["memory_gb"] for one in mine),
            "first_loss": mine[0]["losses"][0],
            "losses": mine[0]["losses"],
            "agrees": abs(mine[0]["losses"][0] - rounds[0][ours]["losses"][0]) <= SAME_LOSS,
            "device": mine[0]["device"],
        }  # fmt: skip
    return found


def table(found: dict[str, dict[str, Any]], options: dict[str, Any]) -> str:
    """Return the figures for people, in Markdown."""
    lines = [
        f"\nshape {options['shape']}, rows {options['lengths']}, LoRA rank {options['rank']}, "
        f"{options['rounds']} x {options['steps']} steps of {options['batch']} rows, "
        f"{options['threads']} threads",
        "",
        "| way | first loss | tokens/s | ours is | share of matmul limit | peak GB |",
        "|---|---|---|---|---|---|",
    ]
    for way, one in found.items():
        loss = f"{one['first_loss']:.4f}" + _remark(way, one["agrees"])
        share = f"{100 * one['share']:.0f}% of {one['limit_gflops']:.0f} GFLOP/s"
        cells = [way, loss, f"{one['speed']:.0f}", f"{one['ours_is']:.2f} x", share]
        lines.append(f"| {' | '.join(cells)} | {one['memory_gb']:.1f} |")
    return "\n".join(lines)


def _remark(way: str, agrees: bool) -> str:
    if way.startswith(_PACKS):
        return " (other rows)"
    return "" if agrees else " (differs)"


def machine() -> dict[str, str]:
    """Return what the figures were measured on, and when."""
    return {
        "processor": _processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "date": date.today().isoformat(),
    }


def draw(found: dict[str, dict[str, Any]], shape: str, path: Path) -> None:
    """Draw speeds as bars, the fastest on top, with the share of the limit beside each."""
    from matplotlib.figure import Figure

    ways = sorted(found, key=lambda way: found[way]["speed"])
    figure = Figure(figsize=(7, 0.5 * len(ways) + 1.2), layout="constrained")
    axes = figure.subplots()
    colours = ["#2563eb" if way.startswith("ours") else "#94a3b8" for way in ways]
    bars = axes.barh(ways, [found[way]["speed"] for way in ways], color=colours)
    labels = [
        f"{found[way]['speed']:,.0f}  ({100 * found[way]['share']:.0f}% of the limit)"
        for way in ways
    ]
    axes.bar_label(bars, labels, padding=4, fontsize=8)
    axes.margins(x=0.3)
    axes.set_xlabel("useful tokens per second of " + _unit(found))
    axes.set_title(f"LoRA, shape {shape}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _unit(found: dict[str, dict[str, Any]]) -> str:
    device = next(iter(found.values()))["device"]
    return "a processor" if device == "cpu" else str(device)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
