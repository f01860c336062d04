"""Which tokens are learned, for chat templates like those of real models."""

import os
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from easytune.config import DataSection
from easytune.data import tokenizer
from easytune.data.encoding import EncodedSet, Encoder, Example
from easytune.data.rows import Message, Row
from easytune.data.tokenizer import ModelTokenizer
from tests.data.models import CHATML, FAMILIES, model_folder

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

QUESTION, ANSWER = "What is the capital of France?", "Paris."
CONVERSATIONS = {
    "one answer": [("user", QUESTION), ("assistant", ANSWER)],
    "answer stands in the question": [("user", "Say a or assistant."), ("assistant", "a")],
    "several answers": [
        ("user", "Hello"),
        ("assistant", "Hello"),
        ("user", "Hello"),
        ("assistant", "Hello"),
        ("user", QUESTION),
        ("assistant", ANSWER),
    ],
    "system": [("system", "You are kind."), ("user", "Hello"), ("assistant", "I am fine.")],
    "system and several": [
        ("system", "You are kind."),
        ("user", "Hello"),
        ("assistant", "I am fine."),
        ("user", "again"),
        ("assistant", "I am fine."),
    ],
    "chinese and emoji": [
        ("user", "你好 👋🏽 天气？"),
        ("assistant", "👩‍👩‍👧 今天天气很好 🎉"),
        ("user", "🎉🎉"),
        ("assistant", "🎉"),
    ],
    "lines": [("user", "code"), ("assistant", "def add(a, b):\n    return a + b\n\n  - one")],
}


def row(turns: list[tuple[str, str]], number: int = 1) -> Row:
    messages = tuple(Message(role, content) for role, content in turns)  # type: ignore[arg-type]
    return Row(number, "test", messages)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: model_folder(root / name.replace(" ", "_"), name) for name in FAMILIES}


def encode(folder: Path, rows: list[Row], **options: object) -> EncodedSet:
    chosen = DataSection.model_validate(options)
    return Encoder(tokenizer.load(folder, chosen.chat_template), chosen).encode(rows)


def one(folder: Path, turns: list[tuple[str, str]], **options: object) -> Example:
    encoded = encode(folder, [row(turns)], **options)
    assert not encoded.dropped
    return encoded.examples[0]


def learned(folder: Path, example: Example) -> list[str]:
    """Return the text of each run of learned tokens."""
    backend = tokenizer.load(folder).backend
    runs = np.split(np.arange(len(example.trained)), np.flatnonzero(np.diff(example.trained)) + 1)
    kept = [run for run in runs if example.trained[run[0]]]
    return [
        backend.decode(example.input_ids[run].tolist(), skip_special_tokens=False) for run in kept
    ]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_exactly_the_answers_and_their_ends_are_learned(
    folders: dict[str, Path], name: str, conversation: str
) -> None:
    turns = CONVERSATIONS[conversation]
    example = one(folders[name], turns, thinking="off")
    answers = [content + FAMILIES[name].end for role, content in turns if role == "assistant"]
    if name == "without end":  # only the last answer can be given an end that is not in the text
        answers = [content for role, content in turns if role == "assistant"]
        answers[-1] += FAMILIES[name].end
    assert [text.lstrip(" ") for text in learned(folders[name], example)] == answers


@pytest.mark.parametrize("name", FAMILIES)
def test_with_history_masked_only_the_last_answer_is_learned(
    folders: dict[str, Path], name: str
) -> None:
    turns = CONVERSATIONS["several answers"]
    example = one(folders[name], turns, mask_history=True, thinking="off")
    found = [text.lstrip(" ") for text in learned(folders[name], example)]
    assert found == [ANSWER + FAMILIES[name].end]


@pytest.mark.parametrize("name", FAMILIES)
def test_training_on_all_learns_every_token_but_the_first(
    folders: dict[str, Path], name: str
) -> None:
    example = one(folders[name], CONVERSATIONS["several answers"], train_on="all")
    assert not example.trained[0]
    assert example.trained[1:].all()


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name].template])
@pytest.mark.parametrize("conversation", ["one answer", "several answers", "chinese and emoji"])
def test_ids_are_those_of_transformers(
    folders: dict[str, Path], name: str, conversation: str
) -> None:
    turns = CONVERSATIONS[conversation]
    reference: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folders[name])
    messages = [{"role": role, "content": content} for role, content in turns]
    expected = reference.apply_chat_template(messages, tokenize=True, return_dict=False)
    found = one(folders[name], turns).input_ids.tolist()
    if name == "without end":
        assert found[-1] == reference.eos_token_id
        text = reference.apply_chat_template(messages, tokenize=False)
        assert isinstance(text, str)
        expected = reference.encode(text.rstrip(), add_special_tokens=False)
        found = found[:-1]
    assert found == expected


def test_rendering_is_that_of_transformers(folders: dict[str, Path]) -> None:
    turns = CONVERSATIONS["several answers"][:-1]
    messages = [{"role": role, "content": content} for role, content in turns]
    for name, family in FAMILIES.items():
        if family.template is None:
            continue
        reference = AutoTokenizer.from_pretrained(folders[name])
        template = tokenizer.load(folders[name]).template
        for thinking in (None, True, False):
            switch = {} if thinking is None else {"enable_thinking": thinking}
            expected = reference.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, **switch
            )
            found = template.render(messages, add_generation_prompt=True, thinking=thinking)
            assert found == expected


def test_thoughts_of_the_last_answer_are_learned_and_earlier_ones_are_gone(
    folders: dict[str, Path],
) -> None:
    turns = [
        ("user", "Hello"),
        ("assistant", "<think>\nearly thought\n</think>\n\nHello there"),
        ("user", QUESTION),
        ("assistant", "<think>\nIt is Paris.\n</think>\n\nParis."),
    ]
    found = learned(folders["qwen 3"], one(folders["qwen 3"], turns))
    assert found == [
        "Hello there<|im_end|>",
        "<think>\nIt is Paris.\n</think>\n\nParis.<|im_end|>",
    ]


def test_an_answer_without_thoughts_learns_to_skip_them_unless_thinking_is_off(
    folders: dict[str, Path],
) -> None:
    turns = CONVERSATIONS["one answer"]
    folder = folders["qwen 3"]
    skipping = "<think>\n\n</think>\n\nParis.<|im_end|>"
    assert learned(folder, one(folder, turns)) == [skipping]
    assert learned(folder, one(folder, turns, thinking="off")) == ["Paris.<|im_end|>"]


def test_a_model_without_system_role_gets_it_with_the_first_question(
    folders: dict[str, Path],
) -> None:
    encoded = encode(folders["gemma"], [row(CONVERSATIONS["system"])])
    backend = tokenizer.load(folders["gemma"]).backend
    text = backend.decode(encoded.examples[0].input_ids.tolist(), skip_special_tokens=False)
    assert "<start_of_turn>user\nYou are kind.\n\nHello<end_of_turn>" in text
    assert encoded.notices == [("data.system_folded", {"rows": 1})]


def test_a_base_model_gets_a_plain_template_and_a_notice(folders: dict[str, Path]) -> None:
    encoded = encode(folders["base"], [row(CONVERSATIONS["one answer"])])
    assert encoded.notices == [("data.fallback_template", {})]
    assert tokenizer.load(folders["base"]).template_source == "fallback"


def test_the_plain_template_begins_as_the_base_model_is_used_to(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "base", adds_bos=True)
    loaded = tokenizer.load(folder)
    example = one(folder, CONVERSATIONS["one answer"])
    assert loaded.token(int(example.input_ids[0])) == "<s>"
    assert loaded.token(int(example.input_ids[1])) != "<s>"


def test_a_template_file_replaces_the_models_own(folders: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}", encoding="utf-8")
    example = one(folders["chatml"], CONVERSATIONS["one answer"], chat_template=str(file))
    assert learned(folders["chatml"], example) == [f"{ANSWER}]<|im_end|>"]


def test_a_template_that_rewrites_the_answer_costs_the_row_and_says_so(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "shouts.jinja"
    file.write_text(CHATML.replace("message.content", "message.content | upper"), encoding="utf-8")
    rows = [row([("user", "HELLO"), ("assistant", "hello")], number=7)]
    encoded = encode(folders["chatml"], rows, chat_template=str(file))
    assert [(p.number, p.code) for p in encoded.dropped] == [(7, "answer_not_found")]


def test_a_template_that_refuses_a_conversation_costs_that_row_only(
    folders: dict[str, Path],
) -> None:
    tools = row([("user", "a"), ("tool", "b"), ("assistant", "c")], number=2)
    encoded = encode(folders["gemma"], [row(CONVERSATIONS["one answer"]), tools])
    assert len(encoded.examples) == 1
    assert [(p.number, p.code) for p in encoded.dropped] == [(2, "template_failed")]
    assert encoded.dropped[0].values["reason"] == "Roles must alternate"


def test_a_role_the_template_leaves_out_costs_the_row(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "deaf.jinja"
    file.write_text(
        "{% for m in messages if m.role != 'tool' %}{{ m.content }}\n{% endfor %}", encoding="utf-8"
    )
    tools = row([("user", "a"), ("tool", "xyz"), ("assistant", "c")])
    encoded = encode(folders["chatml"], [tools], chat_template=str(file))
    assert [p.code for p in encoded.dropped] == ["not_rendered"]


def test_long_rows_are_cut_and_those_that_lose_their_answer_are_dropped(
    folders: dict[str, Path],
) -> None:
    long_answer = row([("user", "Hello"), ("assistant", "thank you " * 30)])
    long_question = row([("user", "thank you " * 30), ("assistant", "Hello")], number=2)
    encoded = encode(folders["chatml"], [long_answer, long_question], max_length=16)
    [example] = encoded.examples
    assert len(example.input_ids) == len(example.trained) == 16
    assert example.full_length > 60
    assert encoded.truncated == 1
    assert [(p.number, p.code) for p in encoded.dropped] == [(2, "truncated_away")]


def test_plain_text_is_learned_whole_and_ended(folders: dict[str, Path]) -> None:
    rows = [Row(1, "test", text="Hello there, 你好 🎉")]
    [example] = encode(folders["chatml"], rows, stage="pretrain").examples
    loaded = tokenizer.load(folders["chatml"])
    assert example.input_ids[-1] == loaded.eos_id
    assert loaded.backend.decode(example.input_ids[:-1].tolist()) == "Hello there, 你好 🎉"
    assert example.trained[1:].all()


def test_plain_text_begins_with_the_token_the_model_begins_texts_with(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "base", adds_bos=True)
    rows = [Row(1, "test", text="Hello there")]
    [example] = encode(folder, rows, stage="pretrain").examples
    assert tokenizer.load(folder).token(int(example.input_ids[0])) == "<s>"


def test_a_row_that_repeats_gives_the_same_example_each_time(folders: dict[str, Path]) -> None:
    first, second = row(CONVERSATIONS["one answer"]), row(CONVERSATIONS["lines"])
    examples = encode(folders["chatml"], [first, second, first]).examples
    assert [example.row for example in examples] == [first, second, first]
    assert examples[0].input_ids.tolist() == examples[2].input_ids.tolist()


def test_what_a_template_can_do_is_found_out(folders: dict[str, Path]) -> None:
    loaded: dict[str, ModelTokenizer] = {n: tokenizer.load(f) for n, f in folders.items()}
    assert [n for n, one in loaded.items() if one.template.knows_thinking] == ["qwen 3"]
    assert [n for n, one in loaded.items() if not one.template.supports_system] == ["gemma"]
    tagged = [n for n, one in loaded.items() if one.template.marks_answers]
    assert tagged == ["chatml tagged", "base"]
