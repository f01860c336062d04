"""A checkpoint of full fine-tuning beside its tokenizer, which only the base model's folder has."""

import os
import shutil
from pathlib import Path

from easytune import checkpoints

_WEIGHTS = ("*.safetensors", "model.safetensors.index.json", "config.json", "*.py")
_TOKENIZER = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt",
    "*.model", "*.tiktoken", "chat_template*",
)  # fmt: skip


def needs_tokenizer(folder: Path) -> bool:
    """Tell whether a folder is a checkpoint of a whole model, without a tokenizer."""
    is_checkpoint = (folder / checkpoints.MANIFEST).is_file() and (folder / "config.json").is_file()
    return is_checkpoint and not any(folder.glob("tokenizer*"))


def dressed(checkpoint: Path, base: Path, place: Path) -> Path:
    """Return `place` with links to the files of a checkpoint and to the tokenizer of its base.

    The checkpoint itself is left as its run wrote it.
    """
    place.mkdir(parents=True, exist_ok=True)
    wanted = {file.name: file for part in _TOKENIZER for file in base.glob(part)}
    wanted |= {file.name: file for part in _WEIGHTS for file in checkpoint.glob(part)}
    own = checkpoint / "generation_config.json"
    wanted["generation_config.json"] = own if own.is_file() else base / own.name
    for name, file in wanted.items():
        _link(file, place / name)
    return place


def _link(file: Path, link: Path) -> None:
    if not file.is_file():
        return
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(file)
    except OSError:
        # Windows wants a privilege for links to other places, and none for a second name.
        _second_name(file, link)


def _second_name(file: Path, link: Path) -> None:
    try:
        os.link(file, link)
    except OSError:
        shutil.copy2(file, link)
