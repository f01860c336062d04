"""From a configuration to a trainer: data, model, order of rows. For a run and for its check."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers import set_seed
from transformers.utils import logging as transformers_logging

from easytune import paths
from easytune.config import TrainConfig
from easytune.data import dataset as datasets
from easytune.data import tokenizer as tokenizers
from easytune.data.encoding import EncodedSet, Encoder
from easytune.data.gathering import UsedVersion
from easytune.data.rows import reasons_text
from easytune.data.token_cache import TokenCache
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine import adapters, arguments, hardware, heap, models, recomputing, tokens
from easytune.engine.batching import StepBatches
from easytune.engine.models import Loaded
from easytune.engine.reporting import Reporter
from easytune.engine.rhythm import Rhythm, rhythm
from easytune.engine.together import ALONE, Together
from easytune.engine.trainer import PackedTrainer, collator
from easytune.errors import OptionUnsupported
from easytune.estimate.load import Load


@dataclass(frozen=True)
class Material:
    """What the model learns from, as tokens."""

    tokenizer: ModelTokenizer
    train: EncodedSet
    held_out: EncodedSet
    fingerprint: str
    versions: tuple[UsedVersion, ...]


@dataclass(frozen=True)
class Prepared:
    """A run that could begin now."""

    config: TrainConfig
    model_folder: Path
    material: Material
    loaded: Loaded
    batches: StepBatches
    rhythm: Rhythm
    checkpointing: bool
    """Whether activations are recomputed rather than kept."""


def check(config: TrainConfig) -> None:
    """Make sure that every option can be honoured here, and keep libraries quiet.

    Raises ConfigInvalid, DependencyMissing or OptionUnsupported before anything is loaded.
    """
    transformers_logging.disable_progress_bar()
    # PEFT asks transformers by an old name; nothing a reader of the log could do about it.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    # Said for every layer of every step in 8 bits.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    arguments.check(config, hardware.device(config.memory.device))


def material(
    config: TrainConfig, model_folder: Path, scratch: Path, home: Path, report: Reporter
) -> Material:
    """Return the rows of a run in tokens; `scratch` takes a tokenizer that had to be converted.

    Raises what loading a dataset and encoding its rows raise.
    """
    source = tokens.with_fast_tokenizer(model_folder, scratch, config.model.trust_remote_code)
    tokenizer = tokenizers.load(source, config.data.chat_template)
    rows = datasets.load(config.data, config.schedule.seed, home)
    for used in rows.versions:
        report.notice("data.version_used", **asdict(used))
    for code, values in rows.notices:
        report.notice(code, **values)
    encoder = Encoder(tokenizer, config.data)
    kept = TokenCache(paths.tokens(home), tokenizer, config.data)
    train, held_out = (kept.encode(encoder, some) for some in (rows.train, rows.held_out))
    train.require_examples(rows.problems)
    for code, values in train.notices:
        report.notice(code, **values)
    problems = [*rows.problems, *train.dropped, *held_out.dropped]
    if problems:
        report.notice("rows_dropped", count=len(problems), reasons=reasons_text(problems))
    if train.truncated:
        report.notice("rows_truncated", count=train.truncated, max_length=config.data.max_length)
    return Material(tokenizer, train, held_out, rows.fingerprint, rows.versions)


def load(
    config: TrainConfig,
    model_folder: Path,
    before_adapter: Callable[[Loaded], None] | None = None,
    together: Together = ALONE,
) -> Loaded:
    """Return the model of a run with its adapter, the same whenever the seed is.

    See `models.load` for the rest.
    """
    # Before the adapter is made: its start is random.
    set_seed(config.schedule.seed)
    return models.load(config, model_folder, before_adapter, together)


def prepare(
    config: TrainConfig, model_folder: Path, material: Material, loaded: Loaded
) -> Prepared:
    """Return a run's data and model with the order of its rows."""
    schedule = config.schedule
    batches = StepBatches(
        [len(example.input_ids) for example in material.train.examples],
        schedule.batch_size,
        config.micro_batches,
        schedule.seed,
        loaded.plan.packed,
        recomputing.tokens_at_once(config, model_folder, loaded),
    )
    return Prepared(
        config=config,
        model_folder=model_folder,
        material=material,
        loaded=loaded,
        batches=batches,
        rhythm=rhythm(schedule, config.monitor, batches.steps()),
        checkpointing=recomputing.is_needed(
            config, model_folder, loaded, _largest(material, batches)
        ),
    )


def trainer(
    prepared: Prepared,
    checkpoints: Path,
    batches: StepBatches | None = None,
    together: Together = ALONE,
) -> PackedTrainer:
    """Return what trains a prepared run, saving to `checkpoints`; no callbacks of ours yet.

    `batches` are other micro-batches of the same rows than the run's own.
    """
    config, loaded, material = prepared.config, prepared.loaded, prepared.material
    if loaded.device.type == "cpu" and prepared.checkpointing:
        heap.return_large_blocks()
    kind, deepspeed = PackedTrainer, None
    if together.count > 1 and config.memory.sharding == "zero2":
        # Seconds of imports that other runs do not pay.
        from easytune.engine import zero

        kind, deepspeed = zero.ZeroTrainer, zero.settings(loaded)
    return kind(
        loaded.model,
        arguments.build(
            config, loaded, prepared.rhythm, checkpoints, prepared.checkpointing, deepspeed
        ),
        batches or prepared.batches,
        material.train.examples,
        material.held_out.examples,
        collator(loaded.plan.packed, material.tokenizer.pad_id),
        config.lora.lora_plus_ratio,
        together,
    )


def say_what_differs(prepared: Prepared, report: Reporter) -> None:
    """Tell the user where the run departs from what was asked or is slower than usual.

    Raises OptionUnsupported for rows longer than anything that the model can place.
    """
    config, loaded = prepared.config, prepared.loaded
    if config.data.packing and not loaded.plan.packed:
        report.notice("packing_off", model=config.model.base_model)
    if config.model.method != "full" and adapters.has_fused_experts(loaded.base):
        report.notice("experts_frozen")
    if loaded.share_held < 1:
        share = round(100 * loaded.share_held)
        report.notice("base_split", processes=config.memory.processes, share=share)
    for reason, layers in loaded.slow_layers.items():
        report.notice("slow_layers", layers=layers, reason=f"@engine.slow.{reason}")
    _say_other_base(prepared, report)
    _check_context(prepared, report)
    if loaded.plan.finish is None:
        report.notice("whole_logits", model=config.model.base_model)
    if prepared.checkpointing and config.memory.gradient_checkpointing == "auto":
        free = round(hardware.free_memory_gb(loaded.device), 1)
        report.notice("checkpointing_on", free_gb=free)


def _say_other_base(prepared: Prepared, report: Reporter) -> None:
    """Tell the user when the adapter's own base has another name: its shapes fit both."""
    model = prepared.config.model
    if model.method == "full" or not model.adapter:
        return
    own = adapters.trained_on(Path(model.adapter).expanduser())
    base = models.name_for_readers(prepared.config, prepared.model_folder)
    if own and Path(own).name.lower() != Path(base).name.lower():
        report.notice("adapter_other_base", trained_on=own, base=base)


def _check_context(prepared: Prepared, report: Reporter) -> None:
    """Look for rows longer than what the model was made to read."""
    base, material = prepared.loaded.base, prepared.material
    context = models.context_length(base)
    examples = [*material.train.examples, *material.held_out.examples]
    count = sum(len(example.input_ids) > context for example in examples) if context else 0
    if not count:
        return
    if models.has_position_table(base):
        reason = f"@engine.reason.context {context}"
        raise OptionUnsupported(option="data.max_length", reason=reason)
    report.notice("beyond_context", count=count, context=context)


def _largest(material: Material, batches: StepBatches) -> Load:
    """Return what the largest micro-batch of the first epoch computes."""
    examples = material.train.examples
    learned = (sum(int(examples[row].trained.sum()) for row in rows) for rows in batches)
    tokens = max(batches.tokens_at_once())
    return Load(
        tokens,
        min(tokens, max(learned)),
        max(batches.lengths),
        max(batches.pairs_at_once()),
    )
