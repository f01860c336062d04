"""Every option of a training run, declared once.

The form, its tooltips, validation, YAML, command-line flags and the printed reference derive from
these models. The docstring under a field is its tooltip; `title` is its label where the name alone
does not read well; `Knob` says how it is presented and when it applies.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from easytune.optimizers import Optimizer, Scheduler
from easytune.options import Knob, Option, Section, declared, when

ADAPTED = when("model.method", "lora", "qlora")
QUANTIZED = when("model.method", "qlora")
CONVERSATIONS = when("data.stage", "sft")
_MOST = 64
MANY = when("memory.processes", *range(2, _MOST + 1))


class GoalSection(Section):
    """What the run is for."""

    intent: Annotated[str, Knob(level="bar")] = Field(default="expert", min_length=1)
    """What you want to reach; it suggests the other settings. Expert: leaves them alone."""


class ModelSection(Section):
    """Which model is trained, and how much of it."""

    base_model: Annotated[str, Knob(level="bar")] = Field(default="demo", min_length=1)
    """Folder or hub id of the model to train. "demo" is the bundled one."""

    method: Annotated[Literal["lora", "qlora", "full"], Knob(level="bar")] = "lora"
    """LoRA trains a small adapter; QLoRA on a quantized base; full trains all weights."""

    hub: Literal["huggingface", "modelscope"] = "huggingface"
    """Where hub ids are looked up."""

    revision: Annotated[str | None, Knob(level="expert")] = None
    """Branch, tag or commit of the hub model. Empty: the newest."""

    adapter: Annotated[str | None, Knob(when=ADAPTED)] = Field(
        default=None, title="Adapter to continue from"
    )
    """Folder of a trained adapter to go on training. Empty: start a new one."""

    trust_remote_code: Annotated[bool, Knob(level="expert")] = False
    """Run Python code that comes with the model. Only for authors you trust."""

    allow_pickle: Annotated[bool, Knob(level="expert")] = Field(
        default=False, title="Allow pickle weights"
    )
    """Load weights that are not safetensors. Such files can run code."""


class DataSection(Section):
    """What the model learns from."""

    datasets: Annotated[tuple[str, ...], Knob(level="bar")] = ("demo/style",)
    """Data files, or "demo/style", "demo/knowledge", "demo/instruction"."""

    weights: Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Knob()] = Field(
        default=(), title="Mixing weights"
    )
    """How often each dataset is used per epoch; 0.5 takes half of it."""

    stage: Annotated[Literal["sft", "pretrain"], Knob()] = "sft"
    """Conversations with answers to learn, or plain text to continue."""

    columns: Annotated[dict[str, str], Knob()] = Field(default={}, title="Column mapping")
    """Maps system, prompt, input, response, messages or text to your column names."""

    chat_template: Annotated[str | None, Knob(level="expert", when=CONVERSATIONS)] = None
    """Jinja file that replaces the model's own chat template."""

    max_rows: int | None = Field(default=None, ge=1)
    """Use at most this many rows, chosen at random. Empty: all."""

    held_out_share: Annotated[float, Knob(level="essential", step=0.01)] = Field(
        default=0.1, ge=0, le=0.5
    )
    """Share of rows kept aside to measure progress. Zero: none."""

    held_out_file: str | None = None
    """A file to measure progress on, instead of a share of the rows."""

    max_length: Annotated[int, Knob(level="essential", step=64)] = Field(
        default=1024, ge=16, le=1_048_576
    )
    """Tokens per row; longer rows are cut. Higher needs more memory."""

    packing: Annotated[bool, Knob()] = True
    """Put short rows together, never mixing them. Faster, same result."""

    train_on: Annotated[Literal["response", "all"], Knob(when=CONVERSATIONS)] = "response"
    """Learn from the answers only, or from prompts as well."""

    mask_history: Annotated[bool, Knob(when=CONVERSATIONS)] = False
    """Learn only from the last answer of a conversation."""

    thinking: Annotated[Literal["auto", "on", "off"], Knob(when=CONVERSATIONS)] = "auto"
    """Thinking mode passed to templates that have one. Auto: template default."""

    replay_share: Annotated[float, Knob(step=0.05)] = Field(
        default=0.0, ge=0, le=0.9, title="Replay share"
    )
    """Share of general rows among those learned; keeps what the model knew. Zero: none."""

    replay: Annotated[str, Knob()] = Field(
        default="demo/replay", min_length=1, title="Replayed rows"
    )
    """Where general rows come from: the bundled ones, a dataset or a file of yours."""

    @field_validator("columns")
    @classmethod
    def _known_roles(cls, columns: dict[str, str]) -> dict[str, str]:
        known = {"system", "prompt", "input", "response", "messages", "text"}
        if unknown := sorted(set(columns) - known):
            raise PydanticCustomError(
                "unknown_role",
                "unknown role {unknown}; known: {known}",
                {"unknown": ", ".join(unknown), "known": ", ".join(sorted(known))},
            )
        return columns

    @field_validator("datasets")
    @classmethod
    def _at_least_one(cls, datasets: tuple[str, ...]) -> tuple[str, ...]:
        if not datasets:
            raise PydanticCustomError("no_dataset", "choose at least one dataset")
        return datasets

    @field_validator("weights")
    @classmethod
    def _one_weight_per_dataset(
        cls, weights: tuple[float, ...], others: ValidationInfo
    ) -> tuple[float, ...]:
        datasets = others.data.get("datasets", ())
        if weights and len(weights) != len(datasets):
            raise PydanticCustomError(
                "weights_mismatch",
                "give {datasets} weights, one per dataset, or none",
                {"datasets": len(datasets)},
            )
        return weights


class LoraSection(Section):
    """Shape and start of the adapter."""

    rank: Annotated[int, Knob(level="essential", step=4, when=ADAPTED)] = Field(
        default=16, ge=1, le=1024, title="LoRA rank"
    )
    """Size of the adapter. Higher learns more and uses more memory."""

    alpha: Annotated[int, Knob(step=4, when=ADAPTED)] = Field(
        default=32, ge=1, le=4096, title="LoRA alpha"
    )
    """Strength of the adapter; twice the rank is a good start."""

    dropout: Annotated[float, Knob(step=0.01, when=ADAPTED)] = Field(
        default=0.0, ge=0, le=0.9, title="LoRA dropout"
    )
    """Share of adapter inputs dropped at random; helps with few rows."""

    target_modules: Annotated[
        tuple[str, ...],
        Knob(when=ADAPTED, choices=("all-linear", "attention", "attention+mlp")),
    ] = ("all-linear",)
    """Layers that get an adapter: all-linear, attention, attention+mlp, or names."""

    modules_to_save: Annotated[tuple[str, ...], Knob(level="expert", when=ADAPTED)] = ()
    """Modules trained in full and saved with the adapter, such as lm_head."""

    use_rslora: Annotated[bool, Knob(when=ADAPTED)] = Field(
        default=False, title="Rank-stabilised LoRA"
    )
    """Scales by the square root of the rank; steadier above rank 32."""

    use_dora: Annotated[bool, Knob(when=ADAPTED)] = Field(default=False, title="DoRA")
    """Trains direction and size of weights apart. Better at low rank, slower."""

    init: Annotated[Literal["default", "pissa", "gaussian"], Knob(when=ADAPTED)] = Field(
        default="default", title="Start from"
    )
    """How the adapter starts. PiSSA: from the weights' main directions."""

    lora_plus_ratio: Annotated[float | None, Knob(level="expert", when=ADAPTED)] = Field(
        default=None, ge=1, le=64, title="LoRA+ ratio"
    )
    """Learning rate of B over that of A; 16 is usual. Empty: equal."""


class OptimSection(Section):
    """How weights are changed."""

    learning_rate: Annotated[float, Knob(level="essential", step=1e-5)] = Field(
        default=2e-4, gt=0, le=1
    )
    """Size of each change. Too high forgets or diverges, too low learns nothing."""

    optimizer: Annotated[Optimizer, Knob()] = "adamw_torch"
    """Rule that turns gradients into changes. 8-bit ones save memory."""

    optimizer_args: Annotated[str | None, Knob(level="expert")] = None
    """Extra settings of the optimizer, as name=value,name=value."""

    weight_decay: Annotated[float, Knob(step=0.01)] = Field(default=0.01, ge=0, le=1)
    """Pulls weights towards zero a little; guards against overfitting."""

    adam_beta1: Annotated[float, Knob(level="expert", step=0.01)] = Field(default=0.9, ge=0, lt=1)
    """How long the optimizer remembers gradients."""

    adam_beta2: Annotated[float, Knob(level="expert", step=0.001)] = Field(
        default=0.999, ge=0, lt=1
    )
    """How long the optimizer remembers squared gradients."""

    max_grad_norm: Annotated[float, Knob(step=0.1)] = Field(
        default=1.0, ge=0, le=100, title="Gradient clipping"
    )
    """Longest gradient allowed; keeps bad rows from doing harm. Zero: off."""

    neftune_alpha: Annotated[float | None, Knob(level="expert")] = Field(
        default=None, gt=0, le=50, title="NEFTune noise"
    )
    """Noise on input embeddings; 5 often helps small chat sets. Empty: off."""


class ScheduleSection(Section):
    """How long and in what rhythm."""

    epochs: Annotated[float, Knob(level="essential", step=0.5)] = Field(default=3.0, gt=0, le=1000)
    """How many times every row is seen."""

    max_steps: Annotated[int | None, Knob()] = Field(default=None, ge=1)
    """Stop after this many steps, whatever the epochs say."""

    batch_size: Annotated[int, Knob(level="essential", step=1)] = Field(default=8, ge=1, le=4096)
    """Rows computed at once. Higher is faster and needs more memory."""

    gradient_accumulation: Annotated[int, Knob(level="essential", step=1)] = Field(
        default=1, ge=1, le=4096
    )
    """Batches added up before each step; a larger batch without the memory."""

    scheduler: Annotated[Scheduler, Knob()] = Field(default="cosine", title="Schedule")
    """How the learning rate falls over the run."""

    warmup: Annotated[float, Knob(step=0.01)] = Field(default=0.03, ge=0, le=100_000)
    """Gentle start: a share of all steps below 1, else steps."""

    seed: Annotated[int, Knob(step=1)] = Field(default=42, ge=0, le=2**32 - 1)
    """The same seed gives the same run."""


class MemorySection(Section):
    """What fits, and how fast it runs."""

    device: Annotated[Literal["auto", "cuda", "mps", "cpu"], Knob()] = "auto"
    """What computes: an NVIDIA or AMD GPU, an Apple GPU, or the processor."""

    precision: Annotated[Literal["auto", "bf16", "fp16", "fp32"], Knob()] = "auto"
    """Number format of the frozen base. Auto: bf16 where the hardware has it."""

    quantization_bits: Annotated[Literal[4, 8], Knob(when=QUANTIZED)] = 4
    """Bits per base weight in QLoRA. 4 saves more memory, 8 is closer."""

    gradient_checkpointing: Annotated[Literal["auto", "on", "off"], Knob()] = "auto"
    """Recomputes instead of remembering. Far less memory, a fifth slower."""

    attention: Annotated[
        Literal["auto", "sdpa", "eager", "flash_attention_2"], Knob(level="expert")
    ] = "auto"
    """How attention is computed. Auto takes the fastest that works here."""

    liger_kernel: Annotated[bool, Knob(level="expert")] = False
    """Fused GPU kernels; its authors measured 10 to 20%. Needs the liger-kernel package."""

    torch_compile: Annotated[bool, Knob(level="expert")] = Field(
        default=False, title="torch.compile"
    )
    """Compiles the layers first. Slower on a processor (measured: 7%); may pay on a GPU."""

    processes: Annotated[int, Knob(level="expert", step=1)] = Field(default=1, ge=1, le=_MOST)
    """Processes that share every step, one per GPU; a step learns as many times the rows."""

    sharding: Annotated[Literal["none", "fsdp", "zero2"], Knob(level="expert", when=MANY)] = "none"
    """FSDP splits LoRA's frozen base, ZeRO-2 full training's optimizer: less memory, slower."""


class MonitorSection(Section):
    """What is measured and kept during a run."""

    logging_steps: Annotated[int | None, Knob()] = Field(default=None, ge=1)
    """Steps between points of the loss curve. Empty: from the run's length."""

    eval_steps: Annotated[int | None, Knob()] = Field(default=None, ge=1, title="Evaluation steps")
    """Steps between measurements on held-out rows. Empty: from the run's length."""

    save_steps: Annotated[int | None, Knob()] = Field(default=None, ge=1, title="Saving steps")
    """Steps between checkpoints. Empty: from the run's length."""

    save_limit: Annotated[int, Knob(step=1)] = Field(default=3, ge=1, le=1000)
    """How many checkpoints to keep; the oldest go first."""

    keep_best: bool = True
    """End with the checkpoint that did best on held-out rows."""

    early_stopping: Annotated[int | None, Knob()] = Field(default=None, ge=1, le=1000)
    """Stop after this many evaluations without improvement. Empty: never."""

    forgetting: bool = Field(default=True, title="Forgetting meter")
    """Measures what the model forgets while it learns. At most 5% of the time."""

    probe: Annotated[str, Knob()] = Field(
        default="demo/probe", min_length=1, title="Forgetting probe"
    )
    """General texts to measure forgetting on: the bundled ones, or rows of yours."""

    forgetting_limit: Annotated[float | None, Knob()] = Field(default=None, gt=0, le=10)
    """Stop above this forgetting score and keep the best trade-off. Empty: never."""

    sample_prompts: Annotated[tuple[str, ...], Knob(lines=3)] = ()
    """Questions answered at every evaluation, one per line. Empty: three held-out ones."""

    sample_tokens: Annotated[int, Knob(step=8)] = Field(
        default=64, ge=0, le=4096, title="Sample length"
    )
    """Longest sample answer in tokens. Zero: no samples."""

    report_to: Annotated[Literal["none", "tensorboard", "wandb", "mlflow"], Knob()] = "none"
    """Also send the curves to an experiment tracker."""


class OutputSection(Section):
    """Where the result goes."""

    name: Annotated[str | None, Knob(level="essential")] = Field(
        default=None, max_length=60, title="Run name"
    )
    """What this run is called. Empty: from the dataset."""

    folder: Annotated[str | None, Knob()] = Field(default=None, title="Output folder")
    """Also copy the finished adapter here. Must be empty or new."""

    training_args: Annotated[dict[str, Any], Knob(level="expert", lines=4)] = Field(
        default={}, title="Extra training arguments"
    )
    """JSON with further transformers TrainingArguments, for what has no control here."""

    @field_validator("training_args")
    @classmethod
    def _no_secrets(cls, training_args: dict[str, Any]) -> dict[str, Any]:
        for name in training_args:
            if re.search(r"(token|password|secret|api_key)$", name, re.IGNORECASE):
                raise PydanticCustomError("secret", "{name} is a secret", {"name": name})
        return training_args


class TrainConfig(Section):
    """One training run, whole: what the form edits, YAML keeps, and the engine obeys."""

    goal: GoalSection = GoalSection()
    model: ModelSection = ModelSection()
    data: DataSection = DataSection()
    lora: LoraSection = LoraSection()
    optim: OptimSection = OptimSection()
    schedule: ScheduleSection = ScheduleSection()
    memory: MemorySection = MemorySection()
    monitor: MonitorSection = MonitorSection()
    output: OutputSection = OutputSection()

    @property
    def effective_batch_size(self) -> int:
        """Return the rows behind one optimizer step, over all processes."""
        return self.schedule.batch_size * self.micro_batches

    @property
    def micro_batches(self) -> int:
        """Return the batches of one optimizer step, over all processes."""
        return self.schedule.gradient_accumulation * self.memory.processes

    def changed(self, **options: Any) -> Self:
        """Return a validated copy with `section__option=value` replaced."""
        content = self.model_dump()
        for name, value in options.items():
            section, _, option = name.partition("__")
            content[section][option] = value
        return type(self).model_validate(content)


def options() -> Iterator[Option]:
    """Yield every option of a training run, in the order of declaration."""
    return declared(TrainConfig)
