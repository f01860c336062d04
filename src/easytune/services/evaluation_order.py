"""What an evaluation will do, found out before it is queued: what must fail, fails at once."""

import re
from collections.abc import Sequence
from pathlib import Path

from easytune import paths, settings
from easytune.data import sources, stored, test_sets
from easytune.data.sources import Source
from easytune.data.stored import Reference
from easytune.data.test_sets import HELD_OUT
from easytune.data.versions.library import Library
from easytune.errors import FileMissing, RunMissing
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import EvaluationInvalid, HeldOutMissing, NothingToAsk
from easytune.evaluation_files import Order
from easytune.job import JobFolder
from easytune.services import finding, folders
from easytune.services.catalogue import Catalogue

_BUNDLED = "demo/"
# So much is read in a moment: larger files are only looked for, and read by the job.
_READ_AT_ONCE_BYTES = 8_000_000
_NAMED = 2


def compose(config: EvaluateConfig, home: Path, catalogue: Catalogue) -> Order:
    """Return the order for an evaluation: models found, test sets pinned, paths absolute.

    Raises ModelUnknown, ModelMissing, BaseMissing or AdapterMismatch for a model; RunMissing,
    HeldOutMissing, DatasetUnknown, VersionUnknown, FileMissing, FileEmpty, FileUnreadable or
    NothingToAsk for a test set; EvaluationInvalid for options that cannot work.
    """
    config = _pinned(config, home)
    _check_options(config)
    _check_places(config, home)
    judge = config.judge
    order = Order(
        config=config,
        candidates=tuple(finding.found(name, catalogue) for name in config.candidates.models),
        allow_remote_code=settings.allows_remote_code(home),
        judge=finding.found(judge.model, catalogue) if judge.by == "model" else None,
    )
    _check_rows(config, home)
    return order


def rows_asked(name: str, config: EvaluateConfig, home: Path) -> int | None:
    """Return how many rows of a test set will be asked; None where only the job finds out.

    Raises what `compose` raises for a test set.
    """
    if name.startswith(HELD_OUT):
        run = name.removeprefix(HELD_OUT)
        _check_held_out(run, home)
        count = test_sets.kept_back(run, home)
    else:
        found, _ = sources.resolve(name, home)
        versions = [source.version.facts for source in found if source.version is not None]
        if not versions:
            return test_sets.read(name, config, home).set.rows if _is_small(found) else None
        count = sum(facts.held_out or facts.rows for facts in versions)
    return count if count is None else min(count, config.test.rows or count)


def name_of(order: Order) -> str:
    """Return what an evaluation is called by its config, else after its models and test sets."""
    if order.config.report.name.strip():
        return order.config.report.name.strip()
    models = [candidate.title for candidate in order.candidates]
    sets = [test_sets.title_of(name) for name in order.config.test.datasets]
    return " · ".join(filter(None, (_listed(models), _listed(sets))))


def _listed(names: Sequence[str]) -> str:
    more = f" +{len(names) - _NAMED}" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _pinned(config: EvaluateConfig, home: Path) -> EvaluateConfig:
    """Return the config with versions numbered and every path absolute: a job runs elsewhere.

    Raises DatasetUnknown and VersionUnknown.
    """
    measure = config.measure
    named = dict.fromkeys(config.test.datasets)
    return config.changed(
        candidates__models=tuple(finding.absolute(name) for name in config.candidates.models),
        test__datasets=tuple(_pinned_set(name, home) for name in named),
        measure__probe=_pinned_set(measure.probe, home)
        if measure.forgetting in ("general", "both")
        else measure.probe,
        measure__benchmark_folder=measure.benchmark_folder and _absolute(measure.benchmark_folder),
    )


def _pinned_set(name: str, home: Path) -> str:
    reference = Reference.parse(name)
    if reference is not None:
        version = Library(home).version(reference.id, reference.number)
        return str(Reference(reference.id, version.number))
    return name if name.startswith((_BUNDLED, HELD_OUT, stored.PREFIX)) else _absolute(name)


def _check_options(config: EvaluateConfig) -> None:
    """Raise EvaluationInvalid for options that cannot work, whatever the models and the data."""
    # Its libraries take a while to import, and the app opens without them.
    from easytune.scoring import MEASURES

    if unknown := [name for name in config.measure.metrics if name not in MEASURES]:
        reason = f"@evaluation.invalid.metric {', '.join(unknown)} (@evaluation.invalid.known "
        raise EvaluationInvalid("measure.metrics", reason + f"{', '.join(MEASURES)})")
    try:
        re.compile(config.measure.pattern or "")
    except re.error as error:
        reason = f"@evaluation.invalid.pattern {error}"
        raise EvaluationInvalid("measure.pattern", reason) from error
    judge = config.judge
    if judge.by == "endpoint" and not judge.url.startswith(("http://", "https://")):
        raise EvaluationInvalid("judge.url", "@evaluation.invalid.judge_url")
    if judge.by != "off" and not judge.model.strip():
        raise EvaluationInvalid("judge.model", "@evaluation.invalid.judge_model")
    if not _measures_anything(config):
        raise EvaluationInvalid("test.datasets", "@evaluation.invalid.nothing")


def _measures_anything(config: EvaluateConfig) -> bool:
    measure = config.measure
    other = measure.forgetting != "off" or measure.safety or measure.benchmarks
    return bool(config.test.datasets or other)


def _check_places(config: EvaluateConfig, home: Path) -> None:
    """Raise what `sources.resolve` raises, or FileMissing, for files that are not there."""
    measure = config.measure
    if measure.forgetting in ("general", "both"):
        sources.resolve(measure.probe, home)
    if measure.benchmark_folder and not Path(measure.benchmark_folder).is_dir():
        raise FileMissing(measure.benchmark_folder)


def _check_rows(config: EvaluateConfig, home: Path) -> None:
    """Make sure that every test set is there and, where that is soon known, has rows to ask."""
    for name in config.test.datasets:
        if name.startswith(HELD_OUT):
            _check_held_out(name.removeprefix(HELD_OUT), home)
            continue
        found, _ = sources.resolve(name, home)
        versions = [source.version for source in found if source.version is not None]
        if any(len(version) == 0 for version in versions):
            raise NothingToAsk(test_sets.title_of(name), "@data.probe.empty")
        if not versions and _is_small(found):
            test_sets.read(name, config, home)


def _is_small(found: Sequence[Source]) -> bool:
    files = [source.path for source in found if source.version is None]
    return sum(file.stat().st_size for file in files) <= _READ_AT_ONCE_BYTES


def _check_held_out(run: str, home: Path) -> None:
    """Raise RunMissing, or HeldOutMissing for a run that kept nothing back."""
    is_plain = Path(run).name == run and not run.startswith(".")
    job = folders.job_of(JobFolder(paths.runs(home) / run)) if is_plain else None
    if job is None:
        raise RunMissing(run)
    if not job.config.data.held_out_share and not job.config.data.held_out_file:
        raise HeldOutMissing(run)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())
