"""What every way of training is told, and how it is measured. Needs torch and transformers only."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback


@dataclass(frozen=True)
class Spec:
    """One training to measure: the same model and rows for all."""

    model: str
    """Folder of the model."""
    rows: str
    """JSON lines of `input_ids` and `labels`, -100 where nothing is learned."""
    output: str
    """Folder that may be written to."""
    variant: str
    """Which way of several that a trainer has."""
    precision: str
    """bf16 or fp32."""
    batch: int
    """Rows of an optimizer step."""
    rank: int
    alpha: int
    warm: int
    """Steps at the start that are not measured."""
    threads: int
    length: int
    """Tokens of the longest row."""

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def read_rows(self) -> list[dict[str, list[int]]]:
        """Return the rows in their order."""
        return [json.loads(line) for line in Path(self.rows).read_text().splitlines()]


@dataclass
class Clock:
    """Useful tokens and time after the warm-up, and the loss of each step in nats per token."""

    warm: int
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    steps: int = 0
    last: float = 0.0

    def start(self) -> None:
        """Begin with the first step."""
        self.last = now()

    def step(self, tokens: int) -> None:
        """End a step that had so many useful tokens."""
        moment = now()
        if self.steps >= self.warm:
            self.tokens += tokens
            self.seconds += moment - self.last
        self.steps, self.last = self.steps + 1, moment


class Watch(TrainerCallback):
    """Lets the clock follow a transformers trainer; `tokens` are those of each step."""

    def __init__(self, clock: Clock, tokens: Sequence[int]) -> None:
        self.clock, self.tokens = clock, tokens

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self.clock.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End a step, and have its loss logged."""
        self.clock.step(self.tokens[state.global_step - 1])
        control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Take the loss of a step."""
        if "loss" in given.get("logs", {}):
            self.clock.losses.append(float(given["logs"]["loss"]))


def per_step(lengths: Sequence[int], rows_per_step: int) -> list[int]:
    """Return the tokens of each step when rows come in their order."""
    starts = range(0, len(lengths), rows_per_step)
    return [sum(lengths[start : start + rows_per_step]) for start in starts]


def run(train: Callable[[Spec, Clock], None]) -> None:
    """Do what the spec named on the command line says, and print what was measured as JSON."""
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text()))
    torch.set_num_threads(spec.threads)
    clock = Clock(spec.warm)
    train(spec, clock)
    found = {
        "speed": clock.tokens / clock.seconds,
        "tokens": clock.tokens,
        "seconds": clock.seconds,
        "memory_gb": peak_memory_gb(),
        "losses": clock.losses,
        "limit_gflops": matmul_gflops(spec.dtype),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
    print("\n" + json.dumps(found))


def write(spec: Spec, path: Path) -> None:
    """Write a spec for a child to read."""
    path.write_text(json.dumps(asdict(spec)))


def now() -> float:
    """Return seconds: of the processor's time on a processor, else of the clock on the wall."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def matmul_gflops(dtype: torch.dtype) -> float:
    """Return the speed of large square products, the limit of everything here."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    torch.mm(a, b)
    began, rounds = now(), 6
    for _ in range(rounds):
        torch.mm(a, b)
    return rounds * 2 * size**3 / (now() - began) / 1e9


def peak_memory_gb() -> float:
    """Return the peak of the GPU's memory, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells begins with the peak of the process that started this one.
        [line] = [one for one in status.read_text().splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
