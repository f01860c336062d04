"""A worker that reports like the engine without training: the page cannot tell the difference.

Called by the real runner as `stand_in_worker.py <steps> <seconds per step> <ending> <job folder>`,
where the ending is `finished` or the code of a failure.
"""

import math
import os
import sys
import time
from pathlib import Path

from easytune import checkpoints, events
from easytune.events import (
    CategoryForgetting,
    Checkpoint,
    Evaluated,
    Failed,
    Finished,
    Forgetting,
    Notice,
    Phase,
    Resources,
    Sample,
    Sampled,
    Started,
    Step,
    Stopped,
)
from easytune.job import JobFolder


def main() -> int:
    """Report a run, step by step, and obey a request to stop."""
    steps, pause, ending = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    folder = JobFolder(Path(sys.argv[4]))
    print(f"stand-in worker of {folder.id}", flush=True)
    say = _Teller(folder)
    say(Phase(name="importing"))
    say(Started(pid=os.getpid(), total_steps=steps, device="cpu"))
    say(Phase(name="training"))
    say(_forgetting(0, 0.0))
    say(Notice(code="stand_in_notice"))
    _answers(say, 0)
    for step in range(1, steps + 1):
        time.sleep(pause)
        _one_step(say, step, steps)
        if folder.stop.exists():
            _keep(folder)
            say(Stopped(step=step))
            return 0
    if ending != "finished":
        print("RuntimeError: a stand-in for what torch says", flush=True)
        say(Failed(code=ending, values={"device": "cpu", "batch_size": 8}, detail="traceback"))
        return 1
    _keep(folder)
    say(Finished(step=steps, metrics={"loss": 0.5}))
    return 0


class _Teller:
    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder

    def __call__(self, event: events.Event) -> None:
        events.append(self.folder.events, event)


def _one_step(say: _Teller, step: int, steps: int) -> None:
    loss = 0.6 + 2.2 * math.exp(-4 * step / steps) + 0.08 * math.sin(step * 2.3)
    rate = 2e-4 * math.cos(step / steps * math.pi / 2)
    say(
        Step(
            step=step,
            epoch=3 * step / steps,
            loss=loss,
            learning_rate=rate,
            tokens_per_second=1830.5,
            memory_gb=1.4,
        )
    )
    if step % 3 == 1:
        cpu = 60 + 30 * math.sin(step / 3)
        say(Resources(cpu_percent=cpu, memory_gb=1.2 + step / steps / 4, memory_total_gb=16))
    if step % max(1, steps // 5) == 0:
        say(Evaluated(step=step, epoch=3 * step / steps, loss=loss + 0.15, best=True))
        _answers(say, step)
        say(_forgetting(step, step / steps))
        _save(say, step)


def _forgetting(step: int, share: float) -> Forgetting:
    """Return next to nothing at the start, and a severe score at the end."""
    score = 0.4 * share**2
    stories = CategoryForgetting(score=1.5 * score, low=score, high=2 * score, sequences=8)
    code = CategoryForgetting(score=score / 2, low=0, high=score, sequences=8)
    return Forgetting(
        step=step, score=score, low=score - 0.03, high=score + 0.03, kl=score, agreement=0.75,
        sequences=16, tokens=1536, categories={"story": stories, "<b>own</b>": code},
    )  # fmt: skip


def _save(say: _Teller, step: int) -> None:
    """Leave a checkpoint that can be chosen as a model."""
    folder = say.folder.checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    names = ("optimizer.pt", "scheduler.pt", "trainer_state.json", "rng_state.pth")
    for name in (*names, "adapter_model.safetensors", "adapter_config.json"):
        (folder / name).write_bytes(b"{}")
    checkpoints.seal(folder, step)
    say(Checkpoint(step=step, path=folder.relative_to(say.folder.path).as_posix()))


def _answers(say: _Teller, step: int) -> None:
    answer = "Ahoy <b>friend</b>, " * (1 + step % 3)
    prompts = ("Who are you?", "What is the capital of France?", "天空是什么颜色？")
    say(Sampled(step=step, samples=[Sample(prompt=p, answer=answer) for p in prompts]))


def _keep(folder: JobFolder) -> None:
    folder.adapter.mkdir(parents=True)
    (folder.adapter / "adapter_config.json").write_text("{}")
    (folder.adapter / "adapter_model.safetensors").write_bytes(b"weights" * 1000)


if __name__ == "__main__":
    sys.exit(main())
