import csv
import io
import json
from pathlib import Path

import pytest

from easytune import config_file
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import EvaluationUnfinished, ThresholdUnknown
from easytune.services import evaluation_report, evaluation_thresholds
from easytune.services.catalogue import Catalogue
from easytune.services.evaluation_report import Form
from easytune.services.evaluation_thresholds import Threshold
from easytune.services.evaluations import Evaluations
from easytune.services.runs import Runs
from tests.services import evaluated


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an evaluation that has ended; nobody changes it."""
    folder = tmp_path_factory.mktemp("evaluated")
    evaluated.put(folder)
    return folder


@pytest.fixture(scope="module")
def evaluations(home: Path) -> Evaluations:
    runs = Runs(home)
    return Evaluations(home, runs, Catalogue(home, runs))


def _report(evaluations: Evaluations, form: Form, lang: str = "en") -> str:
    (summary,) = evaluations.list()
    return evaluation_report.render(evaluations, summary.id, form, lang)


def _lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_page_says_whether_it_is_better_and_what_it_takes_to_repeat_it(
    evaluations: Evaluations,
) -> None:
    page = _report(evaluations, "html")

    for fact in (
        "tone | 40 against Demo on Tone", "better by", "p &lt; 0.001", "on 60 rows",
        "dataset:tone@3", "cd40", "ab12", "0.620 [0.580, 0.660]", "25% [14%, 40%]",
        "screening probe of 40 prompts",
        "0.400 ± 0.050", "−0.150", "4, 5", "House style &lt;script&gt;", "max_new_tokens: 256",
        "torch", "nc:6",
    ):  # fmt: skip
        assert fact in page, fact
    assert "/secret" not in page
    assert "evaluation_report." not in page


def test_the_page_runs_nothing_and_loads_nothing(evaluations: Evaluations) -> None:
    page = _report(evaluations, "html")

    assert "<script" not in page
    assert "<img" not in page
    assert "default-src 'none'" in page
    # Metric by model, over checkpoints, against forgetting, spread of rows: at least one of each.
    assert page.count("<svg") >= 4
    assert "NaN" not in page


def test_fixed_and_broken_rows_are_shown_with_the_words_that_differ(
    evaluations: Evaluations,
) -> None:
    page = _report(evaluations, "html")

    fixed, broken = evaluated.RIGHT[2] - evaluated.RIGHT[0], 1
    assert f"Fixed by tone | 40: {fixed} of {evaluated.ROWS} rows" in page
    assert f"Broken by tone | 40: {broken} of {evaluated.ROWS} rows" in page
    assert "<mark>Nobody knows 9</mark>." in page


def test_markdown_tells_the_same_without_becoming_markup(evaluations: Evaluations) -> None:
    report = _report(evaluations, "markdown")

    assert report.startswith("# House style \\<script\\>")
    assert "better by" in report
    assert "## Broken by tone \\| 40" in report
    # What repeats it opens again, to the same evaluation.
    yaml = report.rpartition("```yaml\n")[2].partition("\n```")[0]
    again = config_file.load(yaml, kind=EvaluateConfig)
    assert (again.config, again.notices) == (evaluated.CONFIG, ())


def test_reports_for_people_are_written_in_chinese_too(evaluations: Evaluations) -> None:
    page = _report(evaluations, "html", "zh")

    assert "改错了" in page
    assert "需要知道的事" in page or "测试集" in page
    assert "evaluation_report." not in page


def test_every_figure_is_in_the_table_with_its_interval(evaluations: Evaluations) -> None:
    found = _lines(_report(evaluations, "csv"))

    (exact,) = [one for one in found if (one["model"], one["name"]) == ("tone@40", "exact_match")]
    assert float(exact["value"]) == pytest.approx(100 * 49 / 60)
    assert float(exact["low"]) < float(exact["value"]) < float(exact["high"])
    assert float(exact["difference"]) == pytest.approx(100 * 29 / 60)
    assert float(exact["difference_low"]) > 0
    assert {one["kind"] for one in found} == {"metric", "forgetting", "safety", "benchmark"}


def test_every_answer_is_in_the_table_of_rows_and_none_becomes_a_formula(
    evaluations: Evaluations,
) -> None:
    found = _lines(_report(evaluations, "rows"))

    assert len(found) == 3 * evaluated.ROWS
    assert "'=1+1" in {one["prompt"] for one in found}
    broken = next(o for o in found if (o["id"], o["model"]) == ("r7", "tone@40"))
    assert (broken["answer"], float(broken["exact_match"])) == ("Nobody knows 9.", 0.0)


def test_json_has_everything_but_folders_of_this_machine(evaluations: Evaluations) -> None:
    text = _report(evaluations, "json")
    found = json.loads(text)

    assert "/secret" not in text
    assert len(found["answers"]) == len(found["rows"]) * 3
    assert EvaluateConfig.model_validate(found["order"]["config"]) == evaluated.CONFIG
    assert found["order"]["versions"]["transformers"]


def test_an_evaluation_without_a_result_has_no_report(tmp_path: Path) -> None:
    name = evaluated.put(tmp_path)
    runs = Runs(tmp_path)
    here = Evaluations(tmp_path, runs, Catalogue(tmp_path, runs))
    here.folder(name).result.unlink()

    with pytest.raises(EvaluationUnfinished):
        evaluation_report.render(here, name, "html", "en")


@pytest.mark.parametrize(
    ("name", "limit", "is_least", "met"),
    [
        ("exact_match", 0.5, True, [True, True]),
        ("exact_match", 60.0, True, [False, True]),
        ("perplexity", 3.0, False, [False, True]),
        ("forgetting", 0.2, False, [True, False]),
        ("retention", 0.9, True, [True, False]),
        ("refusals", 0.2, True, [False, True]),
        ("capitals", 0.5, True, [False, False]),
        ("capitals/acc", 0.3, True, [False, True]),
    ],
)
def test_thresholds_hold_for_every_model_but_the_first(
    evaluations: Evaluations, name: str, limit: float, is_least: bool, met: list[bool]
) -> None:
    story = evaluations.story(evaluations.list()[0].id)
    assert story.result is not None

    found = evaluation_thresholds.held(
        [Threshold(name, limit, is_least)], story.order, story.result
    )

    assert [one.candidate for one in found] == [1, 2]
    assert [one.is_met for one in found] == met


def test_a_threshold_on_what_is_not_measured_is_refused_at_once() -> None:
    config = EvaluateConfig().changed(measure__metrics=("chrf",), measure__forgetting="off")

    evaluation_thresholds.require([Threshold("chrf", 0.4, True)], config)
    for name in ("rouge_l", "forgetting", "refusals", "nonsense"):
        with pytest.raises(ThresholdUnknown, match="chrf"):
            evaluation_thresholds.require([Threshold(name, 0.4, True)], config)
