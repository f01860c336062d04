"""Measure evaluations: `python -m benchmarks.evaluate`.

(1) Rows per CPU-second, a base and two adapters asked the same rows: our batches, all models of a
base together, against `generate` row by row, one model after another. Each way in a child process
of its own, loading left out. On a GPU rows per second.
(2) `--resume`: a job on many rows is ended by kill -9 and gone on with; no answer is asked for
twice, and none differs from those of a job that ran through.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generate import ADAPTERS, save_models
from benchmarks.shapes import SHAPES

WAYS = ("plain, row by row", "ours, batches")
_MEAN_WORDS, _SPREAD = 60, 0.6


@dataclass(frozen=True)
class Speed:
    """What one way reached; `answers` are rows times models."""

    answers: int
    cpu_seconds: float
    seconds: float
    memory_gb: float
    batch: int


def main() -> None:
    """Run what is asked for and print the tables."""
    options = _options()
    if options.child:
        print(json.dumps(asdict(_measure(options))))
    elif options.resume:
        resume(options.rows or 1000)
    else:
        with tempfile.TemporaryDirectory() as folder:
            save_models(Path(folder), options.shape)
            speed(Path(folder), options)


def speed(folder: Path, options: argparse.Namespace) -> None:
    """Print (1)."""
    found = {way: _child(way, folder, options) for way in WAYS}
    print(f"\nShape {options.shape}, {options.precision}, {options.threads} thread(s)")
    print("| way | answers/CPU-s | ratio | answers/s | batch | peak GB |")
    print("|---|---|---|---|---|---|")
    first = found[WAYS[0]]
    for way, one in found.items():
        rate = one.answers / one.cpu_seconds
        cells = [
            way, f"{rate:.3f}", f"{rate / (first.answers / first.cpu_seconds):.2f}",
            f"{one.answers / one.seconds:.3f}", str(one.batch), f"{one.memory_gb:.2f}",
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="100m")
    parser.add_argument("--rows", type=int, help="rows of the test set (24; with --resume 1000)")
    parser.add_argument("--tokens", type=int, default=48, help="tokens per answer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="fp32")
    parser.add_argument("--batch", type=int, help="batch size (default: found automatically)")
    parser.add_argument("--resume", action="store_true", help="measure (2) instead of (1)")
    parser.add_argument("--quick", action="store_true", help="a tiny model and few rows")
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.shape, options.tokens, options.rows = "tiny", 16, options.rows or 6
    return options


def _child(way: str, folder: Path, options: argparse.Namespace) -> Speed:
    command = [
        sys.executable, "-m", "benchmarks.evaluate", "--child", way, "--folder", str(folder),
        "--rows", str(options.rows or 24), "--tokens", str(options.tokens),
        "--threads", str(options.threads), "--precision", options.precision,
        *(["--batch", str(options.batch)] if options.batch else []),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found = Speed(**json.loads(done.stdout.splitlines()[-1]))
    print(f"{way}: {found.answers / found.cpu_seconds:.3f} answers/CPU-s", file=sys.stderr)
    return found


def _measure(options: argparse.Namespace) -> Speed:
    import torch

    from easytune.engine import hardware

    torch.set_num_threads(options.threads)
    make = _plain if options.child == WAYS[0] else _ours
    answer = make(Path(options.folder), options)
    # Once for what is only done the first time.
    answer(prompts(2), 2)
    cpu, clock = time.process_time(), time.perf_counter()
    batch = answer(prompts(options.rows), options.tokens)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    answers = options.rows * (len(ADAPTERS) + 1)
    busy = clock if torch.cuda.is_available() else cpu
    memory = hardware.peak_memory_gb(hardware.device("auto"))
    return Speed(answers, busy, clock, memory, batch)


def prompts(rows: int) -> list[str]:
    """Return questions whose lengths differ as those of instructions do."""
    chance = np.random.default_rng(3)
    middle = np.log(_MEAN_WORDS) - _SPREAD**2 / 2
    lengths = np.clip(chance.lognormal(middle, _SPREAD, rows), 8, 400).astype(int)
    words = (chance.integers(0, 1000, length) for length in lengths)
    return [" ".join(f"word{word}" for word in row) for row in words]


def _plain(folder: Path, options: argparse.Namespace) -> Callable[[list[str], int], int]:
    """One copy of the weights, and `generate` for one row after another."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base: Any = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=dtype)
    model = PeftModel.from_pretrained(base.to(device), str(folder / "first"), adapter_name="first")
    model.load_adapter(str(folder / "second"), adapter_name="second")
    model.eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "base")

    def write(row: str, tokens: int) -> None:
        given = tokenizer(row, return_tensors="pt").to(device)
        found = model.generate(**given, max_new_tokens=tokens, do_sample=False)
        tokenizer.decode(found[0][given["input_ids"].shape[1] :], skip_special_tokens=True)

    def answer(rows: list[str], tokens: int) -> int:
        with model.disable_adapter():
            for row in rows:
                write(row, tokens)
        for name in ADAPTERS:
            model.set_adapter(name)
            for row in rows:
                write(row, tokens)
        return 1

    return answer


def _ours(folder: Path, options: argparse.Namespace) -> Callable[[list[str], int], int]:
    """What the job does between loading and scoring, down to the file of answers."""
    from easytune.engine.evaluating import candidate_answers
    from easytune.engine.evaluating.records import Answers
    from easytune.engine.evaluating.session import Session
    from easytune.engine.reporting import Reporter
    from easytune.engine.stopping import StopSignal
    from easytune.evaluation_files import EvaluationFolder, TestRow

    job = EvaluationFolder(Path(tempfile.mkdtemp()) / "evaluations" / "one")
    job.out.mkdir(parents=True)
    report, stop = Reporter(job.events), StopSignal(job.stop)
    base = str(folder / "base")

    def answer(rows: list[str], tokens: int) -> int:
        order = _order(folder, options, tokens)
        session = Session(order, job, report, stop)
        session.rows = [TestRow(set=0, id=str(n), prompt=row) for n, row in enumerate(rows)]
        # Loaded before the clock: the same model goes on from call to call.
        session._asked, session._base = held.get("asked"), base if "asked" in held else None
        report.phase("answering")
        job.answers.unlink(missing_ok=True)
        answers = Answers(job.answers)
        candidate_answers.ask(session, answers)
        assert len(answers) == len(rows) * len(order.candidates)
        assert all(one.tokens == tokens for one in answers.all), "an answer has another length"
        held["asked"] = session._asked
        return session.result.batch_size or 0

    held: dict[str, Any] = {}
    return answer


def _order(folder: Path, options: argparse.Namespace, tokens: int) -> Any:
    from easytune.evaluation import EvaluateConfig
    from easytune.evaluation_files import FoundModel, Order

    base = str(folder / "base")
    candidates = tuple(
        FoundModel(id=str(folder / name), title=name, kind="adapter" if name != "base" else "base",
                  folder=str(folder / name), base=base, base_folder=base,
                  is_adapter=name != "base", fingerprint=name)
        for name in ("base", *ADAPTERS)
    )  # fmt: skip
    config = EvaluateConfig().changed(
        candidates__models=tuple(one.id for one in candidates),
        measure__metrics=("exact_match",), measure__forgetting="off",
        sampling__max_new_tokens=tokens, loading__precision=options.precision,
        test__batch_size=options.batch,
    )  # fmt: skip
    return Order(config=config, candidates=candidates)


# --- resume -----------------------------------------------------------------


def resume(rows: int) -> None:
    """Print (2): the demo model on a file of so many rows, through the services."""
    from easytune.evaluation import EvaluateConfig
    from easytune.services.catalogue import Catalogue
    from easytune.services.dispatch import Dispatcher
    from easytune.services.evaluations import Evaluations
    from easytune.services.runs import Runs

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        runs = Runs(home)
        evaluations = Evaluations(home, runs, Catalogue(home, runs))
        config = EvaluateConfig().changed(
            test__datasets=(str(_questions(Path(folder), rows)),), test__batch_size=16,
            sampling__max_new_tokens=16, measure__metrics=("exact_match", "perplexity"),
            measure__forgetting="off",
        )  # fmt: skip
        following = _Following(evaluations, Dispatcher(home))
        whole = following.until_ended(evaluations.submit(config))
        broken = evaluations.submit(config)
        following.kill_when(broken, rows // 3)
        kept = len(evaluations.answers(broken))
        again = following.until_ended(evaluations.resume(broken))
        _print_resumed(evaluations, (whole, broken, again), rows, kept, following.seconds)


class _Following:
    """Waits for jobs, and notes how long each took."""

    def __init__(self, evaluations: Any, dispatcher: Any) -> None:
        self._evaluations, self._dispatcher = evaluations, dispatcher
        self.seconds: dict[str, float] = {}

    def until_ended(self, evaluation: str) -> str:
        """Return the evaluation once it has finished."""
        began = time.monotonic()
        while not (story := self._story(evaluation)).has_ended:
            time.sleep(0.2)
        assert story.state == "finished", story.failure
        self.seconds[evaluation] = time.monotonic() - began
        return evaluation

    def kill_when(self, evaluation: str, answers: int) -> None:
        """Kill -9 the job once it has so many answers."""
        from easytune import events
        from easytune.events import Started

        while len(self._evaluations.answers(evaluation)) < answers:
            assert not self._story(evaluation).has_ended
            time.sleep(0.05)
        told, _ = events.read(self._evaluations.folder(evaluation).events)
        os.kill(next(one.pid for one in told if isinstance(one, Started)), signal.SIGKILL)
        while not self._story(evaluation).has_ended:
            time.sleep(0.1)

    def _story(self, evaluation: str) -> Any:
        self._dispatcher.tick()
        return self._evaluations.story(evaluation)


def _questions(folder: Path, rows: int) -> Path:
    file = folder / "questions.jsonl"
    lines = (
        json.dumps({"prompt": f"What is {number} plus {number % 7}?", "response": str(number)})
        for number in range(rows)
    )
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _print_resumed(
    evaluations: Any, ids: tuple[str, str, str], rows: int, kept: int, seconds: dict[str, float]
) -> None:
    from easytune.evaluation_files import lines

    whole, broken, again = ids
    before = {(one.candidate, one.row): one for one in evaluations.answers(broken)}
    after = {(one.candidate, one.row): one for one in evaluations.answers(again)}
    through = {(one.candidate, one.row): one.text for one in evaluations.answers(whole)}
    written = sum(1 for _ in lines(evaluations.folder(again).answers))
    repeated = sum(1 for place, one in before.items() if after[place] != one)
    differ = sum(1 for place, text in through.items() if after[place].text != text)
    print(f"rows {rows}; answered before kill -9: {kept}; asked after: {written - kept}")
    print(f"answers asked for twice: {repeated}; answers that differ from a whole job: {differ}")
    print(f"whole job {seconds[whole]:.0f} s; the rest after kill -9 {seconds[again]:.0f} s")
    assert (written, repeated) == (rows, 0)


if __name__ == "__main__":
    main()
