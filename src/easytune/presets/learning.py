"""How fast, how long and in what rhythm to learn.

The learning rate after "LoRA Without Regret" (Thinking Machines 2025): ten times that of full
fine-tuning, falling with the width of the model; small batches, which LoRA tolerates better.
"""

import math
from typing import Any

from easytune.presets.draft import SMALL_MODEL, Draft
from easytune.shapes import ModelShape

_FULL_RATE, _LORA_FACTOR, _CAREFUL = 5e-5, 10, 0.4
_WIDTH = 2000
_POWERS = (("qwen", 0.08), ("llama", 0.78))
_POWER = 0.4
_LOWEST_RATE, _HIGHEST_RATE = 5e-5, 3e-4
# Measured with the demo model of 2.3 million parameters, see benchmarks/intents.py.
_SMALL_POWER, _SMALL_HIGHEST = 0.75, 1e-2
_SMALL_REPLAY = 0.1
_HIGH_RANK = 32
_EPOCHS = ((500_000, 3), (5_000_000, 2))
_ENOUGH_STEPS, _MOST_EPOCHS = 60, 6
_SMALL_STEPS, _SMALL_EPOCHS = 300, 10
_BATCHES = ((2_000, 8), (50_000, 16))
_LARGEST_BATCH = 32
_WARMUP_SHARE, _WARMUP_STEPS = 0.03, 3
_COSINE_FROM = 100
_PATIENCE = 3
_POINTS, _EVALUATIONS = 100, 10


def derive(draft: Draft) -> None:
    """Suggest everything that needs no memory to be counted."""
    _replay(draft)
    _rate(draft)
    draft.put("optim.weight_decay", 0.01, "weight_decay")
    draft.put("optim.max_grad_norm", 1.0, "clipping")
    _batch(draft)
    _epochs(draft)
    _schedule(draft)
    _packing(draft)
    _rhythm(draft)


def total_steps(draft: Draft) -> int | None:
    """Return the optimizer steps of the run as drafted; None while the rows are unknown."""
    per_epoch = _steps_per_epoch(draft)
    if per_epoch is None:
        return None
    return draft.value("schedule.max_steps") or max(
        1, math.ceil(draft.value("schedule.epochs") * per_epoch)
    )


def _replay(draft: Draft) -> None:
    wanted = draft.facts.intent.replay_share
    share = max(wanted, _SMALL_REPLAY) if draft.facts.is_small else wanted
    code = "replay_small" if share > wanted else "replay" if share else "replay_none"
    draft.put("data.replay_share", share, code, percent=round(100 * share))


def _rate(draft: Draft) -> None:
    facts, path = draft.facts, "optim.learning_rate"
    factor = facts.intent.rate_factor / (_LORA_FACTOR if facts.is_full else 1)
    rank = 0 if facts.is_full else draft.value("lora.rank")
    if rank > _HIGH_RANK:
        factor *= math.sqrt(_HIGH_RANK / rank)
    if facts.model is None:
        usual = type(facts.config.optim).model_fields["learning_rate"].default
        draft.put(path, _rounded(usual * factor), "rate_unknown")
        return
    values: dict[str, Any] = {
        "hidden": facts.model.hidden, "millions": facts.model.parameters / 1e6, "rank": rank,
    }  # fmt: skip
    rate = _small_rate(facts.model) if facts.is_small else _usual_rate(facts.model)
    code = "rate_small" if facts.is_small else "rate_high_rank" if rank > _HIGH_RANK else "rate"
    if facts.intent.rate_factor < 1 and rank <= _HIGH_RANK:
        code += "_gentle"
    values["percent"] = round(100 * facts.intent.rate_factor)
    draft.put(path, _rounded(rate * factor), "rate_full" if facts.is_full else code, **values)


def _usual_rate(model: ModelShape) -> float:
    power = next((p for family, p in _POWERS if model.family.startswith(family)), _POWER)
    rate = _FULL_RATE * _LORA_FACTOR * _CAREFUL * (_WIDTH / model.hidden) ** power
    return min(max(rate, _LOWEST_RATE), _HIGHEST_RATE)


def _small_rate(model: ModelShape) -> float:
    rate = _HIGHEST_RATE * (SMALL_MODEL / max(model.parameters, 1)) ** _SMALL_POWER
    return min(rate, _SMALL_HIGHEST)


def _rounded(rate: float) -> float:
    """Keep two digits: more would only look exact."""
    return float(f"{rate:.1e}")


def _batch(draft: Draft) -> None:
    """Suggest the rows of one step; `fitting` splits them where memory is short."""
    rows = draft.facts.own_rows
    chosen = next((b for limit, b in _BATCHES if (rows or 0) < limit), _LARGEST_BATCH)
    code = "data_unknown" if rows is None else "batch"
    draft.put("schedule.batch_size", chosen, code, effective=chosen)
    draft.put("schedule.gradient_accumulation", 1, "accumulation_none", effective=chosen)


def _steps_per_epoch(draft: Draft) -> int | None:
    rows = draft.facts.own_rows
    if rows is None:
        return None
    at_once = draft.value("schedule.batch_size") * draft.value("schedule.gradient_accumulation")
    return max(1, math.ceil(rows / (1 - draft.value("data.replay_share")) / at_once))


def _epochs(draft: Draft) -> None:
    tokens, per_epoch = draft.facts.own_tokens, _steps_per_epoch(draft)
    if tokens is None or per_epoch is None:
        draft.put("schedule.epochs", 3.0, "data_unknown")
        return
    usual = next((epochs for limit, epochs in _EPOCHS if tokens < limit), 1)
    is_small = draft.facts.is_small
    enough, most = (_SMALL_STEPS, _SMALL_EPOCHS) if is_small else (_ENOUGH_STEPS, _MOST_EPOCHS)
    needed = min(math.ceil(enough / per_epoch), most)
    more = "epochs_small" if is_small else "epochs_more"
    code = more if needed > usual else "epochs"
    epochs = float(max(usual, needed))
    draft.put("schedule.epochs", epochs, code, tokens=tokens, steps=math.ceil(epochs * per_epoch))


def _schedule(draft: Draft) -> None:
    total = total_steps(draft)
    if total is None:
        draft.put("schedule.scheduler", "cosine", "data_unknown")
        draft.put("schedule.warmup", _WARMUP_SHARE, "data_unknown")
        return
    is_long = total >= _COSINE_FROM
    draft.put("schedule.scheduler", "cosine" if is_long else "linear",
              "cosine" if is_long else "linear", steps=total, limit=_COSINE_FROM)  # fmt: skip
    if _WARMUP_SHARE * total >= _WARMUP_STEPS:
        steps = int(_WARMUP_SHARE * total)
        draft.put("schedule.warmup", _WARMUP_SHARE, "warmup", warmup=steps, steps=total)
    else:
        # Of a very short run not more than a quarter.
        steps = min(_WARMUP_STEPS, total // 4)
        draft.put("schedule.warmup", float(steps), "warmup_short", warmup=steps, steps=total)


def _packing(draft: Draft) -> None:
    data = draft.facts.data
    if data is None:
        draft.put("data.packing", True, "packing_unknown")
    else:
        draft.put("data.packing", True, "packing", mean=round(data.mean), longest=data.longest)


def _rhythm(draft: Draft) -> None:
    """Suggest when to log, evaluate and save, so that even ten steps draw a curve."""
    total = total_steps(draft)
    paths = ("monitor.logging_steps", "monitor.eval_steps", "monitor.save_steps")
    if total is None:
        for path in paths:
            draft.put(path, None, "steps_unknown")
    else:
        evaluating = max(1, total // _EVALUATIONS)
        # Saving where something was measured lets the best step be kept.
        saving = 2 * evaluating if total >= _EVALUATIONS else 1
        every = (max(1, total // _POINTS) if total > 2 * _POINTS else 1, evaluating, saving)
        for path, steps in zip(paths, every, strict=True):
            code = "rhythm_all" if steps == 1 else "rhythm"
            draft.put(path, steps, code, steps=total, times=total // steps)
    _early_stopping(draft, total)


def _early_stopping(draft: Draft, total: int | None) -> None:
    data, path = draft.facts.data, "monitor.early_stopping"
    if data is None or total is None:
        draft.put(path, None, "data_unknown")
    elif not data.held_out:
        draft.put(path, None, "stopping_blind")
    else:
        draft.put(path, _PATIENCE, "stopping", held_out=data.held_out, patience=_PATIENCE)
