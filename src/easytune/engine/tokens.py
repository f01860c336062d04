"""Tokenizer files: made where a model has only the slow kind, and saved with the adapter."""

import importlib.util
import json
import shutil
from pathlib import Path

from easytune.errors import DependencyMissing, ModelIncomplete

_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "generation_config.json",
)  # fmt: skip


def with_fast_tokenizer(model: Path, scratch: Path, trust_remote_code: bool) -> Path:
    """Return a folder with `tokenizer.json`, made from the model's slow tokenizer if need be.

    Raises ModelIncomplete without any whole tokenizer, DependencyMissing where only
    sentencepiece reads it.
    """
    if (model / "tokenizer.json").is_file() or not (model / "tokenizer_config.json").is_file():
        return model
    from transformers import AutoTokenizer

    folder = scratch / "tokenizer"
    try:
        slow = AutoTokenizer.from_pretrained(str(model), trust_remote_code=trust_remote_code)
    except (OSError, ValueError, ImportError) as error:
        if any(model.glob("*.model")) and importlib.util.find_spec("sentencepiece") is None:
            raise DependencyMissing(option="tokenizer.model", package="sentencepiece") from error
        raise ModelIncomplete(model=str(model), missing="tokenizer.json") from error
    slow.save_pretrained(str(folder))
    shutil.copy(model / "config.json", folder)
    return folder


def copy(model: Path, target: Path, template: str | None) -> None:
    """Copy the tokenizer's files, with `template` in place of the model's own chat template."""
    for name in _FILES:
        if (model / name).is_file():
            shutil.copy(model / name, target / name)
    if template:
        _replace_template(target, Path(template).expanduser().read_text(encoding="utf-8"))


def _replace_template(target: Path, template: str) -> None:
    (target / "chat_template.jinja").write_text(template, encoding="utf-8")
    path = target / "tokenizer_config.json"
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("chat_template", None)
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
