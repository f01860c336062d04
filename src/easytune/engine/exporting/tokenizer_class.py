"""The tokenizer's class under a name that older readers know.

transformers 5 writes `TokenizersBackend`, which nothing before it can load. Every fast tokenizer
is in its tokenizer.json; the common class reads it and nothing else.
"""

from typing import Any

_NEW = ("TokenizersBackend", "PreTrainedTokenizer")
_COMMON = "PreTrainedTokenizerFast"
# Keys that transformers 5 adds, and that say nothing about the tokenizer.
_OF_THE_WRITER = ("backend", "is_local", "local_files_only")


def made_common(content: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer_config.json that transformers 4 and others read like transformers 5."""
    kept = {name: value for name, value in content.items() if name not in _OF_THE_WRITER}
    if kept.get("tokenizer_class") in _NEW or not kept.get("tokenizer_class"):
        kept["tokenizer_class"] = _COMMON
    special = kept.get("extra_special_tokens")
    if isinstance(special, list):
        # transformers 4 wants names there; a list it knows by its old name.
        del kept["extra_special_tokens"]
        kept["additional_special_tokens"] = special
    return kept
