"""A model's tokenizer and chat template, read from its folder without torch or transformers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tokenizers import AddedToken, Tokenizer

from easytune.data.chat_template import ChatTemplate
from easytune.data.decoding import decode
from easytune.errors import FileMissing, ModelIncomplete

TemplateSource = Literal["model", "fallback", "file"]
_NAMED = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
)  # fmt: skip

# For base models. Ordinary words and the end token only: a base model knows no other special token.
FALLBACK_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}{{- message['content'] + '\\n\\n' -}}
{%- elif message['role'] == 'user' -%}{{- 'User: ' + message['content'] + '\\n\\n' -}}
{%- elif message['role'] == 'assistant' -%}
{{- 'Assistant:' -}}
{%- generation -%}{{- ' ' + message['content'] + eos_token -}}{%- endgeneration -%}
{{- '\\n\\n' -}}
{%- else -%}{{- 'Tool: ' + message['content'] + '\\n\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}"""


@dataclass(frozen=True)
class ModelTokenizer:
    """What turns messages into token ids for one model.

    `eos_ids` are all tokens that end an answer, `eos_id` the one training appends.
    `template_source` tells whose chat template it is: the model's, ours for base models, or a file.
    """

    backend: Tokenizer
    template: ChatTemplate
    template_source: TemplateSource
    special_tokens: dict[str, str]
    eos_id: int
    pad_id: int
    eos_ids: frozenset[int]

    @property
    def bos_token(self) -> str | None:
        """Return the text of the token that begins a text, if the model has one."""
        return self.special_tokens.get("bos_token")

    @property
    def eos_token(self) -> str:
        """Return the text of the token that ends an answer."""
        return self.token(self.eos_id)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Return the ids of control tokens, which are not text."""
        added = self.backend.get_added_tokens_decoder()
        return frozenset(id_ for id_, token in added.items() if token.special) | self.eos_ids

    def token(self, token_id: int) -> str:
        """Return a token as it is written in the vocabulary."""
        return self.backend.id_to_token(token_id) or f"<{token_id}>"


def load(folder: Path, template_override: str | None = None) -> ModelTokenizer:
    """Return the tokenizer of a model folder; `template_override` is a Jinja file to use instead.

    Raises ModelIncomplete without a whole tokenizer.json or an end token, FileMissing for the
    Jinja file, TemplateInvalid for one that is not valid.
    """
    config = _tokenizer_config(folder)
    backend = _backend(folder, config)
    special = _special_tokens(config)
    eos_ids = _eos_ids(folder, backend, special)
    if not eos_ids:
        raise ModelIncomplete(model=str(folder), missing="eos_token (tokenizer_config.json)")
    eos_token = backend.id_to_token(eos_ids[0])
    special = {"eos_token": eos_token} | special if eos_token else special
    source, origin = _template(folder, config, template_override)
    if origin == "fallback" and _adds_bos(backend, special):
        source = "{{- bos_token -}}" + source
    return ModelTokenizer(
        backend=backend,
        template=ChatTemplate(source, special),
        template_source=origin,
        special_tokens=special,
        eos_id=eos_ids[0],
        pad_id=_pad_id(folder, backend, special, eos_ids[0]),
        eos_ids=frozenset(eos_ids),
    )


def files(folder: Path) -> list[Path]:
    """Return the files of a model folder that decide how text becomes tokens."""
    names = (
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
        "chat_template.json", "config.json", "generation_config.json",
    )  # fmt: skip
    return [folder / name for name in names if (folder / name).is_file()]


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, empty when there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    config = _json(folder / "tokenizer_config.json")
    # transformers takes the map for the truth only in folders older than this key.
    if "added_tokens_decoder" in config:
        return config
    return config | _json(folder / "special_tokens_map.json")


def _backend(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file() or not _is_whole(path):
        raise ModelIncomplete(model=str(folder), missing="tokenizer.json")
    backend = Tokenizer.from_file(str(path))
    backend.no_truncation()
    backend.no_padding()
    _add_missing(backend, config)
    return backend


def _is_whole(path: Path) -> bool:
    """Tell a JSON object from a file cut off in a download, or a pointer to one."""
    with path.open("rb") as file:
        begins = file.read(64).lstrip()[:1] == b"{"
        file.seek(max(0, path.stat().st_size - 64))
        return begins and file.read().rstrip()[-1:] == b"}"


def _add_missing(backend: Tokenizer, config: Mapping[str, Any]) -> None:
    """Add tokens that only the config knows, as transformers does."""
    described = config.get("added_tokens_decoder")
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    for _, token in sorted((described or {}).items(), key=lambda entry: int(entry[0])):
        if token["content"] not in known:
            backend.add_tokens([AddedToken(**token)])
    named = [text for text in _special_tokens(config).values() if backend.token_to_id(text) is None]
    if named:
        backend.add_special_tokens(named)


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in config.items():
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str) and (name in _NAMED or name.endswith("_token")):
            found[name] = text
    return found


def _eos_ids(folder: Path, backend: Tokenizer, special: Mapping[str, str]) -> list[int]:
    """Return the ids that end an answer, the tokenizer's own first."""
    own = backend.token_to_id(special["eos_token"]) if "eos_token" in special else None
    ids = [own] if own is not None else []
    for name in ("generation_config.json", "config.json"):
        ids += _ids(_json(folder / name), "eos_token_id")
    return [id_ for id_ in dict.fromkeys(ids) if backend.id_to_token(id_) is not None]


def _ids(config: Mapping[str, Any], name: str) -> list[int]:
    inner = config.get("text_config")
    value = config.get(name, inner.get(name) if isinstance(inner, dict) else None)
    values = value if isinstance(value, list) else [value]
    return [id_ for id_ in values if isinstance(id_, int)]


def _pad_id(folder: Path, backend: Tokenizer, special: Mapping[str, str], eos_id: int) -> int:
    own = backend.token_to_id(special["pad_token"]) if "pad_token" in special else None
    ids = [own] if own is not None else []
    for name in ("generation_config.json", "config.json"):
        ids += _ids(_json(folder / name), "pad_token_id")
    return next((id_ for id_ in ids if id_ >= 0), eos_id)


def _template(
    folder: Path, config: Mapping[str, Any], override: str | None
) -> tuple[str, TemplateSource]:
    if override:
        path = Path(override).expanduser()
        if not path.is_file():
            raise FileMissing(path=str(path))
        return decode(path.read_bytes(), str(path)), "file"
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8"), "model"
    kept = config.get("chat_template") or _json(folder / "chat_template.json").get("chat_template")
    chosen = _default(kept)
    return (chosen, "model") if chosen else (FALLBACK_TEMPLATE, "fallback")


def _default(kept: Any) -> str | None:
    """Return the template itself, or the one called default of several."""
    if isinstance(kept, list):
        kept = {one.get("name"): one.get("template") for one in kept if isinstance(one, dict)}
    if isinstance(kept, dict):
        kept = kept.get("default") or next(iter(kept.values()), None)
    return kept if isinstance(kept, str) else None


def _adds_bos(backend: Tokenizer, special: Mapping[str, str]) -> bool:
    ids = backend.encode("", add_special_tokens=True).ids
    return "bos_token" in special and ids[:1] == [backend.token_to_id(special["bos_token"])]
