"""What estimates and suggestions go by: the shape of a model, of its data, and of the machine.

Plain facts without behaviour of their own but arithmetic, read elsewhere: `model_shape`, `machine`
and `data.insight`. No torch.
"""

from dataclasses import dataclass
from typing import Literal

Device = Literal["cuda", "mps", "cpu"]
Group = Literal["attention", "mlp", "expert", "other"]


@dataclass(frozen=True)
class Linear:
    """The linear layers of one short name, such as `q_proj`, which all have the same shape.

    `inputs` and `outputs` are widths; `count` is how many layers there are of it in the model.
    """

    name: str
    inputs: int
    outputs: int
    count: int
    group: Group


@dataclass(frozen=True)
class Inside:
    """What a model computes between its linear layers, as far as memory depends on it.

    `norms` is the width of all that the norms of one layer take in, 0 where that is not known;
    `experts_per_token` is the mean over the layers, 0 without a mixture. `caps_scores`: attention
    caps its scores; `finishes_logits`: the head's logits are capped or scaled; `drops`: attention
    has dropout of its own; `other_values`: its values have another width than its keys.
    """

    norms: int = 0
    activation: str = ""
    experts_per_token: float = 0.0
    caps_scores: bool = False
    finishes_logits: bool = False
    drops: bool = False
    other_values: bool = False


@dataclass(frozen=True)
class ModelShape:
    """What a model's configuration and the headers of its weight files say.

    `family` is the `model_type` of its config; widths are in numbers, not bytes. `linears` leaves
    out the head and the embeddings. `stored_bytes` is what one weight takes in its files.
    """

    family: str
    hidden: int
    layers: int
    inner: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int | None
    parameters: int
    tied: bool
    stored_bytes: float
    linears: tuple[Linear, ...]
    inside: Inside = Inside()

    @property
    def is_mixture(self) -> bool:
        """Tell whether the model is a mixture of experts."""
        return any(linear.group == "expert" for linear in self.linears)


@dataclass(frozen=True)
class DataShape:
    """What one epoch of a run holds, in rows and tokens of its model.

    `longest` is the longest row after cutting, `mean` the mean; `largest_batch` the tokens computed
    at once in the largest micro-batch (padding included), `largest_supervised` the targets in the
    one that has most, `largest_squares` the pairs of tokens that attention looks at in the one that
    has most (0: not counted). `sampled` tells that counts were scaled up from a sample.
    `replayed_rows` of the rows are general ones, in which `replayed_tokens` are learned.
    """

    rows: int
    held_out: int
    supervised_tokens: int
    total_tokens: int
    longest: int
    mean: float
    p95: int
    truncated: int
    steps_per_epoch: int
    total_steps: int
    largest_batch: int
    largest_supervised: int
    sampled: bool = False
    largest_squares: int = 0
    replayed_rows: int = 0
    replayed_tokens: int = 0

    @property
    def own_rows(self) -> int:
        """Return the rows that are the person's own."""
        return self.rows - self.replayed_rows

    @property
    def own_tokens(self) -> int:
        """Return how many tokens of the person's own rows are learned."""
        return self.supervised_tokens - self.replayed_tokens


@dataclass(frozen=True)
class Machine:
    """The device that would compute, and how much of it is free now.

    `gflops` is what a matrix product in the usual number format reached here, in 1e9 floating-point
    operations a second; None before it was measured.
    """

    device: Device
    name: str
    free_gb: float
    total_gb: float
    has_bf16: bool
    cores: int
    disk_free_gb: float
    can_quantize: bool
    gflops: float | None = None
