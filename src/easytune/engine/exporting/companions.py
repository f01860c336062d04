"""What lies beside the weights of a model: configuration, tokenizer, chat template, its own code.

They are the base's files, not what a library would write today: only what has to differ does.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from easytune import records
from easytune.engine.exporting.tokenizer_class import made_common
from easytune.errors import ModelIncomplete

CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
_TOKENIZER = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt",
    "added_tokens.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
_OF_THE_BASE = (
    "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "video_preprocessor_config.json",
)  # fmt: skip
_TERMS = ("LICENSE*", "NOTICE*", "USE_POLICY*")
_LONG = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64"}


def write(
    base: Path,
    adapter: Path | None,
    target: Path,
    number_format: str,
    untied: bool = False,
    own_code: bool = False,
) -> None:
    """Write all but the weights of a merged model.

    The tokenizer and its chat template are the adapter's where it brings them. `untied`: the head
    is no longer the embedding. `own_code`: the model's own Python files go along. Raises
    ModelIncomplete when the base has no configuration.
    """
    config = records.read(base / CONFIG)
    if config is None:
        raise ModelIncomplete(model=str(base), missing=CONFIG)
    _write_json(target / CONFIG, _config(config, number_format, untied))
    _copy(base, target, _OF_THE_BASE)
    for pattern in (*_TERMS, "*.py") if own_code else _TERMS:
        _copy(base, target, [path.name for path in base.glob(pattern)])
    write_tokenizer(base, adapter, target)


def write_tokenizer(base: Path, adapter: Path | None, target: Path) -> None:
    """Write the tokenizer that a model was trained with."""
    source = adapter if adapter is not None and has_tokenizer(adapter) else base
    _copy(source, target, _TOKENIZER)
    content = records.read(source / TOKENIZER_CONFIG)
    if content is not None:
        _write_json(target / TOKENIZER_CONFIG, made_common(content))


def has_tokenizer(folder: Path) -> bool:
    """Tell whether a folder has a whole tokenizer of its own."""
    has_words = any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model"))
    return has_words and (folder / TOKENIZER_CONFIG).is_file()


def _config(config: dict[str, Any], number_format: str, untied: bool) -> dict[str, Any]:
    changed = readable_by_all(config)
    inner = changed.get("text_config")
    for part in (changed, inner) if isinstance(inner, dict) else (changed,):
        if number_format in _LONG:
            # Readers before transformers 5 know the second name only.
            part["dtype"] = part["torch_dtype"] = _LONG[number_format]
        if untied:
            part["tie_word_embeddings"] = False
    return changed


def readable_by_all(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config.json whose rotary positions are written the new way and the old one.

    transformers 5 writes only `rope_parameters`; mlx-lm and Ollama read `rope_theta` and
    `rope_scaling`, and without them compute other positions without a word.
    """
    found = {
        name: readable_by_all(value) if name.endswith("text_config") and value else value
        for name, value in config.items()
    }
    rope = found.get("rope_parameters")
    if not isinstance(rope, dict):
        return found
    by_kind = [one for one in rope.values() if isinstance(one, dict) and "rope_theta" in one]
    if not by_kind:
        found |= _old_names(rope)
    elif {"full_attention", "sliding_attention"} <= set(rope):
        # Gemma 3: windows have a base of their own.
        found |= _old_names(rope["full_attention"])
        found["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    return found


def _old_names(rope: dict[str, Any]) -> dict[str, Any]:
    kept = {n: v for n, v in rope.items() if n not in ("rope_theta", "partial_rotary_factor")}
    found: dict[str, Any] = {}
    if "rope_theta" in rope:
        found["rope_theta"] = rope["rope_theta"]
    if "partial_rotary_factor" in rope:
        found["partial_rotary_factor"] = rope["partial_rotary_factor"]
    if kept.get("rope_type", "default") != "default":
        found["rope_scaling"] = kept | {"type": kept["rope_type"]}
    return found


def _copy(source: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    records.write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
