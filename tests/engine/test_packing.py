"""The fast way of computing the loss gives what the model's own forward gives."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from transformers import set_seed

from easytune.config import LoraSection, TrainConfig
from easytune.data.encoding import Example
from easytune.engine import (
    adapters,
    arguments,
    attention,
    batching,
    causal_products,
    fused_layers,
    lora_layer,
    models,
    probe,
)
from easytune.engine.batching import StepBatches
from easytune.engine.rhythm import rhythm
from easytune.engine.trainer import PackedTrainer, collator
from tests.engine import tiny

attention.register()
Gradients = dict[str, Tensor]


def prepared(family: str, fast: bool, **changes: Any) -> PeftModel:
    """Return a model with a LoRA adapter whose B is not zero, the same whether `fast` or not."""
    base = tiny.model(family, **changes)
    if fast:
        # Two norms a layer and the gate, where the family has them.
        found = fused_layers.speed_up(base)
        assert found >= {"phi": 0, "gemma": 5, "gemma2": 9, "gemma3_text": 13, "phi3": 5}.get(
            family, 7
        )
        probe.apply(base, probe.plan(base, "auto", packing=True))
    model = adapters.attach(base, LoraSection(rank=4, alpha=8), "base")
    if fast:
        lora_layer.speed_up(model)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = noise * 0.1
    return model.train()


def fast_loss(model: PeftModel, examples: list[Example]) -> tuple[float, Gradients]:
    batch = batching.packed(examples)
    loss = model(**batch).loss / len(batch["targets"])
    loss.backward()
    return loss.item(), gradients(model)


def plain_loss(model: PeftModel, examples: list[Example]) -> tuple[float, Gradients]:
    """The loss as transformers computes it from padded rows and labels."""
    batch = batching.padded(examples, pad_id=0)
    labels = torch.full_like(batch["input_ids"], -100)
    for i, example in enumerate(examples):
        learned = torch.from_numpy(example.trained.nonzero()[0])
        labels[i, learned] = batch["input_ids"][i, learned]
    mask = batch["attention_mask"]
    loss = model(input_ids=batch["input_ids"], attention_mask=mask, labels=labels).loss
    loss.backward()
    return loss.item(), gradients(model)


def gradients(model: PeftModel) -> Gradients:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def largest_difference(got: Gradients, wanted: Gradients) -> float:
    assert got.keys() == wanted.keys()
    return max(
        float((got[n] - wanted[n]).norm() / wanted[n].norm().clamp_min(1e-8)) for n in wanted
    )


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_packed_loss_and_gradients_equal_padded_ones(family: str) -> None:
    examples = tiny.examples(6)
    loss, slopes = fast_loss(prepared(family, fast=True), examples)
    wanted, wanted_slopes = plain_loss(prepared(family, fast=False), examples)
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert largest_difference(slopes, wanted_slopes) < 1e-5


def test_a_pack_taken_in_parts_gives_the_same_loss_and_gradients() -> None:
    rows = [*tiny.examples(count=5), tiny.long_example(90)]
    wanted_loss, wanted = fast_loss(prepared("qwen2", fast=True), rows)
    model, batch = prepared("qwen2", fast=True), batching.packed(rows)
    parts = [*batching.parts(batch, at_once=60)]
    assert len(parts) > 2
    assert torch.equal(torch.cat([one["input_ids"] for one in parts], 1), batch["input_ids"])
    loss = 0.0
    for part in parts:
        share = model(**part).loss / len(batch["targets"])
        share.backward()
        loss += share.item()
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    assert largest_difference(gradients(model), wanted) < 1e-5


def test_training_with_packs_in_parts_ends_with_the_same_adapter(tmp_path: Path) -> None:
    folder = tiny.save_folder(tmp_path / "model")
    config = TrainConfig().changed(model__base_model=str(folder), schedule__max_steps=2)
    rows = tiny.examples(count=6, longest=80)
    lengths = [len(row.input_ids) for row in rows]
    ends, losses, forwards, judged = [], [], [], []
    for at_once in (None, 40):
        set_seed(4)
        loaded = models.load(config, folder)
        counted = loaded.base.register_forward_pre_hook(lambda *_: forwards.append(1))
        batches = StepBatches(lengths, 3, 2, seed=1, packed=True, at_once=at_once)
        when = rhythm(config.schedule, config.monitor, batches.steps())
        asked = arguments.build(config, loaded, when, tmp_path / "out", checkpointing=False)
        trainer = PackedTrainer(loaded.model, asked, batches, rows, rows, collator(True, 0))
        trainer.train()
        counted.remove()
        losses.append((trainer.meter.loss(), trainer.meter.tokens, len(forwards)))
        judged.append(trainer.judge())
        ends.append({name: p.detach() for name, p in loaded.model.named_parameters()})
    whole, parted = losses
    assert parted[0] == pytest.approx(whole[0], rel=1e-6)
    assert parted[1] == whole[1]
    assert judged[1] == pytest.approx(judged[0], rel=1e-5)
    assert parted[2] - whole[2] > whole[2], "each pack is computed in parts"
    assert largest_difference(ends[1], ends[0]) < 1e-5


def test_compiled_layers_are_compiled_once_for_all_layouts_of_rows() -> None:
    rows = tiny.examples(count=8, longest=60)
    packs = [rows[:3], rows[3:5], rows[2:7], rows[1:2], rows]
    wanted = [fast_loss(prepared("qwen2", fast=True), pack)[0] for pack in packs]
    model, counter = prepared("qwen2", fast=True), CompileCounter()
    base: Any = model.get_base_model()
    for layer in probe.layers(base):
        layer.compile(dynamic=True, backend=counter)
    compiled: list[int] = []
    for pack, loss in zip(packs, wanted, strict=True):
        assert fast_loss(model, pack)[0] == pytest.approx(loss, rel=1e-5)
        compiled.append(counter.frame_count)
    assert compiled[0] > 0
    assert compiled[-1] == compiled[1], compiled


def test_a_row_longer_than_the_products_are_used_for_gives_the_same_loss() -> None:
    examples = tiny.examples(2, longest=60)
    long = tiny.long_example(1500)
    changes = {"max_position_embeddings": 2048, "sliding_window": 700}
    loss, slopes = fast_loss(prepared("mistral", fast=True, **changes), [*examples, long])
    wanted, wanted_slopes = plain_loss(
        prepared("mistral", fast=False, **changes), [*examples, long]
    )
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert largest_difference(slopes, wanted_slopes) < 1e-5


def test_a_row_does_not_see_its_neighbours_in_the_pack() -> None:
    model = prepared("llama", fast=True).eval()
    first, second, other = tiny.examples(3, longest=20)
    with torch.no_grad():
        alone = model(**batching.packed([second])).loss
        with_first = model(**batching.packed([first, second])).loss
        of_first = model(**batching.packed([first])).loss
        with_other = model(**batching.packed([other, second])).loss
        of_other = model(**batching.packed([other])).loss
    assert float(with_first - of_first) == pytest.approx(float(alone), rel=1e-5)
    assert float(with_other - of_other) == pytest.approx(float(alone), rel=1e-5)


def test_prompt_tokens_carry_no_loss() -> None:
    example = tiny.examples(1, longest=30)[0]
    batch = batching.packed([example])
    assert batch["targets"].tolist() == example.input_ids[example.trained].tolist()
    changed = batch | {"targets": batch["targets"].clone()}
    model = prepared("llama", fast=True).eval()
    logits = tiny.model("llama")(input_ids=batch["input_ids"]).logits[0].log_softmax(-1)
    with torch.no_grad():
        base = model.get_base_model()
        with model.disable_adapter():
            loss = base(**changed).loss
    learned = example.trained.nonzero()[0]
    wanted = -sum(float(logits[i - 1, int(example.input_ids[i])].detach()) for i in learned)
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-5)


def test_a_model_that_carries_state_across_rows_is_padded_instead() -> None:
    model = tiny.model("mamba")
    plan = probe.plan(model, "auto", packing=True)
    assert not plan.packed
    assert plan.attention is None


def test_a_model_whose_attention_drops_the_segments_is_padded_instead() -> None:
    model = tiny.model("llama")
    for layer in model.model.layers:
        own = layer.self_attn.forward

        def leaky(*args: Any, own: Any = own, segments: Any = None, **kwargs: Any) -> Any:
            whole = batching.Segments([kwargs["hidden_states"].shape[1]])
            return own(*args, segments=whole, **kwargs)

        layer.self_attn.forward = leaky
    assert not probe.plan(model, "easytune_packed", packing=True).packed


@pytest.mark.parametrize("wish", ["sdpa", "eager"])
def test_the_attention_that_was_asked_for_packs_as_exactly(wish: str) -> None:
    examples = tiny.examples(4)
    base = tiny.model("mistral", attn_implementation=wish)
    plan = probe.plan(base, wish, packing=True)
    probe.apply(base, plan)
    assert plan.packed
    assert plan.attention == wish
    batch = batching.packed(examples)
    loss = base(**batch).loss / len(batch["targets"])
    plain = tiny.model("mistral")
    probe.apply(plain, probe.Plan(False, None, "sdpa", plan.finish))
    padded = batching.padded(examples, pad_id=0)
    assert float(loss.detach()) == pytest.approx(
        float(plain(**padded).loss) / len(padded["targets"]), rel=1e-5
    )


def test_a_head_that_is_trained_gets_the_same_gradient_in_chunks() -> None:
    examples = tiny.examples(5)
    fast, plain = tiny.model("llama"), tiny.model("llama")
    probe.apply(fast, probe.plan(fast, "auto", packing=True))
    _, slopes = fast_loss(fast, examples)  # type: ignore[arg-type]
    _, wanted = plain_loss(plain, examples)  # type: ignore[arg-type]
    assert "lm_head.weight" in slopes
    assert largest_difference(slopes, wanted) < 1e-5


@pytest.mark.parametrize("window", [None, 5, 200])
@pytest.mark.parametrize("groups", [1, 3])
def test_all_ways_of_attention_agree(window: int | None, groups: int) -> None:
    """The last row takes more than two blocks."""
    segments = (37, 1, 300)
    generator = torch.Generator().manual_seed(1)
    heads = (2 * groups, 2, 2)
    given = [torch.randn(1, h, 338, 8, generator=generator).requires_grad_() for h in heads]
    outer = torch.randn(1, 338, heads[0], 8, generator=generator)

    def row_by_row(way: Any) -> Tensor:
        rows = zip(*(one.split(segments, 2) for one in given), strict=True)
        return torch.cat([way(q, k, v, groups, 0.3, window, None, 0.0) for q, k, v in rows], 2)

    fused = row_by_row(attention._fused).transpose(1, 2)
    wanted = torch.autograd.grad(fused, given, outer)
    torch.testing.assert_close(row_by_row(attention._by_products).transpose(1, 2), fused)
    query, key, value = given
    blocks = causal_products.attend(query, key, value, segments, 0.3, window)
    torch.testing.assert_close(blocks, fused)
    for got, slope in zip(torch.autograd.grad(blocks, given, outer), wanted, strict=True):
        torch.testing.assert_close(got, slope)


def test_half_precision_gives_the_gradients_of_full_within_its_rounding() -> None:
    """Only there attention is computed in blocks."""
    examples = [*tiny.examples(3), tiny.long_example(200)]
    slopes = {}
    for fast in (True, False):
        model = prepared("qwen2", fast=fast)
        model.get_base_model().to(torch.bfloat16 if fast else torch.float32)
        _, slopes[fast] = (fast_loss if fast else plain_loss)(model, examples)
    assert largest_difference(slopes[True], slopes[False]) < 0.05
