"""Answers of the model in its present state to a few fixed prompts."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from easytune.config import TrainConfig
from easytune.data.rows import Message, Row
from easytune.engine import probe
from easytune.engine.models import Loaded
from easytune.engine.trainer import unchanged_random_state
from easytune.events import Sample

if TYPE_CHECKING:
    from easytune.data.tokenizer import ModelTokenizer

_PROMPTS, _PLAIN_CHARACTERS = 3, 200


class Answers:
    """Answers the run's fixed prompts, greedily, all in one batch."""

    def __init__(
        self,
        loaded: Loaded,
        tokenizer: "ModelTokenizer",
        config: TrainConfig,
        held_out: Sequence[Row],
        stop: Callable[[], bool],
    ) -> None:
        self.loaded, self.tokenizer = loaded, tokenizer
        self.longest, self.stop = config.monitor.sample_tokens, stop
        self.prompts = prompts(tokenizer, config, held_out)

    def __call__(self) -> list[Sample]:
        """Return the answers now; the run goes on as if nothing had been asked."""
        if not self.prompts or not self.longest or self.stop():
            return []
        with unchanged_random_state(), _ready_to_answer(self.loaded):
            answers = self._answer([rendered for _, rendered in self.prompts])
        pairs = zip(self.prompts, answers, strict=True)
        return [Sample(prompt=shown, answer=answer) for (shown, _), answer in pairs]

    def _answer(self, rendered: list[str]) -> list[str]:
        encode = self.tokenizer.backend.encode
        rows = [encode(text, add_special_tokens=False).ids for text in rendered]
        width, pad = max(map(len, rows)), self.tokenizer.pad_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        found = self.loaded.model.generate(
            input_ids=ids.to(self.loaded.device),
            attention_mask=mask.to(self.loaded.device),
            max_new_tokens=self.longest,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            eos_token_id=sorted(self.tokenizer.eos_ids),
            pad_token_id=pad,
            stopping_criteria=StoppingCriteriaList([_WhenAsked(self.stop)]),
        )
        return [self._text(row) for row in found[:, width:].tolist()]

    def _text(self, ids: list[int]) -> str:
        ends = [place for place, token in enumerate(ids) if token in self.tokenizer.eos_ids]
        ids = ids[: ends[0]] if ends else ids
        return self.tokenizer.backend.decode(ids, skip_special_tokens=True).strip()


def prompts(
    tokenizer: "ModelTokenizer", config: TrainConfig, held_out: Sequence[Row]
) -> list[tuple[str, str]]:
    """Return (what is shown, what the model gets) for each prompt of a run."""
    thinking = {"auto": None, "on": True, "off": False}[config.data.thinking]
    if config.monitor.sample_prompts:
        asked: list[Any] = [[Message("user", text)] for text in config.monitor.sample_prompts]
    else:
        asked = [found for row in held_out if (found := _prompt(row))][:_PROMPTS]
    result = []
    for prompt in asked:
        if isinstance(prompt, str):
            result.append((prompt, prompt))
        else:
            turns = tokenizer.template.fold_system(prompt)
            text = tokenizer.template.render(turns, add_generation_prompt=True, thinking=thinking)
            result.append((prompt[-1].content, text))
    return result


def _prompt(row: Row) -> list[Message] | str | None:
    """Return a row up to its last question; of plain text, the beginning."""
    if row.text is not None:
        return row.text[:_PLAIN_CHARACTERS] or None
    messages = list(row.messages or ())
    while messages and messages[-1].role != "user":
        messages.pop()
    return messages or None


@contextlib.contextmanager
def _ready_to_answer(loaded: Loaded) -> Iterator[None]:
    """Switch to evaluation, and to an attention that knows caches and padding."""
    training = loaded.model.training
    loaded.model.eval()
    if loaded.plan.attention is not None:
        probe.use(loaded.base, loaded.plan.own_attention)
    half = loaded.dtype if loaded.autocast else None
    try:
        with torch.no_grad(), torch.autocast(loaded.device.type, half, enabled=half is not None):
            yield
    finally:
        if loaded.plan.attention is not None:
            probe.use(loaded.base, loaded.plan.attention)
        loaded.model.train(training)


class _WhenAsked(StoppingCriteria):
    """Ends generation when the user wants the run to end."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self.asked = asked

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        return torch.full((input_ids.shape[0],), self.asked(), device=input_ids.device)
