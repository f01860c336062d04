"""Train the demo model as each intent suggests: `python -m benchmarks.intents [--grid]`.

Every intent on every demo set, judged on the rows kept back: loss, and answers given word for
word, before and after. `--grid` varies rank and rows instead, to see whether anything diverges.
"""

import argparse
import contextlib
import io
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from easytune import demo, intents, machine, model_shape, presets
from easytune.config import TrainConfig
from easytune.data.insight import row_lengths

SETS = tuple(demo.DATASETS)
RANKS, ROWS = (4, 32), (50, 500, 5000)


@dataclass(frozen=True)
class Case:
    """One run: an intent over a demo set, perhaps at another rank or with other rows."""

    intent: str
    dataset: str
    rank: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it; losses are in nats per learned token on the rows kept back."""

    config: TrainConfig
    steps: int
    base_loss: float
    loss: float
    worst_loss: float
    forgetting: float | None
    seconds: float
    right: tuple[float, float] | None

    @property
    def diverged(self) -> bool:
        """Tell whether it ended above the base, or a late training loss did."""
        return not math.isfinite(self.loss) or max(self.loss, self.worst_loss) > self.base_loss


def main() -> None:
    """Run the cases one after another and print a line of the table for each."""
    options = _options()
    print("| intent | set | rank | rate | epochs | steps | base loss | loss | right | forgot | s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for case in _grid(options) if options.grid else _plain(options):
        outcome = run(case, options.answers, options.set)
        print(_line(case, outcome), flush=True)


def run(case: Case, answers: bool, changes: list[str]) -> Outcome:
    """Train one case in this process. Raises RuntimeError when the run fails."""
    with tempfile.TemporaryDirectory() as home:
        config = suggested(case, Path(home), changes)
        began = time.monotonic()
        ran = _train(config, Path(home))
        return Outcome(
            config=config,
            steps=ran.steps,
            base_loss=ran.base_loss,
            loss=ran.loss,
            worst_loss=ran.late_loss,
            forgetting=ran.forgetting,
            seconds=time.monotonic() - began,
            right=_right(case, ran.adapter) if answers else None,
        )


@dataclass(frozen=True)
class _Ran:
    """A finished run; `late_loss` is the mean loss of the second half of its steps."""

    steps: int
    base_loss: float
    loss: float
    late_loss: float
    forgetting: float | None
    adapter: Path


def _train(config: TrainConfig, home: Path) -> _Ran:
    from easytune import events
    from easytune.engine import worker
    from easytune.job import Job, create

    folder = create(home / "runs", Job(config=config))
    # What the engine prints for every step would drown the table.
    with contextlib.redirect_stdout(io.StringIO()):
        worker.run(folder.path)
    story, _ = events.read(folder.events)
    end = story[-1]
    if not isinstance(end, events.Finished):
        raise RuntimeError(f"{folder.id}: {end}")
    base_loss, *measured = [event.loss for event in story if isinstance(event, events.Evaluated)]
    losses = [event.loss for event in story if isinstance(event, events.Step)]
    late = losses[len(losses) // 2 :]
    return _Ran(
        steps=end.step,
        base_loss=base_loss,
        loss=min(measured),
        late_loss=sum(late) / len(late),
        forgetting=end.metrics.get("forgetting"),
        adapter=folder.adapter,
    )


def suggested(case: Case, home: Path, changes: list[str]) -> TrainConfig:
    """Return what the intent suggests for the set, judged on the rows kept back."""
    kept_back = demo.DATASETS[case.dataset].held_out
    config = TrainConfig().changed(
        data__datasets=(f"demo/{case.dataset}",),
        data__held_out_file=str(kept_back),
        data__max_length=256,
        monitor__sample_tokens=0,
    )
    if case.rows:
        have = len(demo.DATASETS[case.dataset].train.read_text("utf-8").splitlines())
        config = config.changed(data__weights=(case.rows / have,))
    lengths = row_lengths.count(config, demo.MODEL, home)
    found = presets.suggest(
        intents.load(home).found[case.intent],
        config,
        model_shape.read(demo.MODEL),
        row_lengths.shape_of(lengths, config),
        machine.look("auto", home),
    ).config
    if case.rank:
        found = found.changed(lora__rank=case.rank, lora__alpha=2 * case.rank)
    return found.changed(**dict(change.split("=", 1) for change in changes))


def _right(case: Case, adapter: Path) -> tuple[float, float]:
    """Return the share of questions kept back that are answered word for word, before and after."""
    import torch
    from peft import PeftModel
    from transformers import AutoTokenizer, LlamaForCausalLM

    from easytune.demo import proof

    tokenizer = AutoTokenizer.from_pretrained(demo.MODEL)
    base = LlamaForCausalLM.from_pretrained(demo.MODEL, dtype=torch.float32).eval()
    rows = proof.read(demo.DATASETS[case.dataset].held_out)
    before = proof.share_right(base, tokenizer, rows)
    # The adapter's layers are put into the base in place.
    PeftModel.from_pretrained(base, str(adapter)).eval()
    return before, proof.share_right(base, tokenizer, rows)


def _plain(options: argparse.Namespace) -> Iterator[Case]:
    for intent in options.intents:
        yield from (Case(intent, name) for name in options.sets)


def _grid(options: argparse.Namespace) -> Iterator[Case]:
    for intent in options.intents:
        for rows in options.rows:
            yield from (Case(intent, n, r, rows) for n in options.sets for r in options.ranks)


def _line(case: Case, found: Outcome) -> str:
    right = "-" if found.right is None else f"{found.right[0]:.0%} → {found.right[1]:.0%}"
    forgot = "-" if found.forgetting is None else f"{found.forgetting:.2f}"
    cells = [
        case.intent, case.dataset + (f" ({case.rows})" if case.rows else ""),
        str(found.config.lora.rank), f"{found.config.optim.learning_rate:g}",
        f"{found.config.schedule.epochs:g}", str(found.steps), f"{found.base_loss:.3f}",
        f"{found.loss:.3f}" + (" diverged" if found.diverged else ""), right, forgot,
        f"{found.seconds:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", action="store_true", help="vary rank and rows")
    known = ["style", "knowledge", "instructions"]
    parser.add_argument("--intents", nargs="+", default=known)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--ranks", nargs="+", type=int, default=list(RANKS))
    parser.add_argument("--rows", nargs="+", type=int, default=list(ROWS))
    parser.add_argument("--answers", action="store_true", help="also ask the questions kept back")
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION__OPTION=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
