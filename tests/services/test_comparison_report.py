import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page

from easytune.generation import SamplingSection
from easytune.inference_errors import ImportUnreadable
from easytune.services import comparison_report
from easytune.services.comparison import Column, Comparison, Entry, StoredAnswer
from easytune.services.votes import Pair
from easytune.wire import Turn

DETAILS = {
    "mode": "batch", "reason": "stop", "prompt_tokens": 12, "tokens": 34, "limit": 512,
    "dropped": 0, "first_token_seconds": 0.25, "seconds": 1.5, "tokens_per_second": 26.4,
    "device": "CPU", "precision": "fp32", "quantization": "none",
}  # fmt: skip
EVIL = '<script>document.title="taken"</script><img src=x onerror=document.title="taken">'
COMPARISON = Comparison(
    id="c1",
    title=f"Tea {EVIL}",
    kind="batch",
    created=datetime(2026, 11, 21, 8, 30, tzinfo=UTC),
    columns=(
        Column("demo", "Base", version="ab12"),
        Column("run-1@20", "Tuned | 20", system="Be brief.", version="cd34+ab12",
               sampling=SamplingSection(temperature=0.25, stop=("\n",), seed=7)),
    ),
    entries=(
        Entry(
            0, "What is tea?", (Turn(role="user", content="What is tea?"),), "A drink.",
            (
                StoredAnswer("Tea is a drink.", seed=11, reason="stop", details=DETAILS,
                             scores={"exact_match": 0.0, "bleu": 21.5}),
                StoredAnswer("Tea is a hot drink.", "Hm.", seed=7, reason="length",
                             details=DETAILS | {"mode": "in_turn"}),
            ),
        ),
        Entry(
            1, EVIL, (Turn(role="user", content=EVIL),), "",
            (
                StoredAnswer(f"```\n{EVIL}\n```", seed=12, reason="stop", details=DETAILS),
                StoredAnswer("", reason="failed", code="prompt_too_long",
                             values={"tokens": 900, "context": 512}),
            ),
        ),
        Entry(
            2, "=1+1", (Turn(role="user", content="=1+1"),), "二",
            (StoredAnswer(" @SUM(A1)\n第二行", seed=13, reason="stop", details=DETAILS), None),
        ),
    ),
)  # fmt: skip
SCORES = [{"bleu": 21.5, "answered": 3.0, "tokens": 34.0}, {"bleu": 40.25, "answered": 1.0}]
PAIRS = [Pair(0, 1, 3, 1, 2, 0, 4 / 6, 0.3, 0.9)]


def _report(form: comparison_report.Form, lang: str = "en") -> str:
    return comparison_report.render(COMPARISON, SCORES, PAIRS, form, lang)


def test_the_page_names_all_it_takes_to_repeat_the_comparison() -> None:
    page = _report("html")

    for fact in (
        "run-1@20", "cd34+ab12", "CPU, fp32, none", "Be brief.", "0.25", "seed 11", "seed 7",
        "34 tokens", "26.4 tokens/s", "first token after 0.25 s", "in turn",
        "together with other columns",
        "2026-11-21 08:30 UTC", "40.2", "67% (30%–90%)", "A drink.", "Hm.", "Not answered yet.",
        "The last message alone has 900 tokens",
    ):  # fmt: skip
        assert fact in page, fact
    assert "Tea is a <mark>hot </mark>drink." in page or "Tea is a <mark>hot</mark> drink." in page


@pytest.mark.browser
def test_the_page_runs_nothing_loads_nothing_and_follows_the_visitors_colours(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(_report("html"), encoding="utf-8")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.emulate_media(color_scheme="light")
    page.goto(file.as_uri())
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert asked == [file.as_uri()]
    assert page.title() == COMPARISON.title
    assert page.locator("img, script").count() == 0
    assert page.locator("mark").all_inner_texts()[0].strip() == "hot"
    assert light != dark
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_reports_for_people_are_written_in_their_language() -> None:
    for form in ("html", "markdown"):
        report = _report(form, "zh")
        assert "盲评" in report
        assert "温度" in report
        assert "仅最后一条消息就有 900 个词元" in report
        assert "report_comparison." not in report + _report(form)


def test_markdown_keeps_what_was_said_from_becoming_markup() -> None:
    lines = _report("markdown").splitlines()

    assert lines[0].startswith("# Tea \\<script\\>")
    assert "| | Base | Tuned \\| 20 |" in [re.sub(" +", " ", line) for line in lines]
    # The answer has a fence of its own in it.
    place = lines.index("````text")
    assert lines[place + 1 : place + 5] == ["```", EVIL, "```", "````"]


def test_the_table_has_a_row_for_every_prompt_and_column_and_no_formula() -> None:
    text = _report("csv", "zh")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))

    assert text.startswith("\ufeff")
    assert [(row["prompt_number"], row["column"]) for row in rows] == [
        (str(number), column) for number in (1, 2, 3) for column in ("Base", "Tuned | 20")
    ]
    assert rows[0]["answer"] == "Tea is a drink."
    assert (rows[0]["bleu"], rows[0]["seed"], rows[0]["seconds"]) == ("21.5", "11", "1.5")
    assert (rows[1]["temperature"], rows[1]["system"]) == ("0.25", "Be brief.")
    assert (rows[1]["precision"], rows[1]["precision_asked"]) == ("fp32", "auto")
    assert rows[3]["error"] == "prompt_too_long"
    assert (rows[4]["prompt"], rows[4]["answer"]) == ("'=1+1", "' @SUM(A1)\n第二行")
    assert rows[5]["answer"] == rows[5]["seed"] == ""


def test_json_holds_everything_and_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    file.write_text(_report("json"), encoding="utf-8")

    assert comparison_report.read(file) == COMPARISON

    for wrong in ("[]", '{"comparison": {"id": 3}}', "not json"):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(ImportUnreadable):
            comparison_report.read(file)


@pytest.mark.parametrize("form", ["html", "markdown", "csv", "json"])
def test_a_comparison_nobody_asked_yet_has_a_report_too(form: comparison_report.Form) -> None:
    empty = replace(COMPARISON, title="", entries=())

    assert comparison_report.render(empty, [{}, {}], [], form, "en").strip()
