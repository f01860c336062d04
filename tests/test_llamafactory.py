import json
from pathlib import Path

import pytest

from easytune import config_file
from easytune.config import TrainConfig
from easytune.data import dataset

EXAMPLE = """
### model
model_name_or_path: Qwen/Qwen3-4B-Instruct-2507
trust_remote_code: true

### method
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all

### dataset
dataset: identity,alpaca_en_demo
template: qwen3_nothink
cutoff_len: 2048
max_samples: 1000
overwrite_cache: true
preprocessing_num_workers: 16
dataloader_num_workers: 4

### output
output_dir: saves/qwen3-4b/lora/sft
logging_steps: 10
save_steps: 500
plot_loss: true
report_to: none

### train
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000
resume_from_checkpoint: null
"""


def _config(text: str) -> TrainConfig:
    return config_file.load(text).config


def test_an_example_file_becomes_the_same_run() -> None:
    config = _config(EXAMPLE)

    assert config.model.base_model == "Qwen/Qwen3-4B-Instruct-2507"
    assert config.model.method == "lora"
    assert config.lora.target_modules == ("all-linear",)
    assert (config.lora.rank, config.lora.alpha) == (8, 16)
    assert config.effective_batch_size == 8
    assert config.schedule.warmup == 0.1
    assert config.memory.precision == "bf16"
    assert config.output.folder == "saves/qwen3-4b/lora/sft"
    assert config.data.datasets == (
        "data/dataset_info.json#identity",
        "data/dataset_info.json#alpaca_en_demo",
    )


def test_every_key_of_a_file_is_listed_as_taken_over_or_left_out() -> None:
    sentences = config_file.load(EXAMPLE).sentences()
    listed = " ".join(sentences)

    given = [line.partition(":")[0] for line in EXAMPLE.splitlines() if ":" in line]
    assert [key for key in given if key not in listed] == ["resume_from_checkpoint"]
    assert "template: qwen3_nothink" in sentences[-1]
    assert "lora_rank → lora.rank" in sentences[0]


def test_what_a_file_leaves_out_gets_the_defaults_it_would_have_there() -> None:
    loaded = config_file.load("model_name_or_path: m\nfinetuning_type: lora\ndataset: a\n")

    assert loaded.config.optim.learning_rate == 5e-5
    assert loaded.config.lora.rank == 8
    assert loaded.config.schedule.warmup == 0
    assert any("optim.learning_rate = 5e-05" in sentence for sentence in loaded.sentences())


MEANINGS = {
    "quantization_bit: 4": ("model", "method", "qlora"),
    "quantization_bit: 8": ("memory", "quantization_bits", 8),
    "finetuning_type: full": ("model", "method", "full"),
    "stage: pt": ("data", "stage", "pretrain"),
    "lora_target: q_proj,v_proj": ("lora", "target_modules", ("q_proj", "v_proj")),
    "pissa_init: true": ("lora", "init", "pissa"),
    "additional_target: embed_tokens,lm_head": (
        "lora", "modules_to_save", ("embed_tokens", "lm_head"),
    ),
    "train_on_prompt: true": ("data", "train_on", "all"),
    "enable_thinking: false": ("data", "thinking", "off"),
    "warmup_steps: 20": ("schedule", "warmup", 20),
    "max_steps: -1": ("schedule", "max_steps", None),
    "flash_attn: fa2": ("memory", "attention", "flash_attention_2"),
    "flash_attn: disabled": ("memory", "attention", "eager"),
    "bf16: false": ("memory", "precision", "fp32"),
    "pure_bf16: true": ("memory", "precision", "bf16"),
    "disable_gradient_checkpointing: true": ("memory", "gradient_checkpointing", "off"),
    "neat_packing: true": ("data", "packing", True),
    "packing: false": ("data", "packing", False),
    "val_size: 0.1": ("data", "held_out_share", 0.1),
    "report_to: [wandb]": ("monitor", "report_to", "wandb"),
    "adam_epsilon: 1e-6": ("output", "training_args", {"adam_epsilon": 1e-6}),
}  # fmt: skip


@pytest.mark.parametrize("line", MEANINGS)
def test_a_key_keeps_its_meaning(line: str) -> None:
    section, option, value = MEANINGS[line]

    config = _config(f"model_name_or_path: m\n{line}\n")

    assert getattr(getattr(config, section), option) == value


UNTRANSLATABLE = [
    "stage: dpo", "finetuning_type: freeze", "val_size: 100", "quantization_bit: 2",
    "save_steps: 0.1", "lora_rnk: 3",
]  # fmt: skip


@pytest.mark.parametrize("line", UNTRANSLATABLE)
def test_what_has_no_counterpart_is_named_and_not_guessed(line: str) -> None:
    loaded = config_file.load(f"model_name_or_path: m\n{line}\n")

    assert line in loaded.sentences()[-1]
    assert loaded.sentences()[-1].startswith("Without a counterpart")


def test_draw_chances_become_weights_and_say_so() -> None:
    loaded = config_file.load("dataset: a,b\ninterleave_probs: 0.75,0.25\n")

    assert loaded.config.data.weights == (1.5, 0.5)
    assert "interleave_probs" in loaded.sentences()[-1]


def test_a_dataset_list_two_folders_above_the_file_is_found_and_read(tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {n}", "output": str(n)} for n in range(4)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.json").write_text(json.dumps(rows))
    listed = {"mine": {"file_name": "rows.json"}}
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(listed))
    file = tmp_path / "examples" / "train_lora" / "run.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("dataset: mine\ndataset_dir: data\n")

    loaded = config_file.load_file(file)

    assert len(dataset.load(loaded.config.data).train) == 4
