"""A held model that is asked in this process, and what it answered."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM

from easytune.engine import adapters, held
from easytune.engine.answering import Answering
from easytune.engine.attaching import Attached
from easytune.engine.prompting import Prompter
from easytune.generation import SamplingSection
from easytune.wire import Began, Column, Ended, Generate, Piece, Reply, Start, Turn
from tests.engine import tiny


def greedy(**changes: Any) -> SamplingSection:
    return SamplingSection.model_validate(
        {"temperature": 0, "seed": 1, "max_new_tokens": 12} | changes
    )


def asked(text: str = "hello", adapter: Path | None = None, **changes: Any) -> Column:
    """A plain text to go on from, greedily, with the probability of each token."""
    return Column(
        adapter=str(adapter) if adapter else None,
        prompt=text,
        sampling=greedy(**changes),
        logprobs=1,
    )


def said(*texts: str) -> tuple[Turn, ...]:
    """A conversation that begins with the user."""
    roles = ("user", "assistant")
    return tuple(Turn(role=roles[i % 2], content=text) for i, text in enumerate(texts))  # type: ignore[arg-type]


@dataclass
class Heard:
    """What was replied for one column."""

    began: Began | None = None
    pieces: list[Piece] = field(default_factory=list)
    end: Any = None

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> list[str]:
        return [chance.token for piece in self.pieces for chance in piece.chances]

    @property
    def logprobs(self) -> list[float]:
        return [chance.logprob for piece in self.pieces for chance in piece.chances]


class Desk:
    """Asks a model in a folder as the host does, without its process."""

    def __init__(self, folder: Path, **loading: Any) -> None:
        self.held = held.load(Start(folder=str(folder), **loading), lambda _: None)
        self.prompter = Prompter(self.held.tokenizer, self.held.context)
        self.attached = Attached(self.held)

    def ask(
        self, *columns: Column, cancelled: Callable[[list[Reply]], set[int]] = lambda _: set()
    ) -> list[Heard]:
        """Answer the columns; `cancelled` sees what was sent so far, before every step."""
        sent: list[Reply] = []
        request = Generate(request="r", columns=columns)
        answering = Answering(
            request,
            self.held,
            self.prompter,
            self.attached,
            sent.append,
            lambda: cancelled(sent),
        )
        answering.prepare()
        answering.run()
        return [_heard(sent, column) for column in range(len(columns))]


def _heard(sent: list[Reply], column: int) -> Heard:
    heard = Heard()
    for reply in sent:
        match reply:
            case Began() if reply.column == column:
                heard.began = reply
            case Piece() if reply.column == column:
                assert heard.end is None
                heard.pieces.append(reply)
            case Ended() if reply.column == column:
                assert heard.end is None
                heard.end = reply
    return heard


def save_adapter(folder: Path, family: str = "llama", **options: Any) -> Path:
    """Write an adapter that changes what the tiny model says."""
    seed = options.pop("seed", 3)
    own = {name: options.pop(name) for name in ("tie_word_embeddings",) if name in options}
    base = tiny.model(family, **own)
    torch.manual_seed(seed)
    targets = adapters.target_modules(base, ("all-linear",))
    config = LoraConfig(task_type="CAUSAL_LM", **{"r": 4, "target_modules": targets} | options)
    made = get_peft_model(base, config)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.requires_grad:
                spread = 0.3 if "lora_" in name else 0.02
                parameter.add_(torch.randn_like(parameter) * spread)
    made.save_pretrained(str(folder))
    return folder


def bytes_tokenizer() -> Tokenizer:
    """A tokenizer whose tokens are single bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def expected(
    desk: Desk, folder: Path, text: str, adapter: Path | None, **options: Any
) -> list[str]:
    """What plain transformers, or PEFT, says greedily, token by token."""
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter))
    backend = desk.held.tokenizer.backend
    ids = torch.tensor([backend.encode(text).ids])
    wanted = {"max_new_tokens": 12, "do_sample": False} | options
    found = model.eval().generate(input_ids=ids, attention_mask=torch.ones_like(ids), **wanted)
    new = [token for token in found[0, ids.shape[1] :].tolist() if token != 2]
    return [backend.decode([token], skip_special_tokens=False) for token in new]
