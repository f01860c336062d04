"""Follows answers from the event loop, and ends them when the client has gone."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from easytune.api.problems import ApiProblem, known
from easytune.services.chat import Answering, Update
from easytune.services.questions import LoadingModel, Waiting
from easytune.wire import Ended

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 15.0
"""How long an answer may take to begin before the client is told that the call goes on."""
POLLS_AT_ONCE = 64

Batches = AsyncIterator[list[Update]]


class HungUp(Exception):
    """The client has gone."""


class Followed:
    """An answering, read in threads: its iterator waits, and the event loop must not."""

    def __init__(self, answering: Answering, polls: CapacityLimiter) -> None:
        self.answering = answering
        self._polls = polls
        self._updates: Iterator[list[Update]] = answering.updates(every=POLL_SECONDS)
        self._ahead: list[list[Update]] = []

    async def began(self, request: Request) -> None:
        """Wait until something of an answer is there, or for `PATIENCE_SECONDS`.

        Raises ApiProblem when a column fails before that, and HungUp.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        async for batch in self.batches(request):
            self._ahead.append(batch)
            for update in batch:
                raise_failed(update)
            has_begun = any(not isinstance(update, Waiting | LoadingModel) for update in batch)
            if has_begun or time.monotonic() > deadline:
                return

    async def batches(self, request: Request | None = None) -> Batches:
        """Yield what happens, from the beginning, at least every `POLL_SECONDS`.

        With `request` HungUp is raised once its client has gone.
        """
        ahead, self._ahead = self._ahead, []
        for batch in ahead:
            yield batch
        while (batch := await self._next()) is not None:
            yield batch
            if request is not None and await request.is_disconnected():
                raise HungUp

    async def close(self) -> None:
        """Stop what still goes on; also while this task is being cancelled."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self.answering.close)

    async def _next(self) -> list[Update] | None:
        return await to_thread.run_sync(next, self._updates, None, limiter=self._polls)


class Follower:
    """Makes `Followed`s that share a bounded number of threads."""

    def __init__(self) -> None:
        self._polls: CapacityLimiter | None = None

    async def follow(self, ask: Callable[[], Answering]) -> Followed:
        """Ask, in a thread, and return what to follow. Raises what `ask` raises."""
        # Belongs to the event loop, which is not there yet when the API is built.
        self._polls = self._polls or CapacityLimiter(POLLS_AT_ONCE)
        return Followed(await to_thread.run_sync(ask), self._polls)


@asynccontextmanager
async def closing(followed: Followed) -> AsyncIterator[Followed]:
    """Close on the way out, however that is."""
    try:
        yield followed
    finally:
        await followed.close()


class EventStream(StreamingResponse):
    """Server-sent events of an answering; when the stream ends for any reason, so does it."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[str], followed: Followed) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(content, headers=headers)
        self._followed = followed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A client may go before the first event is asked for: the content's own `finally` would
        # never run then.
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._followed.close()


def raise_failed(update: Update) -> None:
    """Raise the ApiProblem of a column that failed."""
    if problem := failure(update):
        raise problem


def failure(update: Update) -> ApiProblem | None:
    """Return why a column failed, if it did."""
    if isinstance(update, Ended) and update.reason == "failed":
        return known(update.code, update.values)
    return None
