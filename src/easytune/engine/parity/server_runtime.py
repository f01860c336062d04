"""A model that a server runs, asked over HTTP as any client asks; see `Runtime`.

It tells the likeliest tokens of each place it writes, not all logits: greedy answers are compared
as by every gate, and of the predictions as much as it tells.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np

from easytune.data.tokenizer import ModelTokenizer
from easytune.engine.parity.prompts import Prompt
from easytune.engine.parity.reference import Said, log_softmax
from easytune.engine.parity.runtime import NoLogits
from easytune.errors import Unexpected

RIVALS = 20
"""Likeliest tokens that are asked for at each place: the most that OpenAI's API has."""
_PATIENCE_S = 300.0
# Others may ask the same server meanwhile.
_TRIES, _PAUSE_S = 120, 0.5
Likely = list[tuple[str, float]]


class ServerRuntime:
    """A server that answers like OpenAI's."""

    name = "server"

    def __init__(
        self, url: str, model: str, key: str, version: str, tokenizer: ModelTokenizer,
        said: Sequence[Said],
    ) -> None:  # fmt: skip
        """Ask `model` at `url`; `said` is what will be asked, and what the trained model said."""
        self.version, self._model, self._tokenizer = version, model, tokenizer
        self._said = {one.prompt.tokens: one for one in said}
        headers = {"authorization": f"Bearer {key or 'none'}"}
        # A proxy for the world outside has nothing to do with this machine.
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_PATIENCE_S, trust_env=False
        )
        self._texts = _unambiguous(tokenizer)
        self._likely: dict[tuple[int, ...], list[Likely]] = {}

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Raise NoLogits: a server tells the likeliest tokens only, see `divergence`."""
        raise NoLogits

    def greedy(self, tokens: Sequence[int], new_tokens: int) -> list[int]:
        """Return the likeliest tokens that follow. Raises Unexpected when it cannot answer."""
        one = self._said[tuple(tokens)]
        choice = self._asked(one.prompt, new_tokens)
        texts = self._told(one.prompt, choice)
        found = self._read(choice, one.answer) if texts is None else []
        for place, text in enumerate(texts or ()):
            expected = one.answer[place] if place < len(one.answer) else None
            # Several tokens may have the same text: then it is the one that was expected.
            is_it = expected is not None and self._text(expected) == text
            found.append(expected if is_it and expected is not None else self._texts.get(text, -1))
        ends = self._tokenizer.eos_ids
        left = one.answer[len(found) :]
        if choice.get("finish_reason") == "stop" and left and left[0] in ends:
            # The token that ends an answer is not part of it.
            found.append(left[0])
        return found

    def divergence(self) -> tuple[float, int] | None:
        """Return the mean KL over all places that both wrote alike, in nats, and how many.

        Tokens that the server does not tell count as one: never more than the whole KL. None
        where it tells nothing.
        """
        each = [kl for one in self._said.values() for kl in self._of(one)]
        return (math.fsum(each) / len(each), len(each)) if each else None

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def _of(self, one: Said) -> list[float]:
        found = []
        first = len(one.prompt.tokens) - 1
        rows = {int(place): row for row, place in enumerate(one.places)}
        likely = self._likely.get(one.prompt.tokens, [])
        for place, (expected, told) in enumerate(zip(one.answer, likely, strict=False)):
            row = rows.get(first + place)
            if row is not None and told:
                found.append(self._kl(log_softmax(np.asarray(one.logits[row : row + 1]))[0], told))
            if not told or told[0][0] != self._text(expected):
                break
        return found

    def _kl(self, trained: np.ndarray, told: Likely) -> float:
        known = {self._texts[text]: log for text, log in told if text in self._texts}
        ids = [token for token in known if token < len(trained)]
        p, q = np.exp(trained[ids]), np.array([math.exp(known[token]) for token in ids])
        rest = max(1e-12, 1 - float(p.sum())), max(1e-12, 1 - float(q.sum()))
        logs = trained[ids] - np.array([known[token] for token in ids])
        return max(0.0, float((p * logs).sum()) + rest[0] * math.log(rest[0] / rest[1]))

    def _asked(self, prompt: Prompt, new_tokens: int) -> dict[str, Any]:
        shared = {"model": self._model, "temperature": 0, "max_tokens": new_tokens}
        if prompt.messages:
            messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
            body = {**shared, "messages": messages, "logprobs": True, "top_logprobs": RIVALS}
            return self._post("/chat/completions", body)
        return self._post("/completions", {**shared, "prompt": prompt.text, "logprobs": RIVALS})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            reply = self._http.post(path.lstrip("/"), json=body)
            for _ in range(_TRIES):
                if reply.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    break
                time.sleep(_PAUSE_S)
                reply = self._http.post(path.lstrip("/"), json=body)
            reply.raise_for_status()
            return reply.json()["choices"][0]
        except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
            raise Unexpected(f"{path}: {error}") from error

    def _told(self, prompt: Prompt, choice: dict[str, Any]) -> list[str] | None:
        """Keep what is told of the places, and return the text of the token at each.

        None where the server tells no tokens.
        """
        told = choice.get("logprobs") or {}
        if content := told.get("content"):
            texts = [one["token"] for one in content]
            rivals = [[(r["token"], r["logprob"]) for r in one["top_logprobs"]] for one in content]
        elif told.get("tokens"):
            texts = told["tokens"]
            rivals = [list((one or {}).items()) for one in told.get("top_logprobs") or []]
        else:
            return None
        self._likely[prompt.tokens] = rivals
        return texts

    def _read(self, choice: dict[str, Any], expected: list[int]) -> list[int]:
        """Return the tokens of an answer that comes as a text only, which may be several."""
        text = choice.get("text") or (choice.get("message") or {}).get("content") or ""
        backend = self._tokenizer.backend
        if backend.decode(expected, skip_special_tokens=True).strip() == text.strip():
            return list(expected)
        return backend.encode(text, add_special_tokens=False).ids

    def _text(self, token: int) -> str:
        return _text(self._tokenizer, token)


def askable(prompts: Sequence[Prompt], tokenizer: ModelTokenizer) -> list[Prompt]:
    """Return the prompts that a server reads as the same tokens: none that were cut off."""
    encode: Callable[..., Any] = tokenizer.backend.encode
    return [
        prompt
        for prompt in prompts
        if tuple(encode(prompt.text, add_special_tokens=not prompt.messages).ids) == prompt.tokens
    ]


def _unambiguous(tokenizer: ModelTokenizer) -> dict[str, int]:
    """Return text -> token, for texts that only one token has."""
    found: dict[str, int] = {}
    several: set[str] = set()
    for token in range(tokenizer.backend.get_vocab_size()):
        text = _text(tokenizer, token)
        if text in found:
            several.add(text)
        found[text] = token
    return {text: token for text, token in found.items() if text not in several}


def _text(tokenizer: ModelTokenizer, token: int) -> str:
    """Return a token's text as our server tells it."""
    backend = tokenizer.backend
    return backend.decode([token], skip_special_tokens=False) or backend.id_to_token(token) or ""
