"""OpenAI's own client against the running app, unchanged."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.api.calls import ENDLESS, QUESTION, answering, wait_until_idle
from tests.services import trained

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


@pytest.fixture(scope="module")
def client(api: str) -> Iterator[OpenAI]:
    """The client as its users make it; on this machine it needs no key."""
    with OpenAI(base_url=f"{api}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_models_are_listed_and_found_by_name(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]

    assert "demo" in listed
    assert client.models.retrieve("demo").id == "demo"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("nobody/has-this@50")
    assert missing.value.code == "model_not_found"
    assert "nobody/has-this@50" in missing.value.message


def test_a_chat_is_answered_with_usage_and_a_reason(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=MESSAGES, temperature=0)

    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    cut = client.chat.completions.create(
        model="demo", messages=MESSAGES, temperature=0, max_completion_tokens=2
    )
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 2


def test_a_stream_says_the_same_bit_by_bit(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="demo", messages=MESSAGES, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model="demo", messages=MESSAGES, temperature=0, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip

    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert len([text for text in texts if text]) > 2
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == [
        "stop"
    ]
    assert chunks[-1].usage == whole.usage


def test_a_seed_repeats_an_answer_and_several_choices_differ(client: OpenAI) -> None:
    def ask(seed: int) -> list[str | None]:
        given = client.chat.completions.create(
            model=ENDLESS, messages=MESSAGES, temperature=2, seed=seed, n=3, max_tokens=12,
        )  # fmt: skip
        return [choice.message.content for choice in given.choices]

    first = ask(-5)
    assert ask(-5) == first
    assert len(set(first)) > 1


def test_an_answer_ends_before_a_stop_text(client: OpenAI) -> None:
    for stop in (" is", ["nothing like it", " is"]):
        answer = client.chat.completions.create(
            model="demo", messages=MESSAGES, temperature=0, stop=stop
        )
        assert answer.choices[0].message.content == "The capital of France"
        assert answer.choices[0].finish_reason == "stop"


def test_probabilities_come_with_their_rivals(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo", messages=MESSAGES, temperature=0, logprobs=True, top_logprobs=3
    )

    assert answer.choices[0].logprobs is not None
    tokens = answer.choices[0].logprobs.content or []
    assert "".join(token.token for token in tokens).startswith("The capital of France")
    assert all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in tokens)
    assert tokens[0].top_logprobs[0].token == tokens[0].token


def test_texts_are_gone_on_with(client: OpenAI) -> None:
    given: dict[str, Any] = {"model": "demo", "temperature": 0, "max_tokens": 4}
    whole = client.completions.create(prompt=["The capital of France", "Hello"], echo=True, **given)
    stream = client.completions.create(prompt="The capital of France", stream=True, **given)

    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.choices[0].text.startswith("The capital of France")
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 8
    text = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    assert whole.choices[0].text == f"The capital of France{text}"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0.content"),
        ({"temperature": 2.5}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 9}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"top_logprobs": 2}, "top_logprobs"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_its_name(
    client: OpenAI, changes: dict[str, Any], param: str
) -> None:
    asked: dict[str, Any] = {"model": "demo", "messages": MESSAGES} | changes

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**asked)

    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"


def test_what_changes_nothing_is_accepted(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo",
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        ],
        temperature=0, max_tokens=4, user="me", frequency_penalty=0, logit_bias={},
        response_format={"type": "text"}, top_p=0, store=False,
        extra_body={"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "unheard_of": 1,
                    "chat_template_kwargs": {"enable_thinking": False}},
    )  # fmt: skip

    assert answer.choices[0].message.content


def test_the_asynchronous_client_answers_many_at_once(api: str) -> None:
    async def stream(client: AsyncOpenAI) -> str:
        chunks = await client.chat.completions.create(
            model="demo", messages=MESSAGES, temperature=0, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async def ask() -> list[str]:
        async with AsyncOpenAI(base_url=f"{api}/v1", api_key="none", max_retries=0) as client:
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="nobody", messages=MESSAGES)
            return await asyncio.gather(*(stream(client) for _ in range(4)))

    answers = asyncio.run(ask())

    assert all("Paris" in answer for answer in answers)


def test_a_client_that_hangs_up_ends_its_answer(client: OpenAI, api: str) -> None:
    stream = client.chat.completions.create(
        model=ENDLESS, messages=MESSAGES, stream=True, max_tokens=100_000
    )
    next(iter(stream))
    assert len(answering(api)) == 1
    stream.close()

    wait_until_idle(api)


def test_a_client_that_hangs_up_while_it_waits_ends_its_answer(api: str) -> None:
    body = {"model": ENDLESS, "prompt": QUESTION, "max_tokens": 100_000, "n": 2}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{api}/v1/completions", json=body, timeout=1)

    wait_until_idle(api)


def test_a_killed_host_is_told_and_the_next_call_is_answered(
    client: OpenAI, shared_app: Any
) -> None:
    stream = client.chat.completions.create(model=ENDLESS, messages=MESSAGES, stream=True)
    next(iter(stream))
    for host in _hosts(shared_app):
        host.kill()
    with pytest.raises(openai.APIError, match="was ended from outside"):
        list(stream)

    again = client.chat.completions.create(model=ENDLESS, messages=MESSAGES, max_tokens=3)
    assert again.usage is not None
    assert again.usage.completion_tokens == 3


def test_adapters_and_checkpoints_are_called_by_name(
    client: OpenAI, shared_app: Any, trained_home: Path
) -> None:
    run = trained.copy_runs(trained_home, shared_app.home)

    for name in (run, f"{run}@2"):
        assert client.models.retrieve(name).id == name
        answer = client.chat.completions.create(model=name, messages=MESSAGES, max_tokens=8)
        assert answer.model == name
        assert answer.choices[0].message.content


def _hosts(server: Any) -> list[psutil.Process]:
    """Return the processes that hold models."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return [child for child in children if "easytune.engine.host" in child.cmdline()]
