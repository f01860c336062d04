"""The datasets of a home as the app sees them: brought in, changed, measured, traced to runs."""

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from easytune import model_files, records
from easytune.config import TrainConfig
from easytune.data.stored import Reference
from easytune.data.tasks import (
    ExportTask,
    FactsTask,
    Form,
    LeaksTask,
    MeasureTask,
    Part,
    PreprocessTask,
    StatisticsTask,
    Task,
    statistics_file,
)
from easytune.data.versions.manifest import VersionFacts
from easytune.dataset_errors import DatasetUnknown, ModelNotHere, VersionInUse
from easytune.errors import EasyTuneError
from easytune.services import data_links, submission
from easytune.services.data_links import Since, UsedBy
from easytune.services.data_tasks import TaskStory
from easytune.services.dataset_imports import DatasetImports
from easytune.services.runs import Runs

if TYPE_CHECKING:
    from easytune.data.insight.statistics import Statistics
    from easytune.data.steps.pipeline import Pipeline
    from easytune.data.steps.running import Previewed

_log = logging.getLogger(__name__)
# Bytes of rows, packed, which take a second to look through.
_WORTH_NOTING = 2_000_000


class Datasets(DatasetImports):
    """Everything that is done with datasets; how rows come into them is in `DatasetImports`.

    A `reference` is `dataset:<id>` or `dataset:<id>@<number>`, as text or parsed; without a number
    it means the current version. Methods that name a dataset raise DatasetUnknown, those that name
    a version VersionUnknown.
    """

    def __init__(self, home: Path, runs: Runs) -> None:
        """Look at the datasets of `home`, which need not exist yet."""
        super().__init__(home)
        self._home = home
        self._runs = runs

    def start(self) -> None:
        """Sweep what killed processes left behind, note facts, and begin to serve the tasks."""
        # Beside the start of the app: a killed import may have left gigabytes to remove.
        threading.Thread(target=self._tidy, name="data-sweep", daemon=True).start()
        self.tasks.serve(self._after)

    def sweep(self) -> None:
        """Remove unfinished drafts and uploads of dead processes, and tasks older than a week."""
        try:
            self.library.sweep()
            self._uploads.sweep(self.tasks.claimed_uploads())
            self.tasks.forget_old()
        except OSError:
            # What could not be removed now will be next time.
            _log.exception("Not all that was left behind could be removed.")

    def note_facts(self) -> None:
        """Begin to note what filters ask for, of large versions of which nobody has noted it."""
        try:
            for each in self.library.list():
                if self.library.unnoted_bytes(each.id) >= _WORTH_NOTING:
                    self.start_facts(each.current.reference)
        except (OSError, EasyTuneError):
            # Filters work without them, only slower.
            _log.exception("The facts of rows could not be noted.")

    def _tidy(self) -> None:
        self.sweep()
        self.note_facts()

    def _after(self, story: TaskStory) -> None:
        if story.state == "finished" and story.task.kind in ("import", "preprocess"):
            self.note_facts()

    def close(self) -> None:
        """Stop serving the queue. Tasks that run go on."""
        self.tasks.close()

    # --- looking ------------------------------------------------------------

    def statistics(self, reference: Reference | str) -> "Statistics | None":
        """Return what is known of a version; None before `start_statistics` has finished once."""
        from easytune.data.insight.statistics import Statistics

        kept = records.read(self._statistics_file(self._version(reference)))
        try:
            return Statistics.model_validate(kept) if kept else None
        except ValidationError:
            # Written by another EasyTune: counted anew when somebody asks.
            return None

    def start_statistics(
        self,
        reference: Reference | str,
        *,
        config: TrainConfig | None = None,
        near_duplicates: bool = False,
    ) -> str:
        """Begin to count what a version is made of; return the task's id.

        With a `config` also the tokens of its model, if that is downloaded. What is being counted
        already is not counted twice.
        """
        folder = model_files.resolve(config.model, self._home) if config else None
        task = StatisticsTask(
            reference=self._pinned(reference),
            model_folder=str(folder) if folder else None,
            near_duplicates=near_duplicates,
        )
        return self._start_once(task)

    def start_facts(self, reference: Reference | str) -> str:
        """Begin to note each row's language and lengths, which makes filters quick."""
        return self._start_once(FactsTask(reference=self._pinned(reference)))

    def measure(self, config: TrainConfig, limit: int | None = None) -> str:
        """Begin to measure what the config's model would learn from; return the task's id.

        Raises ModelNotHere, ModelMissing.
        """
        folder = model_files.resolve(config.model, self._home)
        if folder is None:
            raise ModelNotHere(config.model.base_model)
        pinned = submission.with_absolute_paths(self.pinned(config))
        return self._start_once(MeasureTask(config=pinned, folder=str(folder), limit=limit))

    def leaks(
        self,
        a: Reference | str,
        b: Reference | str,
        threshold: float = 0.8,
        *,
        part_a: Part | None = None,
        part_b: Part | None = None,
    ) -> str:
        """Begin to look for rows that two versions, or parts of them, share; return the id."""
        return self._start_once(
            LeaksTask(
                a=self._pinned(a),
                b=self._pinned(b),
                part_a=part_a,
                part_b=part_b,
                threshold=threshold,
            )
        )

    # --- changing -----------------------------------------------------------

    def preview(
        self, reference: Reference | str, pipeline: "Pipeline", limit: int = 200
    ) -> "Previewed":
        """Return what a pipeline would do to the first rows it changes."""
        from easytune.data.steps import running

        facts = self._version(reference)
        rows = self.library.open(facts.dataset, facts.number)
        return running.preview(pipeline, rows, self.library, limit)

    def preprocess(
        self,
        reference: Reference | str,
        pipeline: "Pipeline",
        into: str = "",
        author: str = "",
        note: str = "",
    ) -> str:
        """Begin to make a new version, or a dataset called `into`, by steps; return the id."""
        return self.tasks.start(
            PreprocessTask(
                reference=self._pinned(reference),
                steps=tuple(pipeline.as_list),
                into=into.strip(),
                author=author,
                note=note,
            )
        )

    def export(
        self,
        reference: Reference | str,
        form: Form = "jsonl",
        *,
        part: Part | None = None,
        problems_only: bool = False,
        target: Path | None = None,
    ) -> str:
        """Begin to write a version as a file; return the task's id. The result has its `path`.

        Without `target` the file is in the task's folder and goes when the task is forgotten.
        """
        return self.tasks.start(
            ExportTask(
                reference=self._pinned(reference),
                form=form,
                part=part,
                problems_only=problems_only,
                target=str(target.expanduser().resolve()) if target else "",
            )
        )

    # --- runs and versions --------------------------------------------------

    def used_by(self, dataset: str, number: int | None = None) -> list[UsedBy]:
        """Return the runs that use a version, newest first; without a number, any of them."""
        return data_links.used_by(self._runs, dataset, number)

    def since(self, run_id: str) -> list[Since]:
        """Return each version a run used with the current one. Raises RunMissing."""
        return data_links.since(self._runs.config(run_id), self.library)

    def pinned(self, config: TrainConfig) -> TrainConfig:
        """Return the config with a number behind every dataset it names."""
        return data_links.pinned(config, self.library)

    def delete_version(self, dataset: str, number: int, confirmed: bool = False) -> None:
        """Delete a version, of which the fingerprint is kept.

        Raises VersionInUse when runs used it, unless `confirmed`.
        """
        facts = self.library.version(dataset, number)
        self._ask_first(dataset, number, confirmed)
        self.library.delete_version(dataset, number)
        self._statistics_file(facts).unlink(missing_ok=True)

    def delete(self, dataset: str, confirmed: bool = False) -> None:
        """Delete a dataset with all versions. Raises VersionInUse as `delete_version` does."""
        versions = self.library.versions(dataset)
        for version in versions:
            self._ask_first(dataset, version.number, confirmed)
        self.library.delete(dataset)
        for version in versions:
            self._statistics_file(version).unlink(missing_ok=True)

    # --- helpers ------------------------------------------------------------

    def _start_once(self, task: Task) -> str:
        """Start a task, unless the very same is waiting or running: then return that one's id."""
        wanted = task.model_dump(exclude={"created"})
        for story in self.tasks.list():
            if story.is_active and story.task.model_dump(exclude={"created"}) == wanted:
                return story.id
        return self.tasks.start(task)

    def _version(self, reference: Reference | str) -> VersionFacts:
        parsed = Reference.parse(reference) if isinstance(reference, str) else reference
        if parsed is None:
            raise DatasetUnknown(str(reference))
        return self.library.version(parsed.id, parsed.number)

    def _pinned(self, reference: Reference | str) -> str:
        return str(self._version(reference).reference)

    def _statistics_file(self, version: VersionFacts) -> Path:
        name = version.dataset, version.number, version.fingerprint
        return statistics_file(self._home, *name)

    def _ask_first(self, dataset: str, number: int, confirmed: bool) -> None:
        runs = [] if confirmed else self.used_by(dataset, number)
        if runs:
            raise VersionInUse(dataset, number, tuple(run.name for run in runs))
