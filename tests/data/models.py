"""Tiny tokenizers in folders like those of real models, with chat templates like theirs."""

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

CORPUS = [
    "What is the capital of France? The capital of France is Paris.",
    "user assistant system Hello there, how are you? I am fine, thank you.",
    "你好，请问今天天气怎么样？今天天气很好。谢谢你的回答。",
    "def add(a, b):\n    return a + b\n\n  - one\n  - two",
]


def _template(name: str) -> str:
    return (Path(__file__).parent / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


CHATML = _template("chatml")
# Writes no header for the answer when asked for one: the span must still leave the header out.
CHATML_WITHOUT_PROMPT = CHATML.rpartition("{%- if add")[0]


@dataclass(frozen=True)
class Family:
    """A kind of model: its template, its special tokens, and what an answer ends with."""

    template: str | None
    bos: str
    eos: str
    end: str
    others: tuple[str, ...] = ()
    pieces: bool = False

    @property
    def special(self) -> list[str]:
        """All special tokens, in the order of their ids."""
        return list(dict.fromkeys(["<pad>", self.bos, self.eos, *self.others]))


_IM = ("<|im_start|>",)
_HEADERS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_TURNS = ("<start_of_turn>", "<end_of_turn>")
FAMILIES = {
    "chatml": Family(CHATML, "<|bos|>", "<|im_end|>", "<|im_end|>", _IM),
    "chatml tagged": Family(_template("chatml_tagged"), "<|bos|>", "<|im_end|>", "<|im_end|>", _IM),
    "chatml without prompt": Family(
        CHATML_WITHOUT_PROMPT, "<|bos|>", "<|im_end|>", "<|im_end|>", _IM
    ),
    "llama 3": Family(_template("llama3"), "<|begin|>", "<|end_of_text|>", "<|eot_id|>", _HEADERS),
    "gemma": Family(_template("gemma"), "<bos>", "<eos>", "<end_of_turn>", _TURNS, pieces=True),
    "mistral": Family(
        _template("mistral"), "<s>", "</s>", "</s>", ("[INST]", "[/INST]"), pieces=True
    ),
    "qwen 3": Family(_template("qwen3"), "<|bos|>", "<|im_end|>", "<|im_end|>", _IM),
    "deepseek": Family(
        _template("deepseek"),
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        ("<｜User｜>", "<｜Assistant｜>"),
    ),
    "without end": Family(_template("without_end"), "<s>", "</s>", "</s>"),
    "base": Family(None, "<s>", "</s>", "</s>"),
}


def model_folder(folder: Path, name: str = "chatml", adds_bos: bool = False) -> Path:
    """Write the tokenizer files of a family, and return the folder."""
    family = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _sentence_pieces(family) if family.pieces else _byte_level(family)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(family.bos, 1)]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": family.bos,
        "eos_token": family.eos,
        "pad_token": "<pad>",
        "clean_up_tokenization_spaces": False,
    }
    if family.template is not None:
        config["chat_template"] = family.template
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _byte_level(family: Family) -> Tokenizer:
    """Return a tokenizer of Qwen's and Llama 3's kind: characters may be split into bytes."""
    tokenizer = Tokenizer(BPE())
    pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, _trainer(family.special, alphabet))
    return tokenizer


def _sentence_pieces(family: Family) -> Tokenizer:
    """Return a tokenizer of Mistral's and Gemma's kind: spaces are ▁, unknown letters bytes."""
    tokenizer = Tokenizer(BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(CORPUS, _trainer([*family.special, "<unk>", *fallback], []))
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] not in fallback]
    return Tokenizer.from_str(json.dumps(content))


def _trainer(special: list[str], alphabet: list[str]) -> BpeTrainer:
    return BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
