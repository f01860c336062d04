"""Tasks of lm-evaluation-harness from a local folder, on tiny models and their adapters."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from easytune import events
from easytune.engine.evaluating import benchmarks
from easytune.evaluation_files import Benchmarked
from easytune.events import Answered
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
_READ: dict[str, Any] = {
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "{{question}}{{choices[right]}}",
    "metric_list": [{"metric": "bits_per_byte"}, {"metric": "word_perplexity"}],
}
_LOCAL = {"colours": ("acc",), "written": ("exact_match",), "read": ("bits_per_byte",)}


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
    for name, more in (("colours", _CHOICE), ("written", _WRITTEN), ("read", _READ)):
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
        tmp_path, models, measure__benchmarks=("colours", "written", str(tasks / "read.yaml")),
        measure__benchmark_folder=str(tasks), loading__precision="fp32",
    )  # fmt: skip

    benchmarks.run(session)

    session.unload()
    assert session.result.findings == []
    theirs = [harness_says(model_folder, one, tasks) for one in (None, adapter)]
    for task, (metric,) in _LOCAL.items():
        ours = [one.value for one in by_model(session.result.benchmarks, task, metric)]
        assert ours == pytest.approx([figures[task] for figures in theirs], rel=1e-6)
    assert theirs[0]["read"] != theirs[1]["read"]
    base, tuned = by_model(session.result.benchmarks, "colours", "acc")
    assert (base.rows, base.against_first) == (12, None)
    assert tuned.against_first is not None
    assert tuned.against_first.value == pytest.approx(tuned.value - base.value)
    told = [one for one in events.read(session.folder.events)[0] if isinstance(one, Answered)]
    assert {one.candidate for one in told if one.done == one.total} == {0, 1}


def harness_says(folder: Path, adapter: Path | None, tasks: Path) -> dict[str, float]:
    """What lm-evaluation-harness says by itself of a model, merged where there is an adapter."""
    from lm_eval import simple_evaluate  # type: ignore[import-not-found]
    from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found]
    from lm_eval.tasks import TaskManager  # type: ignore[import-not-found]

    model: Any = AutoModelForCausalLM.from_pretrained(str(folder))
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    configs = [yaml.safe_load((tasks / f"{name}.yaml").read_text()) for name in _LOCAL]
    for config in configs:
        config["dataset_kwargs"]["data_files"]["test"] = str(tasks / "rows.jsonl")
    found = simple_evaluate(
        HFLM(model, tokenizer=AutoTokenizer.from_pretrained(str(folder)), batch_size=1),
        tasks=configs, task_manager=TaskManager(include_defaults=False), bootstrap_iters=0,
    )  # fmt: skip
    assert found is not None
    return {name: found["results"][name][f"{metric},none"] for name, (metric,) in _LOCAL.items()}


@needs_harness
def test_a_broken_task_is_told_of_and_the_others_go_on(
    tmp_path: Path, model_folder: Path, tasks: Path
) -> None:
    save_task(tasks, "broken", _CHOICE | {"doc_to_target": "{{nothing.of.that}}"})
    (tasks / "torn.yaml").write_text("task: torn\ndoc_to_text: [")
    save_task(tasks, "dry", _CHOICE | {"dataset_kwargs": {"data_files": {"test": "gone.jsonl"}}})
    session = measuring.session(
        tmp_path, [measuring.candidate(model_folder)],
        measure__benchmarks=("broken", "unheard_of", "torn", "dry", "colours"),
        measure__benchmark_folder=str(tasks), measure__benchmark_rows=5,
    )  # fmt: skip

    benchmarks.run(session)

    session.unload()
    told = [(finding.code, finding.values["task"]) for finding in session.result.findings]
    assert told == [
        ("benchmark_unknown", "unheard_of"), ("benchmark_unreadable", "torn"),
        ("benchmark_failed", "broken"), ("benchmark_no_data", "dry"),
    ]  # fmt: skip
    (figure,) = session.result.benchmarks
    assert (figure.task, figure.rows) == ("colours", 5)


@needs_harness
def test_code_of_a_task_runs_only_where_code_is_allowed(
    tmp_path: Path, model_folder: Path, tasks: Path
) -> None:
    mark = tmp_path / "it ran"
    text = f"from pathlib import Path\nPath({str(mark)!r}).touch()\ndef asked(row): return 'a'\n"
    (tasks / "mine.py").write_text(text)
    (tasks / "base.txt").write_text("doc_to_text: !function mine.asked\n")
    save_task(tasks, "calls", _CHOICE | {"include": "base.txt"})
    content = (tasks / "calls.yaml").read_text().replace("doc_to_text: '{{question}}'\n", "")
    (tasks / "calls.yaml").write_text(content)
    save_task(tasks, "measures", _WRITTEN | {"metric_list": [{"metric": "./mine.py"}]})
    reach = "{{ question.__class__.__mro__[1].__subclasses__() }}"
    save_task(tasks, "reaches", _CHOICE | {"doc_to_text": reach})
    models = [measuring.candidate(model_folder)]
    options: dict[str, Any] = {
        "measure__benchmarks": ("calls", "measures", "reaches"),
        "measure__benchmark_folder": str(tasks),
    }  # fmt: skip
    session = measuring.session(tmp_path, models, **options)

    benchmarks.run(session)

    told = [(one.code, one.values["task"]) for one in session.result.findings]
    assert told == [("benchmark_code", name) for name in ("calls", "measures", "reaches")]
    assert (mark.exists(), session.result.benchmarks) == (False, [])

    options["measure__benchmarks"] = ("calls",)
    allowed = measuring.session(tmp_path, models, name="two", **options)
    allowed.order = allowed.order.model_copy(update={"allow_remote_code": True})
    benchmarks.run(allowed)
    assert mark.exists()
    assert [one.task for one in allowed.result.benchmarks] == ["calls"]
    session.unload()
    allowed.unload()


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
