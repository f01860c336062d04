"""A judge behind an OpenAI-compatible address, asked several questions at once."""

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from easytune.evaluation import JudgeSection

Take = Callable[[int, str | None], None]
"""Told the place of a question and its reply; None when the judge could not answer it."""

PAUSES_S = (0.5, 1.5, 4.0)
"""Seconds between attempts at one question."""
_AT_ONCE = 8
_LONGEST_PAUSE_S = 60.0
_LONGEST_REPLY_TOKENS = 1024
_POLL_S = 0.2
_TIMEOUT = httpx.Timeout(120.0, connect=10.0)
_FAILURES_IN_A_ROW = 3
# What may pass by itself: too many requests, busy, restarting.
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
_THIS_QUESTION = {400, 413, 422}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class JudgeProblem(Exception):
    """Why the judge cannot go on: a finding's code and values."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code, values)
        self.code, self.values = code, values


class Endpoint:
    """Asks `/chat/completions` of one address. The key goes into the request, and nowhere else."""

    def __init__(
        self, options: JudgeSection, key: str, pauses: Sequence[float] | None = None
    ) -> None:
        """`pauses` are other seconds between attempts."""
        self._url, self._key = chat_url(options.url), key.strip()
        if not (self._key.isascii() and self._key.isprintable()):
            # No header can carry it, and whoever refuses it would say so with the key.
            raise JudgeProblem("judge_key_unusable", variable=options.key_variable)
        self._pauses = tuple(PAUSES_S if pauses is None else pauses)
        self._shown = re.sub(r"//[^/@]*@", "//", options.url.strip())
        self._options: dict[str, Any] = {
            "model": options.model,
            "temperature": 0,
            "max_tokens": _LONGEST_REPLY_TOKENS,
        }
        self._answered = False
        self._failures = 0

    def ask(self, questions: Sequence[str], take: Take, stop: Callable[[], bool]) -> None:
        """Ask all questions, telling each reply as it comes; a stop drops those on their way.

        Raises JudgeProblem when the address cannot be reached or refuses to answer.
        """
        asyncio.run(self._ask(questions, take, stop))

    async def _ask(self, questions: Sequence[str], take: Take, stop: Callable[[], bool]) -> None:
        waiting = iter(enumerate(questions))
        running: dict[asyncio.Task[str | None], int] = {}
        async with self._client() as client:
            try:
                while not stop():
                    # The first question goes alone: it tells whether there is a judge at all.
                    room = (_AT_ONCE if self._answered else 1) - len(running)
                    for place, question in itertools.islice(waiting, room):
                        running[asyncio.create_task(self._reply(client, question))] = place
                    if not running:
                        return
                    done, _ = await asyncio.wait(
                        running, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        take(running.pop(task), task.result())
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    def _client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            is_here = httpx.URL(self._url).host in _LOOPBACK
        except httpx.InvalidURL as error:
            raise JudgeProblem("judge_unreachable", url=self._shown, reason=str(error)) from error
        # No proxy knows what listens on this machine.
        return httpx.AsyncClient(headers=headers, timeout=_TIMEOUT, trust_env=not is_here)

    async def _reply(self, client: httpx.AsyncClient, question: str) -> str | None:
        """Return the reply to one question, None when the judge fails at this one alone."""
        problem = JudgeProblem("judge_unreachable", url=self._shown, reason="")
        for pause in (*self._pauses, None):
            wait = pause
            try:
                response = await self._post(client, question)
            except httpx.TransportError as error:
                problem = self._unreachable(error)
            else:
                if response.status_code == httpx.codes.OK:
                    self._answered, self._failures = True, 0
                    return _text(response)
                problem = self._refused(response)
                if response.status_code in _THIS_QUESTION and self._answered:
                    return None
                if response.status_code not in _PASSING:
                    raise problem
                wait = pause and max(pause, _asked_to_wait(response))
            if wait is not None:
                await asyncio.sleep(wait)
        self._failures += 1
        if self._answered and self._failures < _FAILURES_IN_A_ROW:
            return None
        raise problem

    async def _post(self, client: httpx.AsyncClient, question: str) -> httpx.Response:
        messages = [{"role": "user", "content": question}]
        response = await client.post(self._url, json=self._options | {"messages": messages})
        while response.status_code == httpx.codes.BAD_REQUEST and self._adapt(response.text):
            response = await client.post(self._url, json=self._options | {"messages": messages})
        return response

    def _adapt(self, complaint: str) -> bool:
        """Give up an option that this judge does not take; tell whether there was one."""
        if "max_completion_tokens" in complaint and "max_tokens" in self._options:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
            return True
        if "temperature" in complaint and "temperature" in self._options:
            del self._options["temperature"]
            return True
        return False

    def _unreachable(self, error: httpx.TransportError) -> JudgeProblem:
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            reason = "@evaluation.judge_slow"
        return JudgeProblem("judge_unreachable", url=self._shown, reason=_short(reason))

    def _refused(self, response: httpx.Response) -> JudgeProblem:
        return JudgeProblem(
            "judge_refused",
            url=self._shown,
            status=response.status_code,
            reason=_short(self._without_key(_complaint(response))),
        )

    def _without_key(self, text: str) -> str:
        """Return a text of the judge without our key: some repeat it where they refuse it."""
        return text.replace(self._key, "…") if self._key else text


def chat_url(url: str) -> str:
    """Return where an API's chat lies: what people copy ends in /v1 or is the whole address."""
    plain = url.strip().rstrip("/")
    return plain if plain.endswith("/chat/completions") else f"{plain}/chat/completions"


def _text(response: httpx.Response) -> str:
    """Return what a reply says; "" for one that is not what this API sends."""
    try:
        content = response.json()["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return ""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _complaint(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
    except (ValueError, LookupError, TypeError):
        return response.reason_phrase
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def _asked_to_wait(response: httpx.Response) -> float:
    """Return the seconds that a busy judge asks us to wait, within reason."""
    wish = response.headers.get("retry-after", "0")
    try:
        seconds = float(wish)
    except ValueError:
        seconds = _seconds_until(wish)
    # Also for what is no number: a comparison with it is false.
    return min(_LONGEST_PAUSE_S, seconds) if seconds > 0 else 0.0


def _seconds_until(date: str) -> float:
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _short(text: str) -> str:
    return " ".join(text.split())[:200].rstrip(" .:")
