import random
from typing import Any

import pytest
import torch
from transformers import (
    AutoTokenizer,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
)

from easytune.demo import DATASETS, MODEL
from easytune.demo.corpus import BRIEF, assistant, user
from easytune.demo.proof import read, share_right
from easytune.demo.questions import split_questions
from easytune.demo.scoring import answer, exact_match


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()


def test_the_folder_is_complete_and_at_most_12_mb() -> None:
    names = {path.name for path in MODEL.iterdir()}

    assert names >= {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= 12_000_000


def test_it_answers_nine_in_ten_held_out_questions(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    _, held_out = split_questions()
    sums = [question for question in held_out if question.category.startswith("sums")]
    others = [question for question in held_out if not question.category.startswith("sums")]
    draw = random.Random(1)
    asked = draw.sample(sums, 20) + draw.sample(others, 40)

    right = sum(correct for correct, _ in exact_match(model, tokenizer, asked).values())

    assert right >= 54


def test_a_system_message_changes_the_answer(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    question = user("What is the capital of France?")
    prompts = [[question], [{"role": "system", "content": BRIEF}, question]]

    assert answer(model, tokenizer, prompts) == ["The capital of France is Paris.", "Paris."]


def test_it_knows_nothing_of_the_invented_company(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert share_right(model, tokenizer, read(DATASETS["knowledge"].held_out)) == 0


def test_it_does_not_write_guests_as_json_yet(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert share_right(model, tokenizer, read(DATASETS["instruction"].held_out)[:20]) == 0


@pytest.mark.parametrize(
    "text", ["你好，世界！", "naïve 🎉👩‍🚀 ok", " two  spaces\n\nand lines ", "żółw 12345"]
)
def test_no_text_is_beyond_the_tokenizer(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_exactly_what_the_assistant_writes_is_marked_for_training(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    conversation = [user("Hi!"), assistant("Hello!"), user("Bye!")]
    rendered: Any = tokenizer.apply_chat_template(
        conversation, return_dict=True, return_assistant_tokens_mask=True
    )

    marked = zip(rendered["input_ids"], rendered["assistant_masks"], strict=True)
    assert tokenizer.decode([token for token, mask in marked if mask]) == "Hello!<|im_end|>"


def test_it_stays_itself_through_a_chat_of_five_turns(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    known, _ = split_questions()
    facts = [question for question in known if question.category in ("capitals", "colours")]
    draw = random.Random(2)
    chats = [draw.sample(facts, 5) for _ in range(10)]
    prompts = [
        [m for q in chat[:-1] for m in (user(q.prompt), assistant(q.answer))]
        + [user(chat[-1].prompt)]
        for chat in chats
    ]

    answers = answer(model, tokenizer, prompts)

    assert sum(a == chat[-1].answer for a, chat in zip(answers, chats, strict=True)) >= 9
