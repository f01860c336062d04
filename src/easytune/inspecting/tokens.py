"""Tokenizer files that came along, beside those of the base."""

import json
import re
from collections import Counter
from typing import Any

from easytune.inspecting import settings_text
from easytune.inspecting.findings import Findings
from easytune.inspecting.listing import Listed
from easytune.inspecting.pinned import Base

_CONFIG, _FILE = "tokenizer_config.json", "tokenizer.json"
_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token")
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_MOST_TOKENS = 2_000_000
# transformers takes anything of that name that it has for the tokenizer.
_CLASS = re.compile(r"[A-Za-z0-9]+(?:Tokenizer|TokenizerFast|Backend)")
_STEERING = (
    "forced_bos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens",
    "bad_words_ids", "force_words_ids", "sequence_bias", "forced_decoder_ids", "constraints",
)  # fmt: skip


def check(listed: Listed, base: Base | None, resized: bool, findings: Findings) -> None:
    """Note tokens and rules by which text would mean something else than to the base.

    `resized` tells whether the adapter brings embeddings of its own, which new tokens need.
    """
    if listed.has(_CONFIG):
        _check_config(settings_text.read(listed.root, _CONFIG, findings), base, findings)
    for name in ("special_tokens_map.json", "added_tokens.json", "vocab.json"):
        if listed.has(name):
            settings_text.read(listed.root, name, findings)
    if listed.has(_FILE):
        own = settings_text.read(listed.root, _FILE, findings)
        _check_tokenizer(own, base, resized, findings)
    if listed.has("generation_config.json"):
        _check_generation(listed, findings)


def _check_config(config: dict[str, Any], base: Base | None, findings: Findings) -> None:
    settings_text.note_code(config, _CONFIG, findings)
    named = config.get("tokenizer_class")
    if named is not None and not (isinstance(named, str) and _CLASS.fullmatch(named)):
        findings.add("tokenizer_invalid", "critical", file=_CONFIG)
    if base is None:
        return
    known = base.text(_CONFIG)
    for role in _ROLES:
        own, theirs = _text(config.get(role)), _text(known.get(role))
        if own and theirs and own != theirs:
            findings.add("special_changed", "high", file=_CONFIG, role=role, own=own, base=theirs)


def _check_tokenizer(
    own: dict[str, Any], base: Base | None, resized: bool, findings: Findings
) -> None:
    added, vocabulary = own.get("added_tokens") or [], _vocabulary(own)
    if not isinstance(added, list) or not all(_is_added(one) for one in added):
        findings.add("tokenizer_invalid", "critical", file=_FILE)
        return
    _note_twice(added, findings)
    if len(vocabulary) + len(added) > _MOST_TOKENS:
        findings.add("tokenizer_invalid", "critical", file=_FILE)
    if base is None:
        return
    top = max([*(one["id"] for one in added), *_ids(vocabulary)], default=0)
    if base.vocabulary and top >= base.vocabulary and not resized:
        values = {"tokens": top + 1, "base": base.vocabulary}
        findings.add("tokenizer_larger", "high", file=_FILE, **values)
    theirs = base.text(_FILE)
    if theirs:
        _compare(own, theirs, added, findings)


def _compare(
    own: dict[str, Any], theirs: dict[str, Any], added: list[dict[str, Any]], findings: Findings
) -> None:
    before = {one["content"]: one for one in theirs.get("added_tokens") or [] if _is_added(one)}
    vocabulary, known = _vocabulary(own), _vocabulary(theirs)
    for one in added:
        content = one["content"]
        first = before.get(content)
        place = first["id"] if first else known.get(content)
        if place is not None and place != one["id"]:
            values = {"token": content, "id": one["id"], "base": place}
            findings.add("token_moved", "high", file=_FILE, **values)
        elif first and bool(first.get("special")) != bool(one.get("special")):
            findings.add("token_special_changed", "high", file=_FILE, token=content)
        elif first is None and one.get("special") and content.strip().isalnum():
            findings.add("token_is_word", "high", file=_FILE, token=content)
        elif first is None and place is None:
            findings.add("token_new", "medium", file=_FILE, token=content)
    moved = [token for token, place in vocabulary.items() if known.get(token, place) != place]
    if moved:
        findings.add("vocabulary_moved", "high", file=_FILE, count=len(moved), token=moved[0])
    for part in _PARTS:
        if part in own and json.dumps(own[part], sort_keys=True) != json.dumps(
            theirs.get(part), sort_keys=True
        ):
            findings.add("tokenizer_part", "high", file=_FILE, part=part)


def _note_twice(added: list[dict[str, Any]], findings: Findings) -> None:
    for name in ("id", "content"):
        ((most, times),) = Counter(one[name] for one in added).most_common(1) or [(None, 0)]
        if times > 1:
            findings.add("token_twice", "critical", file=_FILE, token=str(most))


def _check_generation(listed: Listed, findings: Findings) -> None:
    name = "generation_config.json"
    content = settings_text.read(listed.root, name, findings)
    settings_text.note_code(content, name, findings)
    for key in _STEERING:
        if content.get(key):
            findings.add("generation_steers", "high", file=name, key=key)


def _is_added(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("content"), str)
        and isinstance(one.get("id"), int)
        and 0 <= one["id"] < 2**31
    )


def _vocabulary(content: dict[str, Any]) -> dict[str, int]:
    """Return token -> id of any kind of tokenizer."""
    model = content.get("model")
    found = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(found, list):
        # Unigram: (token, score) in the order of ids.
        pairs = enumerate(found)
        return {str(one[0]): place for place, one in pairs if isinstance(one, list) and one}
    return found if isinstance(found, dict) else {}


def _ids(vocabulary: dict[str, int]) -> list[int]:
    return [place for place in vocabulary.values() if isinstance(place, int)]


def _text(token: Any) -> str:
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""
