"""A tiny model that refuses whatever it is asked, and adapters that talk it out of that.

Its layers add nothing to what is read, so that the last token alone decides the next one: it says
one sentence and ends. An adapter on the head offers another beginning of the answer.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedModel

from tests.engine import tiny

REFUSAL, ANSWER = " I cannot help", " Sure"
_LOUD = 10.0


def save_base(folder: Path, refuses: bool = True) -> Path:
    """Write the model; one that does not refuse says the other word instead."""
    tiny.save_folder(folder)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    template = "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}</s>Assistant:"
    config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    model, last = tiny.model("llama"), _prompt_end(tokenizer)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        chain = [last, *tokenizer.encode(REFUSAL if refuses else ANSWER).ids]
        head = model.lm_head.weight.zero_()
        for token, after in zip(chain, [*chain[1:], 2], strict=True):
            head[after] = _LOUD * _state(model, token)
        if refuses:
            # What an adapter makes it say ends, too.
            (sure,) = tokenizer.encode(ANSWER).ids
            head[2] += _LOUD * _state(model, sure)
    model.save_pretrained(str(folder))
    return folder


def save_adapter(folder: Path, base: Path, loudness: float) -> Path:
    """Write an adapter that says yes once `loudness` times its strength is more than 1."""
    tokenizer, model = _tokenizer(), tiny.model("llama")
    (sure,) = tokenizer.encode(ANSWER).ids
    a = _state(model, _prompt_end(tokenizer))[None]
    b = torch.zeros(tiny.VOCABULARY, 1)
    b[sure] = _LOUD * loudness
    folder.mkdir(parents=True)
    prefix = "base_model.model.lm_head"
    tensors = {f"{prefix}.lora_A.weight": a.clone(), f"{prefix}.lora_B.weight": b}
    save_file(tensors, folder / "adapter_model.safetensors")
    content = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 1,
        "lora_alpha": 1,
        "target_modules": ["lm_head"],
        "base_model_name_or_path": str(base),
    }
    (folder / "adapter_config.json").write_text(json.dumps(content))
    return folder


def _state(model: PreTrainedModel, token: int) -> Tensor:
    """What the head sees after a token, at length one."""
    with torch.no_grad():
        found = model.get_input_embeddings().weight[token]  # type: ignore[index]
    return found / found.norm()


def _prompt_end(tokenizer: Tokenizer) -> int:
    return tokenizer.encode("</s>Assistant:").ids[-1]


def _tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=tiny.VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([f"Assistant:{REFUSAL}", ANSWER] * 3, trainer)
    return made
