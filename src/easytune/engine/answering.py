"""One request: its columns made ready, put into batches, and answered."""

import gc
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from easytune.engine.answer_text import AnswerText, Detokenizer
from easytune.engine.attaching import Attached
from easytune.engine.decoding import Decoding, News, Row
from easytune.engine.failures import classify
from easytune.engine.held import Held
from easytune.engine.prompting import Prompt, Prompter
from easytune.engine.sampling import Sampler
from easytune.errors import EasyTuneError, OutOfMemory
from easytune.inference_errors import HostOutOfMemory
from easytune.wire import Began, Column, Ended, EndReason, Generate, Mode, Piece, Reply


@dataclass
class Asked:
    """A column that can be answered, and its clock."""

    place: int
    column: Column
    prompt: Prompt
    began: float = 0.0
    first: float | None = None
    tokens: int = 0


@dataclass(frozen=True)
class Group:
    """Columns that are computed together."""

    columns: list[Asked]
    mode: Mode


class Answering:
    """Answers one request. `cancelled` reads new orders and returns the columns to end."""

    def __init__(
        self,
        request: Generate,
        held: Held,
        prompter: Prompter,
        attached: Attached,
        send: Callable[[Reply], None],
        cancelled: Callable[[], set[int]],
        ended: Collection[int] = (),
    ) -> None:
        """`ended` are columns whose end was told before."""
        self._request, self._held, self._prompter = request, held, prompter
        self._attached, self._send, self._cancelled = attached, send, cancelled
        self._open = set(range(len(request.columns))) - set(ended)
        self._asked: list[Asked] = []

    def prepare(self) -> None:
        """Make prompts and adapters ready; columns that cannot be answered end here."""
        places = sorted(self._open)
        self._asked = [found for place in places if (found := self._ready(place))]

    def run(self) -> None:
        """Answer every column that was prepared; each ends exactly once, whatever happens."""
        for group in self._groups(self._asked):
            wanted = [one for one in group.columns if not self._end_if_cancelled(one)]
            if wanted:
                with self._ending_on_failure(wanted):
                    self._answer(wanted, group.mode)

    def _ready(self, place: int) -> Asked | None:
        """Return a column with its prompt and adapter at hand; None when it ended already."""
        column = self._request.columns[place]
        if place in self._cancelled():
            self._end(place, "cancelled")
            return None
        with self._ending_on_failure([Asked(place, column, Prompt((), 0))]):
            adapter = self._attached.get(column.adapter) if column.adapter else None
            template = adapter.template if adapter and adapter.template else self._held.template
            return Asked(place, column, self._prompter.prompt(column, template))
        return None

    def _groups(self, asked: Sequence[Asked]) -> list[Group]:
        """Put together what can be computed as one batch."""
        together: dict[object, list[Asked]] = {}
        for one in asked:
            key: object = one.column.adapter
            if self._attached.can_mix(one.column.adapter):
                key = "mixed"
            if not self._held.batches:
                key = one.place
            together.setdefault(key, []).append(one)
        if len(together) == 1:
            return [Group(some, "batch" if some[1:] else "alone") for some in together.values()]
        # Two columns with one adapter that cannot be mixed share a batch, but not with the rest.
        return [
            Group(some, "batch" if key == "mixed" and some[1:] else "in_turn")
            for key, some in together.items()
        ]

    def _answer(self, asked: list[Asked], mode: Mode) -> None:
        held = self._held
        with self._attached.applied([one.column.adapter for one in asked]) as use:
            for one in asked:
                self._begin(one, mode)
            decoding = Decoding(
                model=held.model,
                rows=[self._row(one) for one in asked],
                eos_ids=held.tokenizer.eos_ids,
                pad_id=held.tokenizer.pad_id,
                backend=held.tokenizer.backend,
                cancelled=self._cancelled,
                use=use,
            )
            by_place = {one.place: one for one in asked}
            for news in decoding.run():
                self._tell(by_place[news.row.column], news)

    def _row(self, one: Asked) -> Row:
        sampling, prompt = one.column.sampling, one.prompt
        before = prompt.ids if prompt.goes_on else ()
        detokenizer = Detokenizer(self._held.tokenizer.backend, before)
        return Row(
            column=one.place,
            prompt=prompt.ids,
            limit=prompt.limit,
            sampler=Sampler(sampling, prompt.ids, self._held.device),
            text=AnswerText(detokenizer, sampling.stop),
            logprobs=one.column.logprobs,
        )

    def _begin(self, one: Asked, mode: Mode) -> None:
        one.began = time.perf_counter()
        self._send(
            Began(
                request=self._request.request,
                column=one.place,
                prompt_tokens=len(one.prompt.ids),
                dropped=one.prompt.dropped,
                limit=one.prompt.limit,
                opens_thinking=one.prompt.opens_thinking,
                mode=mode,
            )
        )

    def _tell(self, one: Asked, news: News) -> None:
        one.tokens = news.row.tokens
        if one.first is None and news.ended != "cancelled":
            one.first = time.perf_counter() - one.began
        if news.shown.text or news.shown.chances:
            self._send(
                Piece(
                    request=self._request.request,
                    column=one.place,
                    text=news.shown.text,
                    tokens=one.tokens,
                    chances=news.shown.chances,
                )
            )
        if news.ended:
            self._end(one.place, news.ended, one)

    def _end_if_cancelled(self, one: Asked) -> bool:
        if one.place not in self._cancelled():
            return False
        self._end(one.place, "cancelled")
        return True

    def _end(
        self,
        place: int,
        reason: EndReason,
        one: Asked | None = None,
        error: EasyTuneError | None = None,
    ) -> None:
        self._open.discard(place)
        began = one is not None and one.began > 0
        self._send(
            Ended(
                request=self._request.request,
                column=place,
                reason=reason,
                prompt_tokens=len(one.prompt.ids) if one else 0,
                completion_tokens=one.tokens if one else 0,
                first_token_seconds=one.first if one else None,
                seconds=time.perf_counter() - one.began if one and began else 0.0,
                code=error.code() if error else "",
                values=error.values if error else {},
            )
        )

    @contextmanager
    def _ending_on_failure(self, asked: Sequence[Asked]) -> Iterator[None]:
        """Turn any failure into the end of the columns it befell; the host lives on."""
        try:
            yield
            return
        # An edge: whatever a request does wrong, the next one must be answered.
        except Exception as error:  # noqa: BLE001
            known, is_odd = self._known(error), not isinstance(error, EasyTuneError)
            if is_odd:
                traceback.print_exc(file=sys.stderr)
        # Out here the failed computation's frames, and what they held, are gone.
        if is_odd:
            self._give_back(known)
        for one in asked:
            if one.place in self._open:
                self._end(one.place, "failed", one, known)

    def _give_back(self, known: EasyTuneError) -> None:
        if isinstance(known, HostOutOfMemory):
            self._attached.release()
        gc.collect()
        if self._held.device.type == "cuda":
            torch.cuda.empty_cache()

    def _known(self, error: Exception) -> EasyTuneError:
        known = classify(error, None, self._held.folder)
        if isinstance(known, OutOfMemory):
            return HostOutOfMemory(device=self._held.device.type)
        return known
