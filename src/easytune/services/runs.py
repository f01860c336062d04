"""The runs of a home: submit, follow, stop, resume, delete. All of it is read from files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from easytune import checkpoints, job, paths, records, strength
from easytune.config import TrainConfig
from easytune.data.versions.library import Library
from easytune.errors import CheckpointInvalid, FileMissing, OutputNotEmpty, RunActive, RunMissing
from easytune.evaluation_errors import NotLonger
from easytune.job import Job, JobFolder
from easytune.remedies import free_folder
from easytune.services import data_links, discovery, folders, submission
from easytune.services.job_shelf import JobShelf, JobSummary, Kind
from easytune.services.report import compose
from easytune.services.story import Fold, Story, step_of

_GRACE_S = 60.0
RunSummary = JobSummary[JobFolder, Job]
"""One line in the list of runs."""


class Runs(JobShelf[JobFolder, Job, Story]):
    """All runs of one home. Any number of processes may have one; threads may share one."""

    kind = Kind(paths.runs, JobFolder, RunMissing, RunActive)

    def __init__(self, home: Path) -> None:
        """Look at the runs under `home`, which need not exist yet."""
        super().__init__(home)
        self._verified: dict[tuple[Path, str], bool] = {}

    def submit(
        self, config: TrainConfig, resume_from: str | None = None, continues: str | None = None
    ) -> str:
        """Queue a run and return its id; a `Dispatcher` starts it when its turn comes.

        `resume_from` is a checkpoint folder and `continues` the run it belongs to. Raises
        FileMissing, DatasetUnknown, VersionUnknown, ModelMissing, ModelIncomplete, ModelPickled,
        OutputNotEmpty, DiskFull or CheckpointInvalid.
        """
        # A run tells for ever which rows it used, whatever becomes of the dataset.
        config = data_links.pinned(config, Library(self._home))
        config = submission.with_absolute_paths(config)
        submission.check(config, self._home)
        self._check_output_unclaimed(config)
        if resume_from:
            checkpoints.verify(Path(resume_from))
            resume_from = str(Path(resume_from).resolve())
        order = Job(config=config, resume_from=resume_from, continues=continues)
        return self._create(order, order.created)

    def config(self, run_id: str) -> TrainConfig:
        """Return what the run was asked to do. Raises RunMissing."""
        return self.order(run_id).config

    def story(self, job_id: str) -> Story:
        """Return what is known of a run, after the curves of those it continues.

        Raises RunMissing.
        """
        return self._story(job_id, frozenset())

    def resume_choices(self, run_id: str) -> list[Path]:
        """Return the whole checkpoints one can go on from, newest first. Raises RunMissing.

        Of this run, and of those it continues up to where it left them.
        """
        order, own = self.order(run_id), self._whole(self.folder(run_id).checkpoints)
        source = Path(order.resume_from) if order.resume_from else None
        earlier = self._whole(source.parent) if source else []
        limit = (step_of(source) or 0) if source else 0
        choices = own + [path for path in earlier if (step_of(path) or 0) <= limit]
        return sorted(choices, key=lambda path: step_of(path) or 0, reverse=True)

    def resume(
        self, run_id: str, checkpoint: Path, longer: dict[str, float | int] | None = None
    ) -> str:
        """Queue a run that goes on from a checkpoint, and return its id.

        `longer` names a new length: `{"epochs": 5}` or `{"max_steps": 400}`. The result goes to
        a new folder beside the old one where that is taken. Raises CheckpointInvalid, NotLonger
        or what `submit` raises.
        """
        config = self.order(run_id).config
        if longer:
            config = _lengthened(config, longer, step_of(checkpoint) or 0)
        config = _with_free_folder(config)
        return self.submit(config, resume_from=str(checkpoint), continues=run_id)

    def start_over(self, run_id: str) -> TrainConfig:
        """Return the config of a run that does the same from the beginning. Raises RunMissing."""
        return _with_free_folder(self.order(run_id).config)

    def continue_from(self, run_id: str) -> TrainConfig:
        """Return the config of a new run that begins with what this one has learned.

        Raises FileMissing when the run has left no adapter.
        """
        config, result = self.order(run_id).config, self.folder(run_id).adapter
        if not any(result.glob("*.safetensors*")):
            raise FileMissing(str(result))
        start = "base_model" if config.model.method == "full" else "adapter"
        return config.changed(**{f"model__{start}": str(result), "output__folder": None})

    def models_by_step(self, run_id: str) -> dict[int, str]:
        """Return step -> model id of each checkpoint one can talk to. Raises RunMissing.

        Of this run, and of those it continues up to where it left them.
        """
        return self._models_by_step(run_id, frozenset())

    def can_be_halved(self, run_id: str) -> bool:
        """Tell whether the result is an adapter whose strength can be halved. Raises RunMissing."""
        return strength.can_be_halved(self.folder(run_id).adapter)

    def halve(self, run_id: str) -> str:
        """Make a copy of the result at half strength; return the id of that model.

        Raises RunMissing, and what `strength.halve` raises.
        """
        target = paths.exports(self._home) / f"{run_id}-half"
        target.parent.mkdir(parents=True, exist_ok=True)
        strength.halve(self.folder(run_id).adapter, target)
        return str(target)

    def report(self, run_id: str) -> str:
        """Return what another person needs to understand the run, without secrets."""
        return compose(self.order(run_id), self.story(run_id), self.log_tail(run_id))

    def _story(self, run_id: str, seen: frozenset[str]) -> Story:
        story = super().story(run_id)
        seen |= {run_id}
        if (before := _before(self.order(run_id), seen)) is None:
            return story
        earlier, step = before
        try:
            return story.after(self._story(earlier, seen), step)
        except RunMissing:
            return story

    def _models_by_step(self, run_id: str, seen: frozenset[str]) -> dict[int, str]:
        order, folder = self.order(run_id), self.folder(run_id)
        whole = discovery.whole_checkpoints(folder.checkpoints)
        own = {step: f"{run_id}@{step}" for step, _ in whole}
        seen |= {run_id}
        if (before := _before(order, seen)) is None:
            return own
        earlier, limit = before
        try:
            found = self._models_by_step(earlier, seen)
        except RunMissing:
            return own
        return {step: model for step, model in found.items() if step <= limit} | own

    def _whole(self, folder: Path) -> list[Path]:
        """Return the checkpoints whose every byte is as sealed; each is read once only."""
        return [path for path in checkpoints.sealed(folder) if self._is_whole(path)]

    def _is_whole(self, checkpoint: Path) -> bool:
        key = (checkpoint, records.mark(checkpoint / checkpoints.MANIFEST))
        if key not in self._verified:
            try:
                checkpoints.verify(checkpoint)
            except CheckpointInvalid:
                self._verified[key] = False
            else:
                self._verified[key] = True
        return self._verified[key]

    def _check_output_unclaimed(self, config: TrainConfig) -> None:
        """Make sure that no run which has yet to end will write to the same output folder."""
        wanted = config.output.folder
        pending = (
            folder
            for folder in folders.all_folders(self._home)
            if folders.waits(folder) or folders.runs_now(folder)
        )
        for folder in pending:
            order = self._known(folder)
            if wanted and order and order.config.output.folder == wanted:
                raise OutputNotEmpty(wanted)

    def _folders(self) -> list[JobFolder]:
        return folders.all_folders(self._home)

    def _read(self, folder: JobFolder) -> Job | None:
        return folders.job_of(folder)

    def _teller(self, folder: JobFolder, order: Job) -> Callable[[str], Story]:
        fold = Fold(folder)
        return lambda _: fold.tell()

    def _own_name(self, order: Job) -> str:
        return job.run_name(order.config)

    def _text(self, one: RunSummary) -> str:
        config = one.order.config
        words = [one.name, one.id, config.model.base_model, *config.data.datasets]
        return " ".join(words).casefold()

    def _grace_s(self, story: Story) -> float:
        """Return the seconds to finish a step and save: more where steps are slow."""
        steps_left = story.total_steps - story.step
        step_s = story.seconds_left / steps_left if story.seconds_left and steps_left > 0 else 0
        return _GRACE_S + min(2 * step_s, 15 * _GRACE_S)


def _before(order: Job, seen: frozenset[str]) -> tuple[str, int] | None:
    """Return the run that a run goes on from and the step it left it at; None for a first run."""
    step = step_of(order.resume_from) if order.resume_from else None
    if step is None or order.continues is None or order.continues in seen:
        return None
    return order.continues, step


def _with_free_folder(config: TrainConfig) -> TrainConfig:
    """Return the config with another output folder beside its own where that is taken."""
    folder = config.output.folder
    if folder is None or submission.is_free(Path(folder)):
        return config
    return config.changed(output__folder=free_folder(folder))


def _lengthened(config: TrainConfig, longer: dict[str, Any], step: int) -> TrainConfig:
    changed = config.changed(**{f"schedule__{name}": value for name, value in longer.items()})
    if "epochs" in longer and "max_steps" not in longer:
        # Else the old limit would end the run where it ended before.
        changed = changed.changed(schedule__max_steps=None)
        if changed.schedule.epochs <= config.schedule.epochs and not config.schedule.max_steps:
            raise NotLonger(asked=changed.schedule.epochs, done=config.schedule.epochs)
    elif (asked := changed.schedule.max_steps) is not None and asked <= step:
        raise NotLonger(asked=asked, done=step)
    return changed
