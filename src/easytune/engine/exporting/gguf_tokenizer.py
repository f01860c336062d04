"""The tokenizer of a model, as GGUF holds it: tokens, merges or scores, special tokens, template.

Two kinds are held: byte-level BPE ("gpt2"), and SentencePiece-like BPE with bytes as a last resort
("llama"). The source is the tokenizer as EasyTune reads it: the model was trained with that.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gguf
from gguf import TokenType
from tokenizers import Tokenizer

from easytune.data.tokenizer import ModelTokenizer
from easytune.export_errors import (
    GgufPreTokenizerUnknown,
    GgufTokenizerTooLarge,
    GgufTokenizerUnsupported,
)
from easytune.exporters import gguf_pre_tokenizers

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_LOOKS_SPECIAL = re.compile(r"<\|.*\|>|<｜.*｜>|<unused\d+>|<(pad|mask|2mass)>|\[@BOS@\]")
_SPACE = "▁"
_LAST_SCORE = -1e6
_ROLES = ("bos", "unk", "sep", "pad")
_SHOWN = 300


@dataclass(frozen=True)
class Token:
    """One entry of the vocabulary. `score` is only read by SentencePiece-like tokenizers."""

    text: str
    kind: TokenType = TokenType.NORMAL
    score: float = 0.0


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer, ready to be written."""

    model: str
    pre: str
    tokens: tuple[Token, ...]
    merges: tuple[str, ...]
    special: dict[str, int]
    """Role -> token: bos, eos, unk, sep, pad, eot."""
    adds: dict[str, bool]
    """Role -> whether that token is put around every text: bos, eos."""
    space_prefix: bool
    template: str

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Tell the writer all of it."""
        writer.add_vocab_size(len(self.tokens))
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list([token.text for token in self.tokens])
        writer.add_token_types([token.kind for token in self.tokens])
        if self.model == "llama":
            writer.add_token_scores([token.score for token in self.tokens])
            writer.add_add_space_prefix(self.space_prefix)
        if self.merges:
            writer.add_token_merges(self.merges)
        for role, token in self.special.items():
            getattr(writer, f"add_{role}_token_id")(token)
        for role, added in self.adds.items():
            getattr(writer, f"add_add_{role}_token")(added)
        writer.add_chat_template(self.template)


def read(tokenizer: ModelTokenizer, rows: int) -> Vocabulary:
    """Return the tokenizer for a model with so many rows of embeddings.

    Raises GgufTokenizerUnsupported, GgufPreTokenizerUnknown, or GgufTokenizerTooLarge.
    """
    content = json.loads(tokenizer.backend.to_str())
    kind, model = _kind(content), content["model"]
    added = {token["id"]: token for token in content["added_tokens"]}
    entries = model["vocab"] | {token["content"]: number for number, token in added.items()}
    if (tokens := max(entries.values()) + 1) > rows:
        raise GgufTokenizerTooLarge(tokens=tokens, rows=rows)
    merges = _merges(model)
    return Vocabulary(
        model=kind,
        pre="default" if kind == "llama" else _pre_tokenizer(tokenizer.backend, content, merges),
        tokens=tuple(_tokens(entries, added, rows, kind, model, merges)),
        merges=tuple(" ".join(map(_joined, pair)) for pair in merges) if kind == "gpt2" else (),
        special=_special(tokenizer),
        adds=adds(tokenizer),
        space_prefix=_prefixes_space(content),
        template=without_generation_tags(tokenizer.template.source),
    )


def _kind(content: dict[str, Any]) -> str:
    """Return GGUF's name for this kind of tokenizer."""
    model, normalizer = content["model"], content.get("normalizer")
    if model["type"] == "BPE":
        if _has(content.get("pre_tokenizer"), "ByteLevel"):
            if normalizer is not None and not _harmless(normalizer):
                raise GgufTokenizerUnsupported(kind=f"BPE + {normalizer['type']}")
            return "gpt2"
        if model.get("byte_fallback"):
            return "llama"
    raise GgufTokenizerUnsupported(kind=model["type"])


def _harmless(normalizer: dict[str, Any]) -> bool:
    """Tell whether llama.cpp, which normalizes nothing, gives the same tokens for common texts."""
    if normalizer["type"] == "NFC":
        return True
    inner = normalizer.get("normalizers")
    return normalizer["type"] == "Sequence" and all(map(_harmless, inner or ()))


def _has(part: dict[str, Any] | None, kind: str) -> bool:
    if part is None:
        return False
    return part["type"] == kind or any(_has(p, kind) for p in part.get("pretokenizers", ()))


def _merges(model: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = (m.split(" ", 1) if isinstance(m, str) else m for m in model.get("merges", ()))
    return [(first, second) for first, second in pairs]


def _joined(part: str) -> str:
    # A space inside a part would look like the border between two: as gguf's SpecialVocab does.
    return part.replace(" ", chr(ord(" ") + 256))


def _pre_tokenizer(
    backend: Tokenizer, content: dict[str, Any], merges: list[tuple[str, str]]
) -> str:
    model, made = content["model"], {first + second for first, second in merges}
    # Where merges reach every word of the vocabulary, it makes no difference what wins.
    reached = all(len(word) == 1 or word in made for word in model["vocab"])
    whole = None if reached else bool(model.get("ignore_merges"))
    name = gguf_pre_tokenizers.recognise(backend.pre_tokenizer, whole)
    if name is None:
        pattern = json.dumps(content["pre_tokenizer"], ensure_ascii=False)
        raise GgufPreTokenizerUnknown(pattern=pattern[:_SHOWN])
    return name


def _tokens(
    entries: dict[str, int],
    added: dict[int, dict[str, Any]],
    rows: int,
    kind: str,
    model: dict[str, Any],
    merges: list[tuple[str, str]],
) -> Iterator[Token]:
    texts = {number: text for text, number in entries.items()}
    ranks = _ranks(merges) if kind == "llama" else {}
    for number in range(rows):
        if number not in texts:
            # More rows than tokens: models are padded to round sizes.
            yield Token(f"[PAD{number}]", TokenType.UNUSED, _LAST_SCORE)
        elif number in added:
            yield _added(added[number], kind, model)
        elif kind == "llama" and _BYTE.fullmatch(texts[number]):
            yield Token(texts[number], TokenType.BYTE)
        else:
            yield Token(texts[number], TokenType.NORMAL, ranks.get(texts[number], _LAST_SCORE))


def _added(token: dict[str, Any], kind: str, model: dict[str, Any]) -> Token:
    text = token["content"]
    if kind == "llama" and text == model.get("unk_token"):
        return Token(text, TokenType.UNKNOWN)
    if token["special"] or _LOOKS_SPECIAL.fullmatch(text):
        return Token(text, TokenType.CONTROL)
    return Token(text.replace(_SPACE, " "), TokenType.USER_DEFINED)


def _ranks(merges: list[tuple[str, str]]) -> dict[str, float]:
    """Return a score for every word that merges make: the earlier, the higher."""
    ranks: dict[str, float] = {}
    for rank, (first, second) in enumerate(merges):
        ranks.setdefault(first + second, -float(rank))
    return ranks


def _special(tokenizer: ModelTokenizer) -> dict[str, int]:
    texts = {role: tokenizer.special_tokens.get(f"{role}_token") for role in _ROLES}
    found = {role: tokenizer.backend.token_to_id(text) for role, text in texts.items() if text}
    # Models of conversations often end a turn with another token than a text.
    ends = sorted(tokenizer.eos_ids - {tokenizer.eos_id})
    found |= {"eos": tokenizer.eos_id, "eot": ends[0] if ends else None}
    return {role: number for role, number in found.items() if number is not None}


def adds(tokenizer: ModelTokenizer) -> dict[str, bool]:
    """Return what the tokenizer puts around a text, told from a text."""
    found = tokenizer.backend.encode("a").ids
    bos = tokenizer.backend.token_to_id(tokenizer.bos_token) if tokenizer.bos_token else None
    return {
        "bos": bos is not None and found[:1] == [bos],
        "eos": len(found) > 1 and found[-1] == tokenizer.eos_id,
    }


def _prefixes_space(content: dict[str, Any]) -> bool:
    """Tell whether a SentencePiece-like tokenizer puts a space before the first word."""
    normalizers = (content.get("normalizer") or {}).get("normalizers", [content.get("normalizer")])
    if any(part and part["type"] == "Prepend" for part in normalizers):
        return True
    pre_tokenizer = content.get("pre_tokenizer") or {}
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    found = next((part for part in parts if part.get("type") == "Metaspace"), {})
    return found.get("prepend_scheme", "never") != "never"


def without_generation_tags(template: str) -> str:
    """Return a template without the tags that only training reads; it renders the same text.

    llama.cpp's Jinja does not know them. A comment trims the text around it as the tag did.
    """
    return re.sub(r"\{%([-+]?)\s*(?:end)?generation\s*([-+]?)%\}", r"{#\1 \2#}", template)
