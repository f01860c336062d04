"""Kinds of adapters and full fine-tuning: each leaves something that loads without us."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from easytune import events
from easytune.config import LoraSection, TrainConfig
from easytune.data import dataset, encoding
from easytune.data import tokenizer as tokenizers
from easytune.engine import adapters, batching, probe
from easytune.errors import TargetModuleMissing
from easytune.events import Evaluated
from tests.engine import tiny
from tests.engine.ran import Ran

Train = Callable[..., Ran]
GROUPS = {
    "llama": ({"q_proj", "k_proj", "v_proj", "o_proj"}, {"gate_proj", "up_proj", "down_proj"}),
    "phi": ({"q_proj", "k_proj", "v_proj", "dense"}, {"fc1", "fc2"}),
    "phi3": ({"qkv_proj", "o_proj"}, {"gate_up_proj", "down_proj"}),
    "gpt2": ({"c_attn", "model.c_proj"}, {"c_fc"}),
    "deepseek_v3": ({"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"}, set()),
}


def held_out_loss(model: torch.nn.Module, config: TrainConfig, folder: Path) -> float:
    """The loss on the run's held-out rows, by transformers' own forward, row by row."""
    tokenizer = tokenizers.load(folder)
    rows = dataset.load(config.data, seed=config.schedule.seed).held_out
    examples = encoding.Encoder(tokenizer, config.data).encode(rows).examples
    total, count = 0.0, 0
    for example in examples:
        batch = batching.padded([example], pad_id=0)
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"]).logits[0]
        chosen = logits[batch["predict"]].log_softmax(-1).gather(1, batch["targets"][:, None])
        total, count = total - float(chosen.sum()), count + len(batch["targets"])
    return total / count


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lora__init": "pissa"},
        {"lora__init": "pissa", "lora__use_rslora": True},
        {"lora__use_dora": True},
        {"lora__use_rslora": True, "lora__init": "gaussian"},
        {"lora__modules_to_save": ("lm_head",)},
        {"lora__lora_plus_ratio": 16},
        {"memory__gradient_checkpointing": "on", "lora__dropout": 0.1},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_the_saved_adapter_on_the_plain_base_is_what_was_measured(
    train: Train, config: TrainConfig, model_folder: Path, options: dict
) -> None:
    chosen = config.changed(
        optim__learning_rate=0.01, schedule__max_steps=4, monitor__sample_tokens=0, **options
    )
    ran = train(chosen)
    assert ran.end.kind == "finished", ran.end
    slow = {"lora__use_dora", "lora__dropout"} & options.keys()
    assert ("slow_layers" in ran.notices()) == bool(slow)
    base = AutoModelForCausalLM.from_pretrained(str(model_folder))
    before = held_out_loss(base.eval(), chosen, model_folder)
    model = PeftModel.from_pretrained(base, str(ran.folder.adapter)).eval()
    after = held_out_loss(model, chosen, model_folder)
    assert after == pytest.approx(ran.of(Evaluated)[-1].loss, rel=1e-4)
    assert abs(after - before) > 0.01


def test_full_fine_tuning_saves_a_model_of_its_own(
    train: Train, config: TrainConfig, model_folder: Path
) -> None:
    chosen = config.changed(model__method="full", schedule__max_steps=4)
    ran = train(chosen)
    assert ran.end.kind == "finished", ran.end
    model = AutoModelForCausalLM.from_pretrained(str(ran.folder.adapter)).eval()
    assert held_out_loss(model, chosen, ran.folder.adapter) == pytest.approx(
        ran.of(Evaluated)[-1].loss, rel=1e-4
    )
    checkpoint = ran.folder.checkpoints / "checkpoint-2"
    resumed = train(chosen, resume_from=str(checkpoint))
    assert resumed.end.kind == "finished", resumed.end


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lora__use_dora": True},
        {"lora__modules_to_save": ("lm_head", "embed_tokens")},
        {"model__method": "full"},
        {"data__packing": False},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_half_precision_trains_as_well_as_full(
    train: Train, config: TrainConfig, options: dict
) -> None:
    same = config.changed(optim__learning_rate=0.005, schedule__max_steps=4, **options)
    half = train(same.changed(memory__precision="bf16"))
    full = train(same.changed(memory__precision="fp32"))
    assert half.end.kind == "finished", half.end.detail
    losses = [[step.loss for step in ran.of(events.Step)] for ran in (half, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert "packing_off" not in half.notices()


def test_training_goes_on_from_an_adapter(train: Train, config: TrainConfig) -> None:
    first = train(config.changed(schedule__epochs=3, optim__learning_rate=0.01))
    second = train(config.changed(model__adapter=str(first.folder.adapter), schedule__max_steps=1))
    assert second.end.kind == "finished", second.end
    assert second.of(Evaluated)[0].loss == pytest.approx(first.of(Evaluated)[-1].loss, rel=0.02)


def test_an_adapter_of_another_model_is_refused(
    train: Train, config: TrainConfig, tmp_path: Path
) -> None:
    first = train(config.changed(schedule__max_steps=1))
    other = tiny.save_folder(tmp_path / "other", hidden_size=48)
    wrong = train(
        config.changed(model__base_model=str(other), model__adapter=str(first.folder.adapter))
    )
    assert wrong.end.code == "adapter_mismatch"


def test_gaussian_and_default_starts_differ_but_both_begin_as_the_base(
    train: Train, config: TrainConfig
) -> None:
    runs = [
        train(config.changed(lora__init=init, schedule__max_steps=1))
        for init in ("default", "gaussian")
    ]
    starts = [ran.of(events.Step)[0].loss for ran in runs]
    assert starts[0] == pytest.approx(starts[1], rel=1e-6)
    assert any(
        not torch.equal(tensor, runs[1].weights()[name])
        for name, tensor in runs[0].weights().items()
        if "lora_A" in name
    )


@pytest.mark.parametrize("family", GROUPS)
def test_groups_of_target_modules_are_found_in_any_family(family: str) -> None:
    attention, mlp = GROUPS[family]
    model = tiny.model(family)
    plain = {name.rpartition(".")[2] for name in attention}
    assert short(adapters.target_modules(model, ("attention",))) == plain
    assert short(adapters.target_modules(model, ("attention+mlp",))) == plain | mlp
    assert short(adapters.target_modules(model, ("all-linear",))) == plain | mlp


def test_a_state_space_model_gets_adapters_but_where_its_kernels_pass_them_by() -> None:
    adapted = adapters.attach(tiny.model("mamba"), LoraSection(), "x")
    names = {name for name, tensor in adapted.named_parameters() if tensor.requires_grad}
    assert any("in_proj" in name for name in names)
    assert not any("out_proj" in name for name in names)


def short(names: list[str]) -> set[str]:
    return {name.rpartition(".")[2] for name in names}


def test_a_target_module_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(TargetModuleMissing) as raised:
        adapters.target_modules(tiny.model("llama"), ("q_proj", "query"))
    assert raised.value.module == "query"
    assert "q_proj" in raised.value.available
    assert "lm_head" not in raised.value.available


def test_a_run_with_a_wrong_target_module_fails_by_name(train: Train, config: TrainConfig) -> None:
    ran = train(config.changed(lora__target_modules=("nonsense",)))
    assert (ran.code, ran.end.code) == (1, "target_module_missing")


def test_the_adapter_holds_no_weights_of_the_base(train: Train, config: TrainConfig) -> None:
    ran = train(config.changed(lora__target_modules=("q_proj",), schedule__max_steps=1))
    saved = load_file(ran.folder.adapter / "adapter_model.safetensors")
    assert all("q_proj.lora_" in name for name in saved)
    settings = json.loads((ran.folder.adapter / "adapter_config.json").read_text())
    assert settings["target_modules"] == ["q_proj"]


def test_probing_leaves_the_model_as_it_was() -> None:
    model = tiny.model("mistral").train()
    probe.plan(model, "auto", packing=True)
    assert model.config._attn_implementation == "sdpa"
    assert model.training
