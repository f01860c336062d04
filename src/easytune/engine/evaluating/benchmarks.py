"""Tasks of lm-evaluation-harness, on the models in memory: its own, and local YAML ones offline.

Seeds, prompts and figures are those of its command line without options: no chat template, the
number of examples that the task names. Each candidate's tasks are written down as they end, so that
a stopped evaluation goes on where it was.
"""

import importlib
import importlib.util
import math
import random
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from easytune.engine.evaluating import continued
from easytune.engine.evaluating.batches import BatchSize
from easytune.engine.evaluating.benchmark_tasks import Catalogue, TaskUnusable
from easytune.engine.evaluating.candidates import Asked, Group, adapter_of
from easytune.engine.evaluating.session import Session
from easytune.engine.failures import classify, first_line
from easytune.errors import EasyTuneError, Unexpected
from easytune.evaluation_files import Benchmarked, Difference
from easytune.scoring import statistics

PACKAGE, MODULE = "lm-eval", "lm_eval"
# What its command line uses, so that examples and figures are the same.
_SEED, _NUMPY_SEED = 0, 1234
_CLOSE = 1e-9


class Done(BaseModel):
    """One line of `benchmarks.jsonl`: what one candidate did in one benchmark as it was asked for.

    `documents` has the score of each document: task -> metric -> document -> score, for metrics
    that are their mean.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    candidate: int
    benchmark: str
    figures: tuple[Benchmarked, ...]
    documents: dict[str, dict[str, dict[int, float]]] = {}


def run(session: Session) -> None:
    """Run the benchmarks that the order names; figures and findings go to `session.result`."""
    wanted = session.order.config.measure.benchmarks
    if not wanted or session.stop.asked():
        return
    if importlib.util.find_spec(MODULE) is None:
        session.result.find("benchmarks_need_package", package=PACKAGE)
        return
    done = continued.taken_over(session, Done, lambda folder: folder.benchmarks, "measure")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        catalogue = Catalogue(
            session.order.config.measure.benchmark_folder, Path(scratch),
            allow_code=session.order.allow_remote_code,
        )  # fmt: skip
        tasks = [name for name in dict.fromkeys(wanted) if _is_known(session, catalogue, name)]
        for group in session.groups:
            if tasks and not session.stop.asked():
                done += _group(session, group, tasks, catalogue, done)
    seed = session.order.config.test.seed
    session.result.benchmarks += with_differences(done, seed)


def with_differences(done: Iterable[Done], seed: int) -> list[Benchmarked]:
    """Return all figures, by task and candidate, each with its difference to the first's."""
    known = sorted(done, key=lambda one: one.candidate)
    first = {
        (task, metric): scores
        for one in known
        if one.candidate == 0
        for task, metrics in one.documents.items()
        for metric, scores in metrics.items()
    }
    found: dict[tuple[str, str, int], Benchmarked] = {}
    for one in known:
        for figure in one.figures:
            mine = one.documents.get(figure.task, {}).get(figure.metric)
            others = first.get((figure.task, figure.metric))
            difference = _difference(others, mine, seed) if one.candidate and mine else None
            # A task that was named twice, by itself and by its group, is one figure.
            key = (figure.task, figure.metric, figure.candidate)
            found[key] = figure.model_copy(update={"against_first": difference})
    return [found[key] for key in sorted(found)]


def _is_known(session: Session, catalogue: Catalogue, name: str) -> bool:
    """Tell whether there is such a benchmark; else say so, or what is wrong with its file."""
    try:
        if catalogue.knows(name):
            return True
        folder = session.order.config.measure.benchmark_folder or "-"
        session.result.find("benchmark_unknown", task=name, folder=folder)
    except TaskUnusable as problem:
        session.result.find(problem.code, task=name, **problem.values)
    return False


def _group(
    session: Session, group: Group, tasks: list[str], catalogue: Catalogue, known: list[Done]
) -> list[Done]:
    """Return what the candidates of one base did; those known already are left out."""
    there = {(one.candidate, one.benchmark) for one in known}
    todo = [(c, task) for c in group.places for task in tasks if (c, task) not in there]
    if not todo:
        return []
    found: list[Done] = []
    try:
        with session.base(group.base) as asked:
            model = _harness(session, asked)
            for candidate, task in todo:
                if session.stop.asked():
                    break
                found += _candidate(session, asked, model, candidate, task, catalogue)
    except EasyTuneError as problem:
        titles = ", ".join(session.order.candidates[c].title for c in group.places)
        told = {"task": ", ".join(tasks), "candidate": titles}
        session.failed("benchmark_failed", problem, **told)
    return found


def _harness(session: Session, asked: Asked) -> Any:
    order = session.order
    module = importlib.import_module("easytune.engine.evaluating.harness")
    size = BatchSize(asked.held, order.config.test.batch_size)
    with asked.attached.applied([None]):
        return module.Harness(
            asked.held, size, session.stop.asked, session.report,
            allow_remote_code=order.allow_remote_code,
        )  # fmt: skip


def _candidate(
    session: Session, asked: Asked, model: Any, candidate: int, task: str, catalogue: Catalogue
) -> list[Done]:
    """Return what one candidate did in one benchmark; nothing when it failed or was stopped."""
    adapter = adapter_of(session.order.candidates[candidate])
    rows = session.order.config.measure.benchmark_rows
    harness = importlib.import_module("easytune.engine.evaluating.harness")
    try:
        with catalogue.tasks(task) as loaded, asked.attached.applied([adapter]):
            model.candidate = candidate
            results = _evaluate(model, loaded, rows)
    except harness.StopAsked:
        return []
    except TaskUnusable as problem:
        session.result.find(problem.code, task=task, **problem.values)
        return []
    # An edge: a benchmark runs code and reads data of others; the next one goes on.
    except Exception as error:  # noqa: BLE001
        _failed(session, candidate, task, error)
        return []
    done = Done(
        candidate=candidate,
        benchmark=task,
        figures=tuple(_figures(results, candidate)),
        documents=_documents(results),
    )
    continued.append(session.folder.benchmarks, done)
    return [done]


def _evaluate(model: Any, loaded: Any, rows: int | None) -> Any:
    evaluator = importlib.import_module("lm_eval.evaluator")
    random.seed(_SEED)
    np.random.seed(_NUMPY_SEED)
    torch.manual_seed(_NUMPY_SEED)
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=_NUMPY_SEED)
    return evaluator.evaluate(model, loaded, limit=rows, bootstrap_iters=0, log_samples=True)


def _figures(results: Any, candidate: int) -> Iterator[Benchmarked]:
    documents = _documents(results)
    for task, metrics in results["results"].items():
        better = results["higher_is_better"].get(task, {})
        for metric, value in _metrics(metrics):
            scores = documents.get(task, {}).get(metric, {})
            yield Benchmarked(
                candidate=candidate,
                task=task,
                metric=metric,
                value=value,
                stderr=_standard_error([*scores.values()]),
                rows=len(scores) or int(metrics.get("sample_len", 0)),
                higher_is_better=better.get(metric.partition(",")[0]) is not False,
            )


def _metrics(metrics: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the figures of a task under the names that people know: `acc`, not `acc,none`."""
    for key, value in metrics.items():
        name, _, filtered = key.partition(",")
        if filtered and not name.endswith("_stderr") and _is_score(value):
            yield name if filtered == "none" else key, float(value)


def _documents(results: Any) -> dict[str, dict[str, dict[int, float]]]:
    """Return the score of each document where a figure is their mean."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for task, samples in results["samples"].items():
        for metric, value in _metrics(results["results"][task]):
            name, _, filtered = metric.partition(",")
            scores = {
                int(sample["doc_id"]): float(sample[name])
                for sample in samples
                if sample["filter"] == (filtered or "none") and _is_score(sample.get(name))
            }
            if scores and abs(math.fsum(scores.values()) / len(scores) - value) < _CLOSE:
                found.setdefault(task, {})[metric] = scores
    return found


def _is_score(value: Any) -> bool:
    is_number = isinstance(value, bool | int | float | np.number | np.bool_)
    return is_number and math.isfinite(value)


def _standard_error(scores: list[float]) -> float | None:
    """Return the standard error of a mean, from the spread of the scores."""
    return float(np.std(scores, ddof=1) / math.sqrt(len(scores))) if len(scores) > 1 else None


def _difference(
    first: dict[int, float] | None, other: dict[int, float], seed: int
) -> Difference | None:
    """Return how a candidate differs from the first one on the documents that both have seen."""
    both = sorted(set(first or ()) & set(other))
    if not first or not both:
        return None
    before, after = [first[d] for d in both], [other[d] for d in both]
    right = 1.0 if {*before, *after} <= {0.0, 1.0} else None
    return statistics.paired(before, after, seed, right=right)


def _failed(session: Session, candidate: int, task: str, error: Exception) -> None:
    told = {"task": task, "candidate": session.order.candidates[candidate].title}
    known = classify(error, None, session.folder.path)
    if isinstance(known, Unexpected):
        traceback.print_exception(error)
        problem = f"{type(error).__name__}: {first_line(error)}."
        session.result.find("benchmark_failed", problem=problem, **told)
    else:
        session.failed("benchmark_failed", known, **told)
