"""Scores of answers: as sacrebleu and rouge_score compute them, and Chinese counts."""

import random
import time

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from easytune.metrics import METRICS

ENGLISH = ["the", "a", "cat", "sat", "on", "mat", "dog's", "12", "v2.0", "Hello,", "end_of", "x-y"]
CHINESE = list("今天天气很好我们去公园玩。，12a")
TEXTS = ["x", "Hello, world", "你好", "今天天气很好。", "今日はいい天気", "สวัสดีครับ",
         "안녕하세요 세계", "नमस्ते", "👍", "?!", "a\nb", "𠀀", "e\u0301"]  # fmt: skip


def _texts(words: list[str], glue: str, seed: int, count: int = 80) -> list[str]:
    draw = random.Random(seed)
    return [glue.join(draw.choices(words, k=draw.randint(1, 20))) for _ in range(count)]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_same_text_scores_100_and_no_text_0(name: str, text: str) -> None:
    metric = METRICS[name]

    assert metric.score(text, text) == pytest.approx(100, abs=1e-9)
    assert metric.corpus([text, text], [text, text]) == pytest.approx(100, abs=1e-9)
    assert metric.score("", text) == 0
    assert metric.score(" \n", text) == 0
    assert metric.corpus([""], [text]) == 0


@pytest.mark.parametrize("name", METRICS)
def test_nothing_to_score_is_no_accident(name: str) -> None:
    metric = METRICS[name]

    assert metric.corpus([], []) == 0
    assert metric.score("", "") == 0
    assert metric.score("something", "") == 0


@pytest.mark.parametrize("name", ["bleu", "rouge_l", "chrf"])
def test_a_nearly_right_chinese_answer_is_between(name: str) -> None:
    near = METRICS[name].score("今天天气非常好，我们去公园。", "今天天气很好，我们去公园。")
    far = METRICS[name].score("我不知道这件事情是什么。", "今天天气很好，我们去公园。")

    assert 50 < near < 100
    assert far < 30


def test_english_scores_are_those_of_sacrebleu() -> None:
    answers, references = _texts(ENGLISH, " ", 1), _texts(ENGLISH, " ", 2)

    for answer, reference in zip(answers, references, strict=True):
        bleu = sacrebleu.sentence_bleu(answer, [reference]).score
        chrf = sacrebleu.sentence_chrf(answer, [reference]).score
        assert METRICS["bleu"].score(answer, reference) == pytest.approx(bleu, abs=1e-6)
        assert METRICS["chrf"].score(answer, reference) == pytest.approx(chrf, abs=1e-6)
    whole = sacrebleu.corpus_bleu(answers, [references]).score
    assert METRICS["bleu"].corpus(answers, references) == pytest.approx(whole)
    whole = sacrebleu.corpus_chrf(answers, [references]).score
    assert METRICS["chrf"].corpus(answers, references) == pytest.approx(whole)


def test_chinese_scores_are_those_of_sacrebleu_with_its_chinese_tokenizer() -> None:
    answers = _texts(CHINESE, "", 3)
    references = [f"今天{text}" for text in _texts(CHINESE, "", 4)]

    expected = sacrebleu.corpus_bleu(answers, [references], tokenize="zh").score

    assert expected > 0
    assert METRICS["bleu"].corpus(answers, references) == pytest.approx(expected)


def test_rouge_is_that_of_rouge_score() -> None:
    scorer = RougeScorer(["rougeL"])

    for answer, reference in zip(_texts(ENGLISH, " ", 5), _texts(ENGLISH, " ", 6), strict=True):
        expected = scorer.score(reference, answer)["rougeL"].fmeasure * 100
        assert METRICS["rouge_l"].score(answer, reference) == pytest.approx(expected)


def test_exact_match_forgives_white_space_and_composition_and_nothing_else() -> None:
    score = METRICS["exact_match"].score

    assert score(" Cafe\u0301  au\nlait ", "Café au lait") == 100
    assert score("café au lait", "Café au lait") == 0
    assert score("Café au lait.", "Café au lait") == 0
    assert METRICS["exact_match"].corpus(["a", "b", "c", "d"], ["a", "x", "c", "x"]) == 50


def test_very_long_answers_are_scored_in_a_moment() -> None:
    long = "".join(random.Random(7).choices(CHINESE, k=30_000))

    begun = time.process_time()
    scores = [metric.score(long, long[::-1]) for metric in METRICS.values()]

    assert time.process_time() - begun < 5
    assert all(0 <= score < 100 for score in scores)


def test_signatures_say_which_sacrebleu_and_which_tokens() -> None:
    assert f"version:{sacrebleu.__version__}" in METRICS["bleu"].signature
    assert "tok:13a,zh,char" in METRICS["bleu"].signature
    assert list(METRICS) == ["exact_match", "bleu", "rouge_l", "chrf"]
