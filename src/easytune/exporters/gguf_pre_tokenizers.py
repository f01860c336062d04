"""How llama.cpp calls the ways in which tokenizers cut text before byte-pair encoding.

A GGUF file names its way (`tokenizer.ggml.pre`); a wrong name gives other tokens without a word.
So a tokenizer is recognised by what it does: its pieces of a text with the hard cases in it are
compared with those of each way that llama.cpp has. Source: `llama-vocab.cpp` (MIT licence).
"""

from functools import cache

from tokenizers import Regex, pre_tokenizers

_CASELESS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_SLASHED = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
_DEEPSEEK_3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_IDEOGRAMS = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_PUNCTUATION = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
_DEEPSEEK_1 = (
    r"[\r\n]", r"\s?[\p{Lu}\p{Ll}\p{Lt}]+", _PUNCTUATION, r"\s+$", _IDEOGRAMS,
)  # fmt: skip

# A name with a space after it is a second way to the same tokens.
# name -> (regular expressions one after another, whether whole words win over merges)
_WAYS: dict[str, tuple[tuple[str, ...], bool]] = {
    "gpt-2": ((_GPT2,), False),
    "llama-bpe": ((rf"{_CASELESS}|{_LEAD}\p{{L}}+|\p{{N}}{{1,3}}|{_REST}",), True),
    "smaug-bpe": ((rf"{_CASELESS}|{_LEAD}\p{{L}}+|\p{{N}}{{1,3}}|{_REST}",), False),
    "qwen2": ((rf"{_CASELESS}|{_LEAD}\p{{L}}+|\p{{N}}|{_REST}",), False),
    "qwen35": (
        (
            rf"{_CASELESS}|{_LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}"
            r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        False,
    ),
    "smollm": ((r"\p{N}", _GPT2), False),
    "deepseek-llm": ((*_DEEPSEEK_1, r"\p{N}+"), False),
    "deepseek-llm ": ((*_DEEPSEEK_1, r"\p{N}"), False),
    "deepseek-coder": (
        (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _IDEOGRAMS, r"\p{N}"), False,
    ),
    "deepseek-v3": ((r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u30ff]+", _DEEPSEEK_3), False),
    "tekken": (
        (
            rf"{_LEAD}{_UPPER}*{_LOWER}+|{_LEAD}{_UPPER}+{_LOWER}*|\p{{N}}|{_SLASHED}",
        ),
        True,
    ),
    "gpt-4o": (
        (
            rf"{_LEAD}{_UPPER}*{_LOWER}+{_CASELESS}?|{_LEAD}{_UPPER}+{_LOWER}*{_CASELESS}?"
            rf"|\p{{N}}{{1,3}}|{_SLASHED}",
        ),
        False,
    ),
    "seed-coder": (
        (
            rf"{_CASELESS}|{_LEAD}\p{{L}}+|\p{{N}}{{1}}"
            r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        False,
    ),
    "exaone-moe": (
        (
            rf"{_CASELESS}|{_LEAD}(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        ),
        False,
    ),
    "bloom": ((_WORDS,), False),
    "viking": ((_WORDS, r"\p{N}"), False),
}  # fmt: skip

PROBE = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n"
    "Hello World, I've IT'S we'Re 'told he'll DON'T x'y\r\n"
    "🚀 (normal) 😶‍🌫️ ✅ 3 33 333 3333 33333 3.3 3..3 a1b22c333 ½ ٣٤٥ 2026-11-22 12:34:56\n"
    "कान នៅពិសេស สวัสดี é é 我想在apple工作1314151天～ 한국어 にほんご カタカナ ﾃｽﾄ "
    "нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? camelCaseWord XMLHttpRequest\n"
    "http://a.b/c?d=e&f#g // comment \\n /* x */\n"
    "\tif (a_b != c->d) { return [0]; }  // $%^&*~|<=>+\n"
    "a  b   c    d \n\n\n e…f。g，h、i।j۔k،l  ABC'll ‘q’ “r” –— ¿¡ €£ © ª º µ ǅ ʼn ﬁ end   "
)
"""A text on which every way above gives other pieces."""


def recognise(pre_tokenizer: pre_tokenizers.PreTokenizer, ignore_merges: bool | None) -> str | None:
    """Return llama.cpp's name of what a byte-level pre-tokenizer does, or None for an unknown way.

    `ignore_merges`: whether a piece that is a token stays whole whatever the merges say; None when
    that makes no difference for the vocabulary.
    """
    pieces = _pieces(pre_tokenizer)
    for name, (_, whole) in _WAYS.items():
        if ignore_merges in (None, whole) and pieces == _known(name):
            return name.strip()
    return "falcon" if not ignore_merges and pieces == _falcon() else None


def _pieces(pre_tokenizer: pre_tokenizers.PreTokenizer) -> tuple[str, ...]:
    return tuple(piece for piece, _ in pre_tokenizer.pre_tokenize_str(PROBE))


@cache
def _known(name: str) -> tuple[str, ...]:
    expressions, _ = _WAYS[name]
    cuts = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in expressions]
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return _pieces(pre_tokenizers.Sequence([*cuts, bytes_only]))


@cache
def _falcon() -> tuple[str, ...]:
    # Cuts after the bytes were written as letters, which no list of expressions repeats.
    cuts = [
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
    return _pieces(pre_tokenizers.Sequence(cuts))
