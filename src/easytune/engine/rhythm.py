"""When a run logs, measures and saves: as asked, else derived from its length."""

from dataclasses import dataclass

from easytune.config import MonitorSection, ScheduleSection
from easytune.data.step_order import total_steps

_POINTS, _EVALUATIONS, _CHECKPOINTS = 100, 10, 5


@dataclass(frozen=True)
class Rhythm:
    """Steps of a run and the spacing of what happens during it, in optimizer steps."""

    total: int
    logging: int
    evaluation: int
    saving: int

    def logs(self, step: int) -> bool:
        """Tell whether the loss is reported after `step`; the first and the last always are."""
        return step in (1, self.total) or step % self.logging == 0

    def evaluates(self, step: int) -> bool:
        """Tell whether held-out rows are measured after `step`; the last always is."""
        return step == self.total or step % self.evaluation == 0

    def evaluations_after(self, step: int) -> int:
        """Return how many evaluations follow that after `step`, the last one included."""
        regular = self.total // self.evaluation - step // self.evaluation
        return regular + (step < self.total and self.total % self.evaluation > 0)

    def saves(self, step: int) -> bool:
        """Tell whether a checkpoint is due after `step`; the last always is."""
        return step == self.total or step % self.saving == 0


def rhythm(schedule: ScheduleSection, monitor: MonitorSection, steps_per_epoch: int) -> Rhythm:
    """Return the rhythm of a run whose epochs have `steps_per_epoch` optimizer steps."""
    total = total_steps(schedule, steps_per_epoch)
    evaluation = monitor.eval_steps or max(1, total // _EVALUATIONS)
    return Rhythm(
        total=total,
        logging=monitor.logging_steps or (1 if total <= 2 * _POINTS else total // _POINTS),
        evaluation=evaluation,
        saving=monitor.save_steps or _saving(total, evaluation),
    )


def _saving(total: int, evaluation: int) -> int:
    """Return the spacing of checkpoints, where it can be such that each has been measured."""
    wished = max(1, total // _CHECKPOINTS)
    return wished - wished % evaluation if evaluation <= wished else wished
