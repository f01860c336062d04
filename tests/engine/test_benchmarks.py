"""Tasks of lm-evaluation-harness from a local folder, on tiny models and their adapters."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from easytune.engine.evaluating import benchmarks
from easytune.evaluation_files import Benchmarked
from tests.engine import measuring
from tests.engine.asking import save_adapter

HAS_HARNESS = find_spec("lm_eval") is not None
needs_harness = pytest.mark.skipif(not HAS_HARNESS, reason="pip install lm-eval")
_CHOICE: dict[str, Any] = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{right}}",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
_WRITTEN: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_text": "{{question}}",
    "doc_to_target": "{{choices[right]}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 8, "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(tmp_path_factory.mktemp("made") / "adapter")


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder as a user has it: tasks that name their data as it lies beside them."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    colours = ["red", "green", "blue", "black"]
    rows = [
        {"question": f"the colour {n} is", "choices": [f" {c}" for c in colours], "right": n % 4}
        for n in range(12)
    ]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for name, more in (("colours", _CHOICE), ("written", _WRITTEN)):
        save_task(folder, name, more)
    return folder


def save_task(folder: Path, name: str, more: dict[str, Any]) -> None:
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}}}
    content = {"task": name, **data, "test_split": "test", **more}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))


def by_model(found: list[Benchmarked], task: str, metric: str) -> list[Benchmarked]:
    return [one for one in found if (one.task, one.metric) == (task, metric)]


@needs_harness
def test_local_tasks_give_what_the_harness_itself_gives_for_base_and_adapter(
    tmp_path: Path, model_folder: Path, adapter: Path, tasks: Path
) -> None:
    models = [measuring.candidate(model_folder), measuring.candidate(adapter, model_folder)]
    session = measuring.session(
        tmp_path, models, measure__benchmarks=("colours", "written"),
        measure__benchmark_folder=str(tasks), loading__precision="fp32",
    )  # fmt: skip

    benchmarks.run(session)

    session.unload()
    assert session.result.findings == []
    base, tuned = by_model(session.result.benchmarks, "colours", "acc")
    assert [base.value, tuned.value] == [
        harness_says(model_folder, None, tasks), harness_says(model_folder, adapter, tasks)
    ]  # fmt: skip
    assert (base.rows, base.against_first) == (12, None)
    assert tuned.against_first is not None
    assert tuned.against_first.value == pytest.approx(tuned.value - base.value)
    assert len(by_model(session.result.benchmarks, "written", "exact_match")) == 2


def harness_says(folder: Path, adapter: Path | None, tasks: Path) -> float:
    """What lm-evaluation-harness says by itself of a model, merged where there is an adapter."""
    from lm_eval import simple_evaluate  # type: ignore[import-not-found]
    from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found]
    from lm_eval.tasks import TaskManager  # type: ignore[import-not-found]

    model: Any = AutoModelForCausalLM.from_pretrained(str(folder))
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    config = yaml.safe_load((tasks / "colours.yaml").read_text())
    config["dataset_kwargs"]["data_files"]["test"] = str(tasks / "rows.jsonl")
    found = simple_evaluate(
        HFLM(model, tokenizer=AutoTokenizer.from_pretrained(str(folder)), batch_size=1),
        tasks=[config], task_manager=TaskManager(include_defaults=False), bootstrap_iters=0,
    )  # fmt: skip
    assert found is not None
    return found["results"]["colours"]["acc,none"]


@needs_harness
def test_a_broken_task_is_told_of_and_the_others_go_on(
    tmp_path: Path, model_folder: Path, tasks: Path
) -> None:
    save_task(tasks, "broken", _CHOICE | {"doc_to_target": "{{nothing.of.that}}"})
    session = measuring.session(
        tmp_path, [measuring.candidate(model_folder)],
        measure__benchmarks=("broken", "unheard_of", "colours"),
        measure__benchmark_folder=str(tasks), measure__benchmark_rows=5,
    )  # fmt: skip

    benchmarks.run(session)

    session.unload()
    told = [(finding.code, finding.values["task"]) for finding in session.result.findings]
    assert told == [("benchmark_unknown", "unheard_of"), ("benchmark_failed", "broken")]
    (figure,) = session.result.benchmarks
    assert (figure.task, figure.rows) == ("colours", 5)


@needs_harness
def test_a_resumed_evaluation_repeats_no_finished_benchmark(
    tmp_path: Path, model_folder: Path, tasks: Path
) -> None:
    options: dict[str, Any] = {
        "measure__benchmarks": ("colours",), "measure__benchmark_folder": str(tasks)
    }  # fmt: skip
    models = [measuring.candidate(model_folder)]
    first = measuring.session(tmp_path, models, name="one", **options)
    benchmarks.run(first)
    first.unload()
    # Whatever asks the task again now fails.
    (tasks / "rows.jsonl").unlink()
    again = measuring.session(tmp_path, models, name="two", continues="one", **options)

    benchmarks.run(again)

    assert again.result.benchmarks == first.result.benchmarks
    assert again.result.findings == []


@pytest.mark.skipif(HAS_HARNESS, reason="lm-eval is installed")
def test_a_missing_package_is_named_and_the_rest_goes_on(
    tmp_path: Path, model_folder: Path
) -> None:
    session = measuring.session(
        tmp_path, [measuring.candidate(model_folder)], measure__benchmarks=("hellaswag",)
    )

    benchmarks.run(session)

    (finding,) = session.result.findings
    assert (finding.code, finding.values) == ("benchmarks_need_package", {"package": "lm-eval"})
