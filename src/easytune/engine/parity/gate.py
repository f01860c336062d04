"""The parity gate: an exported model, loaded again, is the trained one, or it does not pass.

Both see the same prompts and the trained model's greedy answers. Compared are predictions (KL, the
likeliest token, logits), greedy answers, perplexity, and how much of what the adapter changes is
found again: KL alone would not miss an adapter that changes little. Tokenizer, end tokens and chat
template are compared where a runtime has its own.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from easytune.data.chat_template import RenderFailed
from easytune.engine.parity.limits import is_lossless
from easytune.engine.parity.prompts import Prompt
from easytune.engine.parity.reference import Said, log_softmax, mean_nll, perplexity, record
from easytune.engine.parity.runtime import NoLogits, Reads, Renders, Runtime
from easytune.export_files import Departure, Limits, Parity

Decode = Callable[[Sequence[int]], str]
Watch = Callable[[int, int], None]
# So close, in nats, are two tokens that either may be the likeliest: no departure.
_TIE, _TIE_QUANTIZED = 0.05, 0.5
# Beyond so many times what was learned, rounding hides how much of it is there.
_NOISE = 9.0
# Rounding moves predictions no farther than so many times their limit.
_ROUNDING = 3.0
_SHOWN = 80


def compare(
    trained: Runtime,
    exported: Runtime,
    prompts: Sequence[Prompt],
    limits: Limits,
    folder: Path,
    new_tokens: int = 16,
) -> Parity:
    """Return how far one model is from another; both are in memory. `folder` takes numbers."""
    said = record(trained, prompts, new_tokens, folder, _ignore)
    ends = trained.ends() if isinstance(trained, Reads) else frozenset()
    return against(said, ends, exported, limits, new_tokens)


def against(
    said: Sequence[Said],
    ends: frozenset[int],
    exported: Runtime,
    limits: Limits,
    new_tokens: int,
    decode: Decode = str,
    watch: Watch = lambda done, total: None,
) -> Parity:
    """Return how far an exported model is from what the trained one said.

    `ends` are the tokens that end its answers; `decode` gives the text of tokens. `watch` is told
    prompts done and in all; what it raises ends the comparison.
    """
    found = _Found(exported, limits, decode)
    found.read(said, ends)
    for number, one in enumerate(said):
        watch(number, len(said))
        found.answers(number, one, exported.greedy(one.prompt.tokens, new_tokens))
        if found.tells:
            found.predictions(number, one)
    watch(len(said), len(said))
    return found.parity(said)


@dataclass
class _Sums:
    """Sums over all places. `learned` is <export - base, trained - base>, `change` |t - b|²."""

    places: int = 0
    kl: float = 0.0
    same: int = 0
    logit: float = 0.0
    learned: float = 0.0
    change: float = 0.0
    noise: float = 0.0
    agreed: int = 0
    answered: int = 0
    alike: int = 0
    nlls: list[float] = field(default_factory=list)


class _Found:
    """What is found while one runtime is compared."""

    def __init__(self, exported: Runtime, limits: Limits, decode: Decode) -> None:
        self._exported, self._limits, self._decode = exported, limits, decode
        self._sums, self.tells = _Sums(), True
        self._departures: dict[str, Departure] = {}
        self._worst = 0.0

    def read(self, said: Sequence[Said], ends: frozenset[int]) -> None:
        """Compare tokenizer, end tokens and chat template."""
        for number, one in enumerate(said):
            self._tokens(number, one)
            self._template(number, one)
        if isinstance(self._exported, Reads) and not ends <= self._exported.ends():
            expected, got = (self._shown(sorted(some)) for some in (ends, self._exported.ends()))
            self._depart("ends", Departure(
                prompt=0, position=0, text="", expected=expected, got=got, difference=0.0
            ))  # fmt: skip

    def answers(self, number: int, one: Said, got: Sequence[int]) -> None:
        """Compare the greedy answers up to where they part."""
        self._sums.answered += len(one.answer)
        self._sums.alike += list(got[: len(one.answer)]) == one.answer
        for place, expected in enumerate(one.answer):
            actual = got[place] if place < len(got) else None
            if actual == expected:
                self._sums.agreed += 1
                continue
            if one.margins[place] < (_TIE if is_lossless(self._limits) else _TIE_QUANTIZED):
                # Either way was right, and what follows cannot be compared.
                self._sums.answered -= len(one.answer) - place
                return
            before, margin = len(one.prompt.tokens) + place - 1, float(one.margins[place])
            other = [] if actual is None else [actual]
            self._depart("greedy", self._at(number, one, before, expected, other, margin))
            return

    def predictions(self, number: int, one: Said) -> None:
        """Compare the logits at the places that were kept."""
        try:
            every = np.asarray(self._exported.logits(one.tokens), dtype=np.float32)
        except NoLogits:
            self.tells = False
            return
        width = min(every.shape[-1], one.logits.shape[-1])
        if len(every) < len(one.tokens) or width <= max(one.tokens):
            self._depart("vocabulary", Departure(
                prompt=number, position=0, text="", expected=str(one.logits.shape[-1]),
                got=str(every.shape[-1]), difference=0.0
            ))  # fmt: skip
            return
        got, wanted = every[one.places, :width], np.asarray(one.logits)[:, :width]
        if not np.isfinite(got).all():
            self._depart("not_finite", self._worst_at(number, one, 0, wanted, got))
            return
        self._sums.nlls.append(mean_nll(every[:, :width], one.prompt.tokens))
        self._divergence(number, one, wanted, got)
        if one.base is not None:
            self._learned(wanted, got, np.asarray(one.base)[:, :width])

    def parity(self, said: Sequence[Said]) -> Parity:
        """Return the verdict with all figures."""
        sums, limits = self._sums, self._limits
        tells = self.tells and sums.places > 0
        before = perplexity([one.nll for one in said])
        after = perplexity(sums.nlls) if tells else None
        agreement = sums.agreed / sums.answered if sums.answered else 1.0
        kl = sums.kl / sums.places if tells else None
        share = _share(sums)
        broken = {
            "kl": kl is not None and not kl <= limits.kl,
            "learned": share is not None and abs(share - 1) > limits.learned,
            "greedy": agreement < limits.greedy,
            "logit": limits.logit is not None and sums.logit > limits.logit,
            "perplexity": after is not None and abs(after / before - 1) > limits.perplexity,
        }
        certain = [r for r in _CERTAIN if r in self._departures]
        reason = next(iter([*certain, *(name for name, yes in broken.items() if yes)]), "")
        departure = self._departures.get(reason) or self._departures.get("greedy")
        departure = departure or self._departures.get("kl")
        return Parity(
            runtime=self._exported.name,
            version=self._exported.version,
            prompts=len(said),
            tokens=sum(len(one.tokens) for one in said),
            same_answers=sums.alike,
            greedy_agreement=agreement,
            top1=sums.same / sums.places if tells else None,
            kl=kl,
            largest_logit_difference=sums.logit if tells else None,
            perplexity_trained=before if tells else None,
            perplexity_exported=after,
            learned=share,
            limits=limits,
            passed=not reason,
            departure=departure if reason else None,
            reason=reason,
            advice=_advice(reason, limits, sums) if reason else "",
        )

    def _tokens(self, number: int, one: Said) -> None:
        if not isinstance(self._exported, Reads) or one.prompt.messages:
            return
        expected = list(one.prompt.tokens)
        got = list(self._exported.encode(one.prompt.text))[: len(expected)]
        if got != expected:
            place = next(
                (
                    i
                    for i, pair in enumerate(zip(expected, got, strict=False))
                    if pair[0] != pair[1]
                ),
                min(len(expected), len(got)),
            )
            self._depart("tokens", Departure(
                prompt=number, position=place, text=one.prompt.text[:_SHOWN],
                expected=str(expected[place : place + 4]), got=str(got[place : place + 4]),
                difference=0.0,
            ))  # fmt: skip

    def _template(self, number: int, one: Said) -> None:
        if not isinstance(self._exported, Renders) or not one.prompt.messages:
            return
        try:
            got = self._exported.render(one.prompt.messages)
        except RenderFailed as problem:
            got = str(problem)
        if got != one.prompt.text:
            self._depart("template", Departure(
                prompt=number, position=0, text=one.prompt.messages[-1].content[:_SHOWN],
                expected=one.prompt.text[:_SHOWN], got=got[:_SHOWN], difference=0.0,
            ))  # fmt: skip

    def _divergence(self, number: int, one: Said, wanted: np.ndarray, got: np.ndarray) -> None:
        log_p, log_q = log_softmax(wanted), log_softmax(got)
        each = (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)
        sums = self._sums
        sums.places += len(each)
        sums.kl += max(0.0, float(each.sum()))
        sums.same += int((wanted.argmax(-1) == got.argmax(-1)).sum())
        sums.logit = max(sums.logit, float(np.abs(_centred(got) - _centred(wanted)).max()))
        worst = int(each.argmax())
        if each[worst] > self._worst:
            self._worst = float(each[worst])
            self._departures["kl"] = self._worst_at(number, one, worst, wanted, got)

    def _learned(self, wanted: np.ndarray, got: np.ndarray, base: np.ndarray) -> None:
        change, error = _centred(wanted) - _centred(base), _centred(got) - _centred(wanted)
        self._sums.change += float((change * change).sum())
        self._sums.learned += float((change * (change + error)).sum())
        self._sums.noise += float((error * error).sum())

    def _worst_at(
        self, number: int, one: Said, place: int, wanted: np.ndarray, got: np.ndarray
    ) -> Departure:
        difference = np.abs(_centred(got[place]) - _centred(wanted[place])).max()
        number_of = float(difference) if math.isfinite(float(difference)) else 0.0
        expected, actual = int(wanted[place].argmax()), int(got[place].argmax())
        return self._at(number, one, int(one.places[place]), expected, [actual], number_of)

    def _at(
        self, number: int, one: Said, place: int, expected: int, got: list[int], difference: float
    ) -> Departure:
        """Return the departure after the token at `place`."""
        return Departure(
            prompt=number,
            position=place + 1,
            text=self._decode(one.tokens[: place + 1])[-_SHOWN:],
            expected=self._decode([expected]),
            got=self._decode(got) if got else "",
            difference=difference,
        )

    def _shown(self, tokens: Sequence[int]) -> str:
        return " ".join(self._decode([token]) for token in tokens)[:_SHOWN]

    def _depart(self, reason: str, departure: Departure) -> None:
        """Keep the first departure of a kind."""
        self._departures.setdefault(reason, departure)


_CERTAIN = ("not_finite", "vocabulary", "tokens", "ends", "template")
"""Reasons that need no limit: once is enough."""


def _share(sums: _Sums) -> float | None:
    """Return the share of what was learned that is found again; None where noise hides it."""
    if sums.change <= 0 or sums.noise > _NOISE * sums.change:
        return None
    return sums.learned / sums.change


def _advice(reason: str, limits: Limits, sums: _Sums) -> str:
    """Return what fits the cause."""
    if reason in ("tokens", "template", "ends", "vocabulary"):
        return "reader"
    if not is_lossless(limits):
        return "repeat" if reason == "not_finite" else "finer"
    rounds = limits.logit is None and sums.kl < _ROUNDING * limits.kl * max(sums.places, 1)
    # What was learned is small beside what rounding changes.
    if rounds and reason == "learned" and sums.change < sums.noise * _NOISE:
        return "rounding"
    return "damaged"


def _centred(logits: np.ndarray) -> np.ndarray:
    """Return logits without what all of a place have in common: it changes no prediction."""
    wide = logits.astype(np.float64)
    return wide - wide.mean(axis=-1, keepdims=True)


def _ignore(done: int, total: int) -> None:
    """Nobody waits for this."""
