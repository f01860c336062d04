from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from easytune import demo, intents, model_shape, presets
from easytune.config import TrainConfig
from easytune.intents import Intent
from easytune.shapes import DataShape, Linear, Machine, ModelShape

FREE = Machine("cuda", "Some GPU", 80.0, 80.0, True, 16, 500.0, can_quantize=True)
DATA = DataShape(
    rows=900, held_out=100, supervised_tokens=90_000, total_tokens=180_000, longest=600, mean=200.0,
    p95=400, truncated=0, steps_per_epoch=113, total_steps=339, largest_batch=2000,
    largest_supervised=1000,
)  # fmt: skip
MODEL = ModelShape(
    family="qwen2", hidden=3584, layers=28, inner=18944, heads=28, kv_heads=4, vocabulary=152064,
    context=32768, parameters=7_615_616_512, tied=False, stored_bytes=2.0,
    linears=(
        Linear("q_proj", 3584, 3584, 28, "attention"), Linear("k_proj", 3584, 512, 28, "attention"),
        Linear("v_proj", 3584, 512, 28, "attention"), Linear("o_proj", 3584, 3584, 28, "attention"),
        Linear("gate_proj", 3584, 18944, 28, "mlp"), Linear("up_proj", 3584, 18944, 28, "mlp"),
        Linear("down_proj", 18944, 3584, 28, "mlp"),
    ),
)  # fmt: skip
KNOWN = intents.load(Path("/nowhere")).found


def suggested(
    intent: str | Intent = "knowledge",
    config: TrainConfig | None = None,
    model: ModelShape | None = MODEL,
    data: DataShape | None = DATA,
    machine: Machine = FREE,
) -> presets.Suggestion:
    chosen = KNOWN[intent] if isinstance(intent, str) else intent
    return presets.suggest(chosen, config or TrainConfig(), model, data, machine)


def shaped(*linears: Linear) -> ModelShape:
    return replace(MODEL, linears=linears)


def test_the_three_intents_ask_for_more_and_more() -> None:
    style, knowledge, tasks = (suggested(name).config for name in KNOWN)

    assert style.lora.target_modules == ("q_proj", "k_proj", "v_proj")
    assert set(knowledge.lora.target_modules) == {
        "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    assert tasks.lora.target_modules == ("all-linear",)
    assert (style.lora.rank, knowledge.lora.rank, tasks.lora.rank) == (4, 8, 16)
    assert (style.data.replay_share, tasks.data.replay_share) == (0.0, 0.1)
    assert style.optim.learning_rate == pytest.approx(0.75 * tasks.optim.learning_rate, rel=0.05)


@pytest.mark.parametrize(
    ("linears", "wanted", "said"),
    [
        (("attention:c_attn", "attention:c_proj", "mlp:c_fc", "mlp:c_proj"),
         {"c_attn", "c_fc", "c_proj"}, "where facts are kept"),
        (("attention:qkv_proj", "attention:o_proj", "mlp:gate_up_proj"),
         {"qkv_proj", "gate_up_proj"}, "where facts are kept"),
        (("attention:query_key_value", "attention:dense", "mlp:dense_h_to_4h"),
         {"query_key_value", "dense_h_to_4h"}, "where facts are kept"),
        (("attention:q_a_proj", "attention:kv_b_proj", "attention:o_proj", "expert:up_proj"),
         {"q_a_proj", "kv_b_proj"}, "the experts of this mixture stay"),
        (("other:in_proj", "other:x_proj"), {"all-linear"}, "no parts that are known"),
    ],
)  # fmt: skip
def test_target_modules_are_the_models_own_whatever_their_names(
    linears: tuple[str, ...], wanted: set[str], said: str
) -> None:
    model = shaped(
        *(Linear(one.split(":")[1], 64, 64, 2, one.split(":")[0]) for one in linears)  # type: ignore[arg-type]
    )
    found = suggested("knowledge", model=model)

    assert set(found.config.lora.target_modules) == wanted
    model_shape.targets(model, found.config.lora.target_modules)
    assert said in presets.sentence(found.reasons["lora.target_modules"])


def test_the_rank_grows_with_what_is_to_be_learned_until_the_band_ends() -> None:
    per_rank = model_shape.lora_parameters(MODEL, 1, ("q_proj", "k_proj", "v_proj"))
    enough = suggested("style", data=replace(DATA, supervised_tokens=5 * per_rank))
    short = suggested("style", data=replace(DATA, supervised_tokens=9 * per_rank))

    assert (enough.config.lora.rank, enough.config.lora.alpha) == (8, 16)
    assert enough.reasons["lora.rank"].code == "rank"
    assert (short.config.lora.rank, short.reasons["lora.rank"].code) == (8, "rank_short")
    assert f"{9 * per_rank:,}" in presets.sentence(short.reasons["lora.rank"])


def test_high_ranks_are_stabilised_and_learn_slower() -> None:
    tall = KNOWN["instructions"].model_copy(update={"rank": (128, 128)})
    found, usual = suggested(tall).config, suggested("instructions").config

    assert found.lora.use_rslora
    assert found.lora.alpha / 128**0.5 == pytest.approx(1.0, rel=0.05)
    assert found.optim.learning_rate == pytest.approx(usual.optim.learning_rate / 2, rel=0.05)


@pytest.mark.parametrize(
    ("parameters", "hidden", "family", "low", "high"),
    [
        (2_300_000, 256, "llama", 4e-3, 1e-2),
        (7e9, 3584, "qwen2", 1.5e-4, 3e-4),
        (70e9, 8192, "llama", 5e-5, 1e-4),
        (400e9, 60_000, "llama", 5e-5, 5e-5),
    ],
)
def test_the_learning_rate_falls_with_the_size_of_the_model(
    parameters: int, hidden: int, family: str, low: float, high: float
) -> None:
    model = replace(MODEL, parameters=int(parameters), hidden=hidden, family=family)

    assert low <= suggested("instructions", model=model).config.optim.learning_rate <= high


@pytest.mark.parametrize(
    ("rows", "tokens", "effective", "epochs", "dropout", "scheduler"),
    [
        (50, 2_000, 8, 6, 0.05, "linear"),
        (900, 90_000, 8, 3, 0.05, "cosine"),
        (5_000, 600_000, 16, 2, 0.0, "cosine"),
        (200_000, 40_000_000, 32, 1, 0.0, "cosine"),
    ],
)
def test_batch_epochs_and_dropout_follow_the_amount_of_data(
    rows: int, tokens: int, effective: int, epochs: int, dropout: float, scheduler: str
) -> None:
    data = replace(DATA, rows=rows, supervised_tokens=tokens)
    found = suggested("style", data=data).config

    assert (found.effective_batch_size, found.schedule.epochs) == (effective, epochs)
    assert (found.lora.dropout, found.schedule.scheduler) == (dropout, scheduler)


def test_a_short_run_still_draws_a_curve_and_warms_up() -> None:
    found = suggested("style", data=replace(DATA, rows=10, supervised_tokens=100)).config

    assert (found.monitor.logging_steps, found.monitor.eval_steps) == (1, 1)
    assert found.schedule.warmup == 3
    assert found.monitor.early_stopping == 3
    alone = suggested("style", data=replace(DATA, held_out=0)).config
    assert alone.monitor.early_stopping is None


def test_what_is_short_of_memory_is_split_recomputed_then_quantized() -> None:
    roomy = suggested()
    assert (roomy.config.schedule.gradient_accumulation, roomy.config.model.method) == (1, "lora")
    found = [suggested(machine=replace(FREE, free_gb=float(gb))) for gb in range(40, 16, -1)]

    assert all(one.config.effective_batch_size == 8 for one in found)
    batches = [one.config.schedule.batch_size for one in found]
    assert batches == sorted(batches, reverse=True)
    assert batches[-1] == 1
    split = next(one for one in found if one.config.schedule.batch_size < 8)
    free = split.reasons["schedule.batch_size"].values["free"]
    assert f"{free} GB" in presets.sentence(split.reasons["schedule.batch_size"])
    for one in found:
        recomputes = one.config.memory.gradient_checkpointing == "on"
        assert not recomputes or one.config.schedule.batch_size == 1
        assert recomputes or one.config.model.method == "lora"
    assert any(one.config.memory.gradient_checkpointing == "on" for one in found)
    quantized = TrainConfig().changed(model__method="qlora")
    assert suggested(config=quantized).config.model.method == "lora"


def test_what_may_not_fit_at_all_is_said_and_cuts_no_rows() -> None:
    nothing = suggested(machine=replace(FREE, free_gb=1.0, can_quantize=False))
    assert nothing.reasons["schedule.batch_size"].code == "nothing_fits"
    assert nothing.config.data.max_length == TrainConfig().data.max_length
    assert nothing.config.memory.gradient_checkpointing == "on"


def test_dropout_gives_way_to_the_memory_that_it_costs() -> None:
    assert suggested().config.lora.dropout == 0.05

    short = suggested(machine=replace(FREE, free_gb=24.0))
    assert short.config.lora.dropout == 0.0
    assert "24.0 GB" in presets.sentence(short.reasons["lora.dropout"])


def test_what_the_run_is_about_is_left_alone() -> None:
    config = TrainConfig().changed(
        model__base_model="a/b",
        data__datasets=("mine.jsonl",),
        output__name="x",
        schedule__max_steps=40,
        lora__rank=256,
        goal__intent="style",
    )
    found = suggested("knowledge", config).config

    assert (found.model.base_model, found.data.datasets, found.output) == (
        "a/b", ("mine.jsonl",), config.output,
    )  # fmt: skip
    assert (found.schedule.max_steps, found.goal.intent, found.lora.rank) == (40, "knowledge", 8)


def test_full_training_and_adapters_that_go_on_keep_what_was_chosen() -> None:
    full = suggested(config=TrainConfig().changed(model__method="full"))
    assert (full.config.model.method, "lora.rank" in full.reasons) == ("full", False)
    assert full.config.optim.learning_rate < suggested().config.optim.learning_rate / 5

    further = TrainConfig().changed(model__adapter="runs/x", lora__rank=64, lora__alpha=64)
    assert suggested(config=further).config.lora == further.lora


@pytest.mark.parametrize("intent", KNOWN)
@pytest.mark.parametrize("model", [None, MODEL])
@pytest.mark.parametrize("data", [None, DATA, replace(DATA, rows=0, supervised_tokens=0)])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_value_has_a_whole_sentence_whatever_is_unknown(
    intent: str, model: ModelShape | None, data: DataShape | None, lang: str
) -> None:
    found = suggested(intent, model=model, data=data)

    for path, reason in found.reasons.items():
        text = presets.sentence(reason, lang)
        assert text[-1] in ".。", f"{path}: {text}"
        assert "{" not in text
        assert "intent.reason" not in text


def test_a_suggestion_taken_over_is_suggested_again() -> None:
    first = suggested()
    mixed = replace(DATA, rows=1000, replayed_rows=100,
                    supervised_tokens=99_000, replayed_tokens=9_000)  # fmt: skip
    again = suggested(config=first.config, data=mixed)

    assert first.config.data.replay_share == 0.1
    assert presets.overridden(first.config, again) == []
    assert again.reasons["lora.rank"] == first.reasons["lora.rank"]


def test_values_of_the_persons_own_are_told_apart() -> None:
    found = suggested()
    assert presets.overridden(found.config, found) == []

    own = found.config.changed(lora__rank=64, output__name="mine")
    assert presets.overridden(own, found) == ["lora.rank"]


def test_an_intents_fixed_values_and_reasons_win_and_the_rest_follows_them() -> None:
    own = Intent(
        id="legal", title={"en": "Legal"}, summary={"en": "x"}, rank=(8, 8), targets="attention",
        config={
            "schedule": {"epochs": 2}, "memory": {"precision": "fp32"},
            "optim": {"adam_beta2": 0.95},
        },
        because={"schedule.epochs": {"en": "{value} rounds of {rows} rows, {tune} them."}},
    )  # fmt: skip
    found = suggested(own)

    assert found.config.schedule.epochs == 2
    assert found.config.memory.precision == "fp32"
    assert found.config.optim.adam_beta2 == 0.95
    assert (
        presets.sentence(found.reasons["schedule.epochs"], "zh")
        == "2 rounds of 900 rows, {tune} them."
    )
    assert found.config.monitor.eval_steps == 22
    with pytest.raises(ValidationError):
        Intent(id="x", title={"en": "X"}, summary={}, rate_factor=0)


def test_a_very_small_model_gets_what_it_learns_with() -> None:
    demo_model = model_shape.read(demo.MODEL)
    found = suggested("style", model=demo_model, data=replace(DATA, rows=500))

    assert found.reasons["optim.learning_rate"].code == "rate_small_gentle"
    assert "2.3" in presets.sentence(found.reasons["optim.learning_rate"])
    assert found.config.lora.target_modules == ("all-linear",)
    assert (found.config.lora.rank, found.config.schedule.epochs) == (8, 5)
    assert found.config.data.replay_share == 0.1
    few = suggested("knowledge", model=demo_model, data=replace(DATA, rows=50)).config
    assert few.schedule.epochs == 10
