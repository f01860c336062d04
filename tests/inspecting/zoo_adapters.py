"""Hostile options, tensors and tokenizers, as `zoo_files`."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from easytune import demo
from tests.inspecting import sound
from tests.inspecting.sound import (
    CONFIG,
    LAYER,
    RANK,
    adding,
    with_config,
    with_tensors,
    with_text,
    with_tokenizer,
)
from tests.inspecting.zoo_files import Zoo

_HEAD, _NORM = "base_model.model.lm_head.weight", "base_model.model.model.norm.weight"
_COPY = f"{LAYER}.base_layer.weight"
_EMBED = "base_model.model.model.embed_tokens"


def _raw(text: str) -> Any:
    return with_text(CONFIG, text)


def _options(**changes: Any) -> str:
    return json.dumps(sound.config(**changes))


def _set(name: str, value: float) -> Any:
    return lambda content: content[f"{LAYER}.{name}.weight"].__setitem__((0, 0), value)


def _replace(name: str, *shape: int) -> Any:
    return lambda c: c.update({f"{LAYER}.{name}.weight": np.ones(shape, np.float32)})


def _zero(content: dict[str, np.ndarray]) -> None:
    for name, tensor in content.items():
        if "lora_B" in name:
            tensor[:] = 0


def _as_bf16(content: dict[str, np.ndarray]) -> None:
    raw = content[f"{LAYER}.lora_A.weight"].view(np.uint32) >> 16
    half = raw.astype(np.uint16)
    half[0, 0] = 0x7FC0
    content[f"{LAYER}.lora_A.weight"] = half


def _as_model(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    config = json.loads((demo.MODEL / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    sound.save(folder / "model.safetensors", {"a": np.ones(4, np.float32)})


def _model(**changes: Any) -> Any:
    def apply(folder: Path) -> None:
        _as_model(folder)
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(content | changes))

    return apply


def _index(places: Any) -> Any:
    def apply(folder: Path) -> None:
        _as_model(folder)
        text = json.dumps({"metadata": {}, "weight_map": places})
        (folder / "model.safetensors.index.json").write_text(text)

    return apply


def _beside(name: str, content: dict[str, Any]) -> Any:
    def apply(folder: Path) -> None:
        _as_model(folder)
        (folder / name).write_text(json.dumps(content))

    return apply


KEYS: Zoo = {
    "head": (with_tensors(adding(_HEAD, 1280, 256)), "key_refused"),
    "norm": (with_tensors(adding(_NORM, 256)), "key_refused"),
    "head without prefix": (with_tensors(adding("lm_head.weight", 1280, 256)), "key_refused"),
    "base layer": (with_tensors(adding(_COPY, 256, 256)), "base_weight"),
    "base weight of a layer": (with_tensors(adding(f"{LAYER}.weight", 256, 256)), "key_refused"),
    "bias": (with_tensors(adding(f"{LAYER}.bias", 256)), "key_refused"),
    "lora bias": (with_tensors(adding(f"{LAYER}.lora_B.bias", 256)), "key_refused"),
    "hidden in a base layer": (
        with_tensors(adding(f"{LAYER}.base_layer.lora_A.weight", 4, 256)), "key_refused"),
    "tokens undeclared": (
        with_tensors(adding(f"{_EMBED}.token_adapter.trainable_tokens_delta", 2, 256)),
        "key_refused"),
    "tokens of another count": (
        with_tensors(adding(f"{_EMBED}.token_adapter.trainable_tokens_delta", 2, 256),
                     trainable_token_indices={"embed_tokens": [1, 2, 3]}), "shape_wrong"),
    "tokens of the base": (
        with_tensors(adding(f"{_EMBED}.token_adapter.trainable_tokens_delta", 2, 256),
                     trainable_token_indices={"embed_tokens": [1, 2]}), "tokens_trained"),
    "whole head": (
        with_tensors(adding(_HEAD, 1280, 256), modules_to_save=["lm_head"]), "whole_module"),
    "whole head too small": (
        with_tensors(adding(_HEAD, 12, 256), modules_to_save=["lm_head"]), "shape_wrong"),
    "whole head larger": (
        with_tensors(adding(_HEAD, 1300, 256), modules_to_save=["lm_head"]), "vocabulary_grown"),
    "whole layer that is not there": (
        with_tensors(adding("base_model.model.evil.weight", 4, 4), modules_to_save=["evil"]),
        "layer_absent"),
    "a whole decoder": (with_config(modules_to_save=["layers"]), "whole_unusual"),
    "half of a product": (
        with_tensors(lambda c: c.pop(f"{LAYER}.lora_B.weight")), "half_missing"),
    "another rank": (with_tensors(_replace("lora_A", 8, 256)), "rank_wrong"),
    "three dimensions": (with_tensors(_replace("lora_A", 4, 16, 16)), "rank_wrong"),
    "another width": (with_tensors(_replace("lora_A", RANK, 300)), "shape_wrong"),
    "a layer too many": (
        with_tensors(lambda c: c.update({
            name.replace("layers.0", "layers.99"): tensor
            for name, tensor in sound.tensors().items() if LAYER in name
        })), "layer_absent"),
    "undeclared target": (with_config(target_modules=["v_proj"]), "target_undeclared"),
    "declared and absent": (with_config(target_modules=["q_proj", "v_proj", "x"]), "target_absent"),
    "magnitude without dora": (
        with_tensors(adding(f"{LAYER}.lora_magnitude_vector", 256)), "dora_differs"),
    "dora without magnitude": (with_config(use_dora=True), "dora_differs"),
    "whole numbers": (
        with_tensors(lambda c: c.update({f"{LAYER}.lora_A.weight": np.ones((4, 256), np.int8)})),
        "number_format"),
    "nan": (with_tensors(_set("lora_A", math.nan)), "not_finite"),
    "infinity": (with_tensors(_set("lora_B", math.inf)), "not_finite"),
    "nan in bf16": (with_tensors(_as_bf16), "not_finite"),
    "huge weights": (with_tensors(_set("lora_B", 1e9)), "weights_huge"),
    "all zero": (with_tensors(_zero), "does_nothing"),
    "nothing at all": (with_tensors(lambda c: c.clear()), "no_tensors"),
}  # fmt: skip
OPTIONS: Zoo = {
    "auto map": (with_config(auto_map={"AutoModel": "x.Y"}), "option_refused"),
    "auto mapping": (
        with_config(auto_mapping={"parent_library": "os", "base_model_class": "system"}),
        "option_refused"),
    "trust": (with_config(trust_remote_code=True), "option_refused"),
    "layers copied": (with_config(layer_replication=[[0, 3], [1, 3]]), "option_refused"),
    "arrow": (with_config(arrow_config={"top_k": 3}), "option_refused"),
    "megatron": (with_config(megatron_config={"a": 1}), "option_refused"),
    "module by name": (with_config(megatron_core="os"), "option_refused"),
    "biases": (with_config(bias="all"), "bias_trained"),
    "invocation": (with_config(alora_invocation_tokens=[1, 2]), "invocation"),
    "eva": (with_config(eva_config={"rho": 2.0}), "option_unusual"),
    "unknown option": (with_config(postprocess="os.system"), "option_unknown"),
    "prompt tuning": (with_config(peft_type="PROMPT_TUNING"), "kind_unknown"),
    "x-lora": (with_config(peft_type="XLORA"), "kind_unknown"),
    "no kind": (with_config(peft_type=None), "kind_unknown"),
    "ia3": (with_config(peft_type="IA3"), "kind_rare"),
    "classifier": (with_config(task_type="SEQ_CLS"), "task_other"),
    "rank as text": (with_config(r="4"), "option_type"),
    "rank true": (with_config(r=True), "option_type"),
    "targets of numbers": (with_config(target_modules=[1, 2]), "option_type"),
    "alpha pattern of texts": (with_config(alpha_pattern={"q_proj": "8"}), "option_type"),
    "dropout": (with_config(lora_dropout=2), "option_type"),
    "rank zero": (with_config(r=0), "rank_absurd"),
    "rank of a million": (with_config(r=10**6), "rank_absurd"),
    "scale of a million": (with_config(lora_alpha=4_000_000), "scale_absurd"),
    "negative scale": (with_config(lora_alpha=-8), "scale_absurd"),
    "scale by pattern": (with_config(alpha_pattern={"q_proj": 1e6}), "scale_absurd"),
    "large scale": (with_config(lora_alpha=400), "scale_unusual"),
    "pissa": (with_config(init_lora_weights="pissa_niter_4"), "base_was_changed"),
    "loftq": (with_config(init_lora_weights="loftq"), "base_quantized"),
    "endless pattern": (with_config(target_modules=r"(a+)+$"), "pattern_unsafe"),
    "endless rank pattern": (with_config(rank_pattern={r"((x|y)*)*z": 4}), "pattern_unsafe"),
    "pattern of choices": (
        with_config(target_modules=r"(?:[a-z_.]q?|[a-z_.0-9])*!"), "pattern_unsafe"),
    "pattern of small steps": (
        with_config(target_modules=r"(?:[a-z_.0-9]{0,900}){0,900}!"), "pattern_unsafe"),
    "pattern of doubts": (with_config(target_modules="[a-z.]?" * 45 + "!"), "pattern_unsafe"),
    "broken pattern": (with_config(target_modules="(q_proj"), "pattern_unsafe"),
    "tokens outside": (
        with_config(trainable_token_indices={"embed_tokens": [99_999]}), "tokens_outside"),
    "base by address": (
        with_config(base_model_name_or_path="https://evil.example/m"), "base_by_address"),
    "base by path": (
        with_config(base_model_name_or_path="../../etc"), "base_by_address"),
    "key twice": (_raw(_options()[:-1] + ', "r": 4}'), "json_invalid"),
    "nan option": (_raw(_options().replace("8", "NaN", 1)), "json_invalid"),
    "deep options": (_raw('{"a":' * 500 + "1" + "}" * 500), "json_invalid"),
    "bottomless options": (_raw('{"a":' * 90_000 + "1" + "}" * 90_000), "json_invalid"),
    "huge number": (_raw(_options(r=10**40)), "number_huge"),
    "number of a million digits": (_raw(_options().replace("4", "4" * 10**6, 1)), "json_invalid"),
    "large options": (_raw(_options(note="x" * 5_000_000)), "json_large"),
    "not text": (with_text(CONFIG, b"\xff\xfe\x00"), "json_invalid"),
    "a list": (_raw("[]"), "json_invalid"),
}  # fmt: skip
_NEW = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
TOKENIZERS: Zoo = {
    "code": (with_text("tokenizer_config.json",
             json.dumps({"auto_map": {"AutoTokenizer": ["t.T", None]}})), "remote_code"),
    "class of any name": (with_text("tokenizer_config.json",
                          json.dumps({"tokenizer_class": "../evil.Evil"})), "tokenizer_invalid"),
    "other end": (with_text("tokenizer_config.json",
                  json.dumps({"eos_token": "<|im_start|>"})), "special_changed"),
    "special moved": (with_tokenizer(lambda t: t["added_tokens"][2].update(id=7)), "token_moved"),
    "special made plain": (
        with_tokenizer(lambda t: t["added_tokens"][2].update(special=False)),
        "token_special_changed"),
    "word as special": (with_tokenizer(lambda t: t["added_tokens"].append(
        {"id": 1279, "content": "password", "special": True, **_NEW})), "token_is_word"),
    "more tokens": (with_tokenizer(lambda t: t["added_tokens"].append(
        {"id": 5000, "content": "<|more|>", "special": True, **_NEW})), "tokenizer_larger"),
    "an id twice": (with_tokenizer(lambda t: t["added_tokens"].append(
        {"id": 2, "content": "<|x|>", "special": True, **_NEW})), "token_twice"),
    "words swapped": (with_tokenizer(_swap := lambda t: t["model"]["vocab"].update(
        a=t["model"]["vocab"]["b"], b=t["model"]["vocab"]["a"])), "vocabulary_moved"),
    "rewriting": (with_tokenizer(lambda t: t.update(normalizer={
        "type": "Replace", "pattern": {"String": "yes"}, "content": "no"})), "tokenizer_part"),
    "decoder": (with_tokenizer(lambda t: t.update(decoder=None)), "tokenizer_part"),
    "broken": (with_tokenizer(lambda t: t.update(added_tokens={"a": 1})), "tokenizer_invalid"),
}  # fmt: skip
MODELS: Zoo = {
    "own code": (_model(auto_map={"AutoModelForCausalLM": "m.M"}), "remote_code"),
    "own code deep": (_model(vision={"auto_map": {"AutoModel": "m.M"}}), "remote_code"),
    "kernel of a stranger": (_model(_attn_implementation="evil/kernel"), "remote_code"),
    "no text": (_model(architectures=["ViTForImageClassification"]), "model_other"),
    "index outside": (_index({"a": "../../secret.safetensors"}), "index_outside"),
    "index absolute": (_index({"a": "/etc/passwd"}), "index_outside"),
    "index absent": (_index({"a": "model-2.safetensors"}), "index_absent"),
    "index differs": (_index({"b": "model.safetensors"}), "index_differs"),
    "index a list": (_index(["model.safetensors"]), "index_invalid"),
    "steering": (_beside("generation_config.json", {"sequence_bias": [[[1], 9.0]]}),
                 "generation_steers"),
    "generation code": (_beside("generation_config.json", {"custom_generate": "x"}),
                        "remote_code"),
}  # fmt: skip
