"""What the meter keeps in `out/forgetting/`, so that a resumed run goes on and anybody can check.

`base.json` has the tokens of every sequence and the base's mean NLL of each; `latest.json` the
figures of the newest measurement. `base.npz` is what KL and agreement are computed from; a run
that has finished does not need it any more.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from easytune import records
from easytune.data.probe import ProbeRow
from easytune.engine.forgetting_figures import BaseFigures, Figures
from easytune.events import Forgetting

_BASE, _LATEST, _PREDICTIONS = "base.json", "latest.json", "base.npz"


@dataclass(frozen=True)
class BaseSide:
    """The sequences that are measured, what the base predicts on them, and whether all of it."""

    rows: Sequence[ProbeRow]
    figures: Sequence[BaseFigures]
    exact: bool


def write_base(folder: Path, probe: str, fingerprint: str, side: BaseSide) -> None:
    """Keep the base side."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / _PREDICTIONS, **_arrays(side.figures))
    listed = [
        {
            "id": row.id,
            "category": row.category,
            "input_ids": row.input_ids.tolist(),
            "scored": np.flatnonzero(row.scored).tolist(),
            "nll": base.nll,
        }
        for row, base in zip(side.rows, side.figures, strict=True)
    ]
    content = {"probe": probe, "fingerprint": fingerprint, "kl": _kl_kind(side.exact)}
    records.write(folder / _BASE, {**content, "sequences": listed})


def read_base(folder: Path, fingerprint: str, rows: Sequence[ProbeRow]) -> BaseSide | None:
    """Return the base side that an earlier run kept of some of `rows`, None without one."""
    content = records.read(folder / _BASE)
    if content is None or content.get("fingerprint") != fingerprint:
        return None
    by_id = {row.id: row for row in rows}
    measured = [by_id[one["id"]] for one in content["sequences"]]
    means = [float(one["nll"]) for one in content["sequences"]]
    try:
        with np.load(folder / _PREDICTIONS, allow_pickle=False) as arrays:
            figures = _figures(arrays, means)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return BaseSide(measured, figures, content["kl"] == _kl_kind(exact=True))


def write_latest(
    folder: Path, event: Forgetting, rows: Sequence[ProbeRow], figures: Sequence[Figures]
) -> None:
    """Keep the newest figures of every sequence, with what they come to."""
    listed = [
        {
            "id": row.id,
            "category": row.category,
            "tokens": one.tokens,
            "base_nll": one.nll - one.difference,
            "nll": one.nll,
            "difference": one.difference,
            "kl": one.kl,
            "agreement": one.unchanged / one.tokens,
        }
        for row, one in zip(rows, figures, strict=True)
    ]
    summary = json.loads(event.model_dump_json(exclude={"kind"}))
    records.write(folder / _LATEST, {**summary, "per_sequence": listed})


def drop_predictions(folder: Path) -> None:
    """Free the room of what only a resumed run would need."""
    (folder / _PREDICTIONS).unlink(missing_ok=True)


def _kl_kind(exact: bool) -> str:
    return "exact" if exact else "lower bound"


def _arrays(figures: Sequence[BaseFigures]) -> dict[str, Any]:
    parts = {
        "counts": np.array([len(one.likeliest) for one in figures]),
        "likeliest": torch.cat([one.likeliest for one in figures]).int().numpy(),
        "log_probs": torch.cat([one.log_probs for one in figures]).numpy(),
    }
    places = [one.places for one in figures if one.places is not None]
    return parts | ({"places": torch.cat(places).numpy()} if places else {})


def _figures(arrays: Any, means: Sequence[float]) -> list[BaseFigures]:
    counts = arrays["counts"].tolist()
    likeliest = torch.from_numpy(arrays["likeliest"]).long().split(counts)
    log_probs = torch.from_numpy(arrays["log_probs"]).split(counts)
    has_places = "places" in arrays
    places = (
        torch.from_numpy(arrays["places"]).split(counts) if has_places else [None] * len(counts)
    )
    return [BaseFigures(*one) for one in zip(means, likeliest, log_probs, places, strict=True)]
