"""A loaded model as lm-evaluation-harness asks it. Imported only where that package is installed.

Everything that makes a figure is the harness's own `HFLM`, so that figures agree with those of its
command line. Ours are only how many requests share a batch, what happens when memory runs out, and
that the user can stop.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found]
from torch import Tensor
from transformers import AutoTokenizer, LogitsProcessor, LogitsProcessorList

from easytune.engine import hardware
from easytune.engine.evaluating.batches import BatchSize
from easytune.engine.evaluating.progress import Progress
from easytune.engine.failures import classify
from easytune.engine.held import Held
from easytune.engine.reporting import Reporter
from easytune.errors import OutOfMemory

# As computed, in fp32, and as log-probabilities.
_LOGIT_BYTES = 12
_LOGITS_SHARE = 0.4


class StopAsked(Exception):
    """The user wants the evaluation to end."""


class Harness(HFLM):
    """One base model. Adapters are put in place around it, by whoever asks."""

    def __init__(
        self,
        held: Held,
        size: BatchSize,
        stop: Callable[[], bool],
        report: Reporter,
        *,
        allow_remote_code: bool,
    ) -> None:
        """Make it while no adapter is in place: the harness ties the weights of what it gets."""
        super().__init__(
            pretrained=held.model,
            tokenizer=_tokenizer(held.folder, allow_remote_code),
            max_length=held.context,
            batch_size="auto",
            # Else log-probabilities of half-precision models are rounded to three digits.
            softmax_dtype="float32",
        )
        self._held, self._size, self._stop = held, size, stop
        self._batch, self._filled = 1, 0
        self.candidate = 0
        """Place of the model whose adapter is in place, for whoever follows."""
        self._report, self._done = report, 0
        self._progress = Progress(report, 0)

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Return log-likelihoods without a bar that nobody sees."""
        self._begin(requests)
        return super().loglikelihood(requests, disable_tqdm=True)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Return log-likelihoods of whole texts without a bar that nobody sees."""
        self._begin(requests)
        self._batch = self._that_fit(self._longest(requests))
        return super().loglikelihood_rolling(requests, disable_tqdm=True)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Return answers without a bar that nobody sees."""
        self._begin(requests)
        self._batch = self._size.of(self._longest(requests) + self.max_gen_toks)
        return super().generate_until(requests, disable_tqdm=True)

    def _begin(self, requests: Sequence[Any]) -> None:
        self._progress, self._done = Progress(self._report, len(requests)), 0

    def _went_well(self, rows: int) -> None:
        self._size.fitted(rows)
        self._done += rows
        self._progress.tell(self._done, self.candidate, rows)

    def _detect_batch_size(self, requests: Sequence[Any] | None = None, pos: int = 0) -> int:
        """Return how many fit by what is known of the model, where the harness would try it out."""
        if requests is None:
            return self._batch
        _, context, continuation = requests[pos]
        return self._that_fit(min(self.max_length, len(context) + len(continuation)))

    def _batch_scheduler(self, pos: int, n_reordered_requests: Sequence[Any]) -> int:
        """Return the size of the batch that a request is in; the first of a batch is its longest.

        Asked for every request: a size that changes while a batch fills would never be reached.
        """
        if pos == 0 or not self._filled:
            self._batch, self._filled = self._detect_batch_size(n_reordered_requests, pos), 0
        self._filled = (self._filled + 1) % self._batch
        return self._batch

    def _that_fit(self, tokens: int) -> int:
        """Return how many texts can be read at once: the harness keeps the logits of all tokens."""
        free = hardware.free_memory_gb(self._held.device) * _LOGITS_SHARE * 1e9
        vocabulary = self.model.config.get_text_config(decoder=True).vocab_size
        return max(1, min(self._size.of(tokens), int(free / (tokens * vocabulary * _LOGIT_BYTES))))

    def _longest(self, requests: Sequence[Any]) -> int:
        longest = max((len(self.tok_encode(one.args[0])) for one in requests), default=1)
        return min(self.max_length, longest + 1)

    def _model_call(
        self, inps: Tensor, attn_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Return the logits; a batch that does not fit is computed in halves."""
        if self._stop():
            raise StopAsked
        try:
            found = super()._model_call(inps, attn_mask, labels)
        except (RuntimeError, MemoryError) as error:
            self._halve_or_raise(error, len(inps))
        else:
            self._went_well(len(inps))
            return found
        return torch.cat([self._model_call(half) for half in inps.chunk(2)])

    def _model_generate(
        self, context: Tensor, max_length: int, stop: list[str], **generation_kwargs: Any
    ) -> Tensor:
        """Return prompts with their answers; a batch that does not fit is computed in halves."""
        stopping = LogitsProcessorList([_UntilAsked(self._stop)])
        try:
            found = super()._model_generate(
                context, max_length, stop, logits_processor=stopping, **generation_kwargs
            )
        except (RuntimeError, MemoryError) as error:
            self._halve_or_raise(error, len(context))
        else:
            self._went_well(len(context))
            return found
        mask = generation_kwargs.pop("attention_mask").chunk(2)
        halves = [
            self._model_generate(half, max_length, stop, attention_mask=own, **generation_kwargs)
            for half, own in zip(context.chunk(2), mask, strict=True)
        ]
        width = max(half.shape[1] for half in halves)
        pad = self.tokenizer.pad_token_id
        return torch.cat(
            [torch.nn.functional.pad(h, (0, width - h.shape[1]), value=pad) for h in halves]
        )

    def _halve_or_raise(self, error: RuntimeError | MemoryError, rows: int) -> None:
        known = classify(error, None, Path(tempfile.gettempdir()))
        if not isinstance(known, OutOfMemory) or not self._size.halve(rows):
            raise error
        if self._held.device.type == "cuda":
            torch.cuda.empty_cache()


class _UntilAsked(LogitsProcessor):
    """Ends a generation when the user wants the evaluation to end."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._stop():
            raise StopAsked
        return scores


def _tokenizer(folder: Path, allow_remote_code: bool) -> Any:
    return AutoTokenizer.from_pretrained(
        str(folder), trust_remote_code=allow_remote_code, local_files_only=True
    )
