"""What the largest micro-batch of a run is, and in which number formats it is computed."""

from dataclasses import dataclass

from easytune.config import TrainConfig
from easytune.shapes import DataShape, Machine, ModelShape

# Below this many parameters a processor computes in fp32; see `engine.hardware.precision`.
SMALL_MODEL = 50e6


@dataclass(frozen=True)
class Load:
    """What the largest micro-batch computes: tokens with padding, learned ones, longest row.

    `squares` are the pairs of tokens that attention looks at; 0 where they were not counted.
    """

    tokens: int
    supervised: int
    longest: int
    squares: int = 0

    @property
    def pairs(self) -> int:
        """Return the pairs of tokens that attention looks at, at most if they were not counted."""
        return self.squares or self.tokens * self.longest

    @classmethod
    def of(cls, config: TrainConfig, data: DataShape | None) -> "Load":
        """Return it from counted rows, or the worst there could be."""
        if data is not None and data.rows:
            return cls(
                data.largest_batch, data.largest_supervised, data.longest, data.largest_squares
            )
        worst = config.schedule.batch_size * config.data.max_length
        return cls(worst, worst, config.data.max_length)

    def under(self, given: TrainConfig, changed: TrainConfig) -> "Load":
        """Return about what it comes to with another batch size or length than was given."""
        share = changed.schedule.batch_size / given.schedule.batch_size
        longest = min(self.longest, changed.data.max_length)
        most = changed.schedule.batch_size * longest
        tokens = min(max(longest, round(self.tokens * share)), most)
        learned = round(self.supervised * max(share, longest / max(self.tokens, 1)))
        pairs = min(round(self.squares * tokens / max(self.tokens, 1)), tokens * longest)
        return Load(tokens, min(learned, tokens), longest, pairs)


@dataclass(frozen=True)
class Format:
    """Bytes of one number: of a weight as held, of one computed with, and how layers are run.

    `autocast`: numbers are cast as they are used, since some weights are in fp32.
    """

    held: float
    computed: int
    autocast: bool

    @classmethod
    def of(cls, config: TrainConfig, model: ModelShape, machine: Machine) -> "Format":
        """Return what the engine will choose, see `engine.hardware.precision`."""
        computed = _computed_bytes(config, model, machine)
        method, lora = config.model.method, config.lora
        # Only LoRA layers without extras are computed by our own function.
        plain = method == "lora" and not (lora.dropout or lora.use_dora or lora.modules_to_save)
        held = 4.0 if method == "full" else float(computed)
        return cls(held, computed, computed == 2 and not plain)


def _computed_bytes(config: TrainConfig, model: ModelShape, machine: Machine) -> int:
    match config.memory.precision:
        case "fp32":
            return 4
        case "bf16" | "fp16":
            return 2
    is_small = machine.device == "cpu" and model.parameters < SMALL_MODEL
    return 2 if machine.has_bf16 and not is_small else 4
