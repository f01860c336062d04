"""The likelihood of known answers is that of a plain loop over the model's own forward."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from easytune.engine.evaluating import candidates, likelihood
from easytune.engine.evaluating.candidates import Asked
from easytune.engine.evaluating.likelihood import Likelihoods
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import Order, TestRow
from easytune.wire import Turn
from tests.engine import evaluated, tiny
from tests.engine.asking import said, save_adapter

ROWS = [
    TestRow(set=0, id="1", messages=said("colour 1"), reference="it is blue"),
    TestRow(set=0, id="2", messages=said("hi", "hello", "how are you? 你好"), reference="很好 🙂"),
    TestRow(set=0, id="3", prompt="hello", reference=" world, how are you"),
    TestRow(
        set=0,
        id="4",
        messages=(Turn(role="system", content="be brief"), *said("the answer?")),
        reference="blue",
        choices=("red", "it is blue, I think", "blue", "the world"),
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def asked(folder: Path) -> Asked:
    one = evaluated.base(folder)
    config = EvaluateConfig().changed(loading__precision="fp32")
    return candidates.load(one, Order(config=config, candidates=(one,)))


@cache
def _plain(folder: Path, adapter: Path | None) -> tuple[Any, Any]:
    """Return model and tokenizer as transformers and PEFT have them."""
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter))
    return model.eval(), AutoTokenizer.from_pretrained(str(folder))


def _plain_loop(folder: Path, adapter: Path | None, row: TestRow, text: str) -> tuple[float, int]:
    """Return NLL and tokens of an answer, token by token."""
    model, tokenizer = _plain(folder, adapter)
    prompt = row.prompt
    if prompt is None:
        turns = [turn.model_dump() for turn in row.messages]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    whole = tokenizer(
        f"{prompt}{text}{tokenizer.eos_token}",
        add_special_tokens=False,
        return_offsets_mapping=True,
    )
    ids, offsets = whole["input_ids"], whole["offset_mapping"]
    answer = [place for place, (_, end) in enumerate(offsets) if end > len(prompt)]
    total = 0.0
    with torch.no_grad():
        for place in answer:
            logits = model(torch.tensor([ids[:place]])).logits[0, -1]
            total -= float(logits.double().log_softmax(-1)[ids[place]])
    return total, len(answer)


@pytest.mark.parametrize("tuned", [False, True])
def test_perplexity_is_that_of_a_plain_loop(
    folder: Path, adapter: Path, asked: Asked, tuned: bool
) -> None:
    own = adapter if tuned else None
    found = Likelihoods(asked, str(own) if own else None).measure(ROWS)

    wanted = [_plain_loop(folder, own, row, row.reference or "") for row in ROWS]
    assert [one.reference_tokens for one in found] == [tokens for _, tokens in wanted]
    assert [one.nll for one in found] == pytest.approx([nll for nll, _ in wanted], rel=1e-5)
    perplexity = math.exp(sum(one.nll or 0 for one in found) / sum(n for _, n in wanted))
    assert perplexity == pytest.approx(
        math.exp(sum(nll for nll, _ in wanted) / sum(n for _, n in wanted)), rel=1e-5
    )


@pytest.mark.parametrize("tuned", [False, True])
def test_the_likeliest_choice_is_that_of_a_plain_loop(
    folder: Path, adapter: Path, asked: Asked, tuned: bool
) -> None:
    own, row = adapter if tuned else None, ROWS[3]
    each = [_plain_loop(folder, own, row, text) for text in row.choices]
    means = [nll / tokens for nll, tokens in each]

    (found,) = Likelihoods(asked, str(own) if own else None).measure([row])

    assert found.choice == means.index(min(means))


def test_reading_in_small_parts_changes_nothing(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Likelihoods(asked, None).measure(ROWS)
    monkeypatch.setattr(likelihood, "_TOKENS_AT_ONCE", 1)

    alone = Likelihoods(asked, None).measure(ROWS)

    assert [one.nll for one in alone] == pytest.approx([one.nll for one in together], rel=1e-5)


def test_what_has_no_answer_or_does_not_fit_is_left_out(asked: Asked) -> None:
    question = said("colour 1")
    rows = [
        TestRow(set=0, id="1", messages=question),
        TestRow(set=0, id="2", messages=question, reference=""),
        TestRow(set=0, id="3", messages=question, reference="blue " * 300),
        ROWS[0],
    ]

    found = Likelihoods(asked, None).measure(rows)

    assert [one.nll is None for one in found] == [True, True, True, False]


def test_the_model_answers_as_before_after_it_was_read(asked: Asked, adapter: Path) -> None:
    inputs = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = asked.held.model(inputs).logits
        Likelihoods(asked, str(adapter)).measure(ROWS)
        asked.attached.release()
        assert torch.equal(asked.held.model(inputs).logits, before)
