"""Scores of answers: as the libraries compute them, with what does not apply said."""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import sacrebleu
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from easytune import scoring
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import Finding, RowAnswer, Scored, TestRow, TestSet
from easytune.found_model import FoundModel
from easytune.i18n import has, t
from easytune.metrics import METRICS
from easytune.scoring import MEASURES, llamafactory
from easytune.scoring.figures import Scores
from easytune.scoring.flips import flips

CONFIG = EvaluateConfig()
ENGLISH = ["the", "a", "cat", "sat", "on", "mat", "dog's", "12", "v2.0", "Hello,", "end_of", "👍"]
CHINESE = list("今天天气很好我们去公园玩。，12a")
ODD = [("", "The cat sat."), ("👍 yes", "yes 👍"), ("same words", "same words"), ("x", "y z"),
       ("the the the the", "the cat the cat"), (" \n", "Something")]  # fmt: skip


def _drawn(words: list[str], glue: str, seed: int, count: int) -> list[str]:
    draw = random.Random(seed)
    return [glue.join(draw.choices(words, k=draw.randint(1, 20))) for _ in range(count)]


def _pairs(texts: Sequence[tuple[str, str]]) -> list[tuple[TestRow, RowAnswer]]:
    return [
        (TestRow(set=0, id=str(n), reference=wanted), RowAnswer(candidate=0, row=n, text=said))
        for n, (said, wanted) in enumerate(texts)
    ]


def _english() -> list[tuple[str, str]]:
    texts = zip(_drawn(ENGLISH, " ", 1, 60), _drawn(ENGLISH, " ", 2, 60), strict=True)
    return [*texts, *ODD]


def _score(metric: str, said: str, wanted: str | None, config: EvaluateConfig = CONFIG) -> float:
    row = TestRow(set=0, id="1", reference=wanted)
    score = MEASURES[metric].score(row, RowAnswer(candidate=0, row=0, text=said), config)
    assert score is not None
    return score


def _does_not_apply(metric: str, said: str, wanted: str | None) -> bool:
    row = TestRow(set=0, id="1", reference=wanted)
    return MEASURES[metric].score(row, RowAnswer(candidate=0, row=0, text=said), CONFIG) is None


# --- agreement with the libraries --------------------------------------------


def test_bleu_and_chrf_are_those_of_sacrebleu_row_by_row_and_together() -> None:
    texts = _english()
    said, wanted = [a for a, _ in texts], [b for _, b in texts]

    for answer, reference in texts:
        bleu = sacrebleu.sentence_bleu(answer, [reference]).score
        chrf = sacrebleu.sentence_chrf(answer, [reference]).score
        assert _score("bleu", answer, reference) == pytest.approx(bleu, abs=1e-6)
        assert _score("chrf", answer, reference) == pytest.approx(chrf, abs=1e-6)
    whole = sacrebleu.corpus_bleu(said, [wanted]).score
    assert MEASURES["bleu"].corpus(_pairs(texts), CONFIG) == pytest.approx(whole, abs=1e-6)
    whole = sacrebleu.corpus_chrf(said, [wanted]).score
    assert MEASURES["chrf"].corpus(_pairs(texts), CONFIG) == pytest.approx(whole, abs=1e-6)


def test_chinese_bleu_is_that_of_sacrebleus_chinese_tokenizer() -> None:
    said = [*_drawn(CHINESE, "", 3, 40), "", "👍今天"]
    wanted = [*(f"今天{text}" for text in _drawn(CHINESE, "", 4, 40)), "今天", "今天👍"]

    expected = sacrebleu.corpus_bleu(said, [wanted], tokenize="zh").score

    pairs = _pairs(list(zip(said, wanted, strict=True)))
    assert expected > 0
    assert MEASURES["bleu"].corpus(pairs, CONFIG) == pytest.approx(expected, abs=1e-6)


def test_rouge_is_that_of_rouge_score() -> None:
    names = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
    scorer = RougeScorer(list(names.values()))

    for answer, reference in _english():
        theirs = scorer.score(reference, answer)
        for name, their_name in names.items():
            expected = theirs[their_name].fmeasure * 100
            assert _score(name, answer, reference) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["rouge_1", "rouge_2", "rouge_l", "f1", "bleu", "chrf"])
@pytest.mark.parametrize("text", ["今天天气很好，我们去公园。", "今日はいい天気ですね。"])
def test_chinese_and_japanese_are_not_one_long_word(name: str, text: str) -> None:
    assert _score(name, text, text) == pytest.approx(100)
    assert 40 < _score(name, text.replace("天気", "晴れ").replace("天气", "空气"), text) < 100


def test_llamafactorys_metrics_are_what_it_computes() -> None:
    pytest.importorskip("rouge_chinese")
    smoothing = SmoothingFunction().method3

    for said, wanted in [
        ("今天天气非常好。", "今天天气很好。"),
        ("The cat sat", "The cat sat."),
        *ODD,
    ]:
        bleu: Any = sentence_bleu([list(wanted)], list(said), smoothing_function=smoothing)
        assert _score("predict_bleu-4", said, wanted) == round(100 * bleu, 4)
    # Written down from LLaMA-Factory's own eval_bleu_rouge procedure.
    assert llamafactory.rouges("今天天气非常好。", "今天天气很好。") == LLAMAFACTORY_CHINESE
    assert llamafactory.rouges("the cat sat", "the cat sat on it") == LLAMAFACTORY_ENGLISH
    assert _score("predict_rouge-l", "", "今天") == 0


LLAMAFACTORY_CHINESE = {"rouge-1": 75.0, "rouge-2": 33.3333, "rouge-l": 75.0}
LLAMAFACTORY_ENGLISH = {"rouge-1": 75.0, "rouge-2": 66.6667, "rouge-l": 75.0}


# --- each metric's own rules -------------------------------------------------


def test_f1_of_short_answers_forgives_case_articles_and_punctuation() -> None:
    assert _score("f1", "the Eiffel Tower!", "Eiffel tower") == 100
    assert _score("f1", "in Paris, France", "Paris") == pytest.approx(50)
    assert _score("f1", "法国的巴黎", "巴黎。") == pytest.approx(200 * 2 / 7)
    assert _score("f1", "", "Paris") == 0


def test_json_counts_when_it_is_an_object_or_a_list_alone() -> None:
    wanted = '{"name": "Paul", "age": 43, "tags": ["a", "b"], "is_new": true}'

    assert _score("json_valid", '```json\n{"a": 1}\n```', wanted) == 100
    assert _score("json_valid", 'Here: {"a": 1}', wanted) == 0
    assert _score("json_valid", '{"a": NaN}', wanted) == 0
    assert _score("json_valid", "[" * 5000, None) == 0
    assert _score("json_fields", wanted, wanted) == 100
    half = '{"age": 43.0, "name": "paul", "is_new": 1, "tags": ["b"], "more": 1}'
    assert _score("json_fields", half, wanted) == 100 / 5
    assert _score("json_fields", "no JSON", wanted) == 0
    assert _does_not_apply("json_fields", "{}", "Ahoy!")


def test_a_pattern_that_takes_years_is_left_out() -> None:
    config = CONFIG.changed(
        measure__pattern=r"^(?:a|aa|aaa)+\d$", measure__contains=["Ahoy", "fair"]
    )
    row = TestRow(set=0, id="1")
    slow = RowAnswer(candidate=0, row=0, text="a" * 60)

    assert MEASURES["pattern"].score(row, slow, config) is None
    assert _score("pattern", "aaa7", None, config) == 100
    assert _score("pattern", "aaa", None, config) == 0
    assert _score("contains", "Ahoy! Be fair.", None, config) == 100
    assert _score("contains", "Ahoy! Fair winds!", None, config) == 0


def test_lengths_and_repetition_are_counted_in_words() -> None:
    assert _score("length_ratio", "one two three", "one two") == 1.5
    assert _score("length_ratio", "今天", "今天很好") == 0.5
    assert _score("repetition", "go on and on " * 10, None) > 80
    assert _score("repetition", "one two three four five six", None) == 0
    pairs = _pairs([("a b", "a"), ("a", "a b c")])
    assert MEASURES["length_ratio"].corpus(pairs, CONFIG) == 3 / 4


def test_likelihood_is_pooled_over_tokens() -> None:
    rows = [TestRow(set=0, id=str(n), reference="x") for n in range(2)]
    own = [(2.0, 4, 1), (9.0, 3, 3)]
    answers = [
        RowAnswer(candidate=0, row=n, nll=nll, reference_tokens=tokens, correct_tokens=correct)
        for n, (nll, tokens, correct) in enumerate(own)
    ]
    pairs = list(zip(rows, answers, strict=True))

    assert MEASURES["perplexity"].corpus(pairs, CONFIG) == pytest.approx(math.exp(11 / 7))
    assert MEASURES["perplexity"].score(rows[0], answers[0], CONFIG) == pytest.approx(math.exp(0.5))
    assert MEASURES["token_accuracy"].corpus(pairs, CONFIG) == pytest.approx(100 * 4 / 7)
    nothing = RowAnswer(candidate=0, row=0, text="x")
    assert MEASURES["perplexity"].score(rows[0], nothing, CONFIG) is None


def test_a_choice_counts_where_the_right_one_is_among_them() -> None:
    row = TestRow(set=0, id="1", reference="b", choices=("a", "b"))

    def score(row: TestRow, choice: int) -> float | None:
        return MEASURES["choice"].score(row, RowAnswer(candidate=0, row=0, choice=choice), CONFIG)

    assert (score(row, 1), score(row, 0)) == (100, 0)
    assert score(row.model_copy(update={"reference": "c"}), 0) is None


# --- a whole evaluation ------------------------------------------------------


def _candidates(count: int) -> list[FoundModel]:
    return [
        FoundModel(
            id=f"m{n}", title=f"model {n}", kind="base", folder="", base="", base_folder="",
            is_adapter=False, fingerprint="",
        )
        for n in range(count)
    ]  # fmt: skip


def _evaluated(
    texts: Sequence[Sequence[str]], references: Sequence[str | None], *metrics: str
) -> tuple[Scores, list[Scored], dict[str, str], list[Finding]]:
    """Score one set of rows with an answer of each candidate."""
    rows = [TestRow(set=0, id=str(n), reference=one) for n, one in enumerate(references)]
    answers = [
        RowAnswer(candidate=number, row=place, text=text)
        for number, own in enumerate(texts)
        for place, text in enumerate(own)
    ]
    sets = [TestSet(name="s", title="My set", fingerprint="", rows=len(rows))]
    config = CONFIG.changed(measure__metrics=metrics)
    return scoring.score_all(config, rows, answers, sets, _candidates(len(texts)))


def _of(figures: list[Scored], metric: str, candidate: int) -> Scored:
    (found,) = [one for one in figures if (one.metric, one.candidate) == (metric, candidate)]
    return found


def test_two_copies_of_a_model_show_no_difference_and_a_better_one_does() -> None:
    wanted = [f"the answer to question {n} is {n * n}" for n in range(80)]
    weak = [text if n % 3 else "I do not know" for n, text in enumerate(wanted)]

    _, figures, signatures, findings = _evaluated(
        [weak, weak, wanted], wanted, "exact_match", "bleu", "chrf"
    )

    for metric in ("exact_match", "bleu", "chrf"):
        assert scoring.sentence(_of(figures, metric, 1)) == (
            "no difference: all 80 rows score the same"
        )
        assert scoring.sentence(_of(figures, metric, 2)).startswith("better by ")
        assert scoring.sentence(_of(figures, metric, 2)).endswith("], p < 0.001, on 80 rows")
    assert _of(figures, "exact_match", 0).figure.value == pytest.approx(100 * 53 / 80)
    assert _of(figures, "exact_match", 2).figure.low == pytest.approx(95.4, abs=0.1)
    assert _of(figures, "exact_match", 2).figure.high == pytest.approx(100)
    assert signatures == {n: METRICS[n].signature for n in ("exact_match", "bleu", "chrf")}
    assert findings == []


def test_what_does_not_apply_is_said_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = replace(MEASURES["predict_bleu-4"], package=("nowhere_installed",))
    monkeypatch.setitem(MEASURES, "predict_bleu-4", lacking)

    scores, figures, _, findings = _evaluated(
        [["yes", "", "maybe"], ["", "", ""]], ["yes", "no", None],
        "exact_match", "perplexity", "json_fields", "pattern", "rouge_9", "predict_bleu-4",
    )  # fmt: skip

    assert scores["exact_match"] == [[100, 0, None], [0, 0, None]]
    assert {one.metric for one in figures} == {"exact_match"}
    assert _of(figures, "exact_match", 0).figure.rows == 2
    said = [t(f"evaluation.finding.{one.code}", "en", **one.values) for one in findings]
    told = {one.code: text for one, text in zip(findings, said, strict=True)}
    assert [one.code for one in findings] == [
        "metric_unknown", "metric_package", "metric_unfit", "metric_unfit", "metric_unfit",
        "answers_empty", "answers_empty",
    ]  # fmt: skip
    assert "rouge_9" in told["metric_unknown"]
    assert "llamafactory-metrics" in told["metric_package"]
    assert any("Perplexity" in text and "My set" in text for text in said)
    assert any("model 1" in text and "3" in text for text in said)
    assert "{" not in "".join(said)


def test_a_bad_pattern_is_a_finding_not_a_crash() -> None:
    rows = [TestRow(set=0, id="1")]
    config = CONFIG.changed(measure__metrics=["pattern"], measure__pattern="(")
    answers = [RowAnswer(candidate=0, row=0, text="x")]
    sets = [TestSet(name="s", title="s", fingerprint="", rows=1)]

    _, figures, _, findings = scoring.score_all(config, rows, answers, sets)

    assert (figures, [one.code for one in findings]) == ([], ["metric_pattern"])


def test_a_model_that_never_stops_is_named() -> None:
    rows = [TestRow(set=0, id=str(n), reference="a") for n in range(4)]
    answers = [RowAnswer(candidate=0, row=n, text="a a", reason="length") for n in range(4)]
    sets = [TestSet(name="s", title="s", fingerprint="", rows=4)]

    *_, findings = scoring.score_all(CONFIG, rows, answers, sets, _candidates(1))

    assert ("answers_cut", 4) in [(one.code, one.values.get("rows")) for one in findings]


def test_a_sentence_says_what_so_many_rows_can_show_and_how_many_would_do() -> None:
    draw = random.Random(4)
    wanted = [f"{n} is the number" for n in range(80)]
    first = [text if draw.random() < 0.5 else "no" for text in wanted]
    second = [text if draw.random() < 0.56 else "no" for text in wanted]

    def told(before: list[str], after: list[str], rows: int, lang: str = "en") -> str:
        texts = [before[:rows], after[:rows]]
        _, figures, _, _ = _evaluated(texts, wanted[:rows], "exact_match")
        return scoring.sentence(_of(figures, "exact_match", 1), lang)

    assert told(first, second, 80).startswith("no difference that these 80 rows can show; about ")
    few = told(first, second, 30)
    assert re.fullmatch(r"too few to tell: .* on these 30 rows, p = .*; about \d+ would be .*", few)
    assert told(first, second, 30, "zh").startswith("行数太少")
    # Whatever their number: rows that all point the same way are not luck.
    assert re.fullmatch(r"better by .*\], p < 0.001, on 30 rows", told(first, wanted, 30))
    assert told(["no"] * 5, wanted, 5).endswith("p = 0.062; about 6 would be needed")
    assert told(["no"], wanted, 1) == "too few to tell: a single row"
    assert told(first, first, 30) == "no difference: all 30 rows score the same"


def test_every_metric_has_a_name_and_an_explanation_in_both_languages() -> None:
    for name in MEASURES:
        for lang in ("en", "zh"):
            assert has(f"scoring.name.{name}", lang)
            assert has(f"scoring.help.{name}", lang)


# --- rows that changed -------------------------------------------------------


def test_flips_tell_fixed_from_broken_and_small_changes_from_both() -> None:
    rows = [TestRow(set=0, id=str(n), reference="x") for n in range(4)]
    texts = [["a", "x", "b", "c"], ["x", "y", "b", "d"]]
    answers = [
        RowAnswer(candidate=number, row=place, text=text)
        for number, own in enumerate(texts)
        for place, text in enumerate(own)
    ]
    scores = {
        "exact_match": [[0.0, 100.0, 0.0, None], [100.0, 0.0, 0.0, 0.0]],
        "perplexity": [[4.0, 2.0, 3.0, 2.0], [2.0, 4.0, 3.1, None]],
    }

    exact = flips(rows, answers, scores, "exact_match", 0, 1)
    unsure = flips(rows, answers, scores, "perplexity", 0, 1)

    assert [(one.row, one.kind) for one in exact] == [(0, "fixed"), (1, "broken"), (2, "same")]
    assert [one.kind for one in unsure] == ["fixed", "broken", "same"]
    assert [one.is_same_text for one in exact] == [False, False, True]
    assert exact[1].change == -100
