"""The README beside an ONNX graph: what it is, and a program that runs it."""

from typing import TYPE_CHECKING

from easytune.data import tokenizer
from easytune.export_files import export_name

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

_SAYS = {
    "fp32": "32-bit numbers, as exact as the trained model.",
    "fp16": "16-bit numbers.",
    "int8": "8-bit weights in blocks with a scale each (onnxruntime's operator MatMulNBits).",
    "int4": "4-bit weights in blocks with a scale each (onnxruntime's operator MatMulNBits).",
    "int8_dynamic": "8-bit weights and activations, with the standard operators of ONNX.",
}


def write(session: "Session", precision: str, with_cache: bool) -> None:
    """Write README.md into the artefact."""
    asks = tokenizer.load(session.work).template_source == "model"
    text = _README.format(
        name=export_name(session.order),
        base=session.order.sources[0].base,
        numbers=_SAYS[precision],
        cache=_CACHE if with_cache else _NO_CACHE,
        prompt=_CHAT if asks else _PLAIN,
        loop=_LOOP if with_cache else _SLOW_LOOP,
    )
    (session.work / "README.md").write_text(text, encoding="utf-8")


_README = """\
---
base_model: "{base}"
library_name: onnx
pipeline_tag: text-generation
tags: [easytune, onnx]
---

# {name}

Exported by EasyTune from `{base}`. {numbers} {cache}
`certificate.json` tells how close it is to the trained model, measured in onnxruntime.

`pip install onnxruntime transformers`, then, in this folder:

```python
import numpy as np
import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
session = onnxruntime.InferenceSession("model.onnx")
{prompt}
{loop}
print(tokenizer.decode(answer, skip_special_tokens=True))
```
"""

_CACHE = (
    "`model.onnx` reads the prompt with an empty past, and each further token with the keys and "
    "values (`present.*`) of the step before."
)
_NO_CACHE = "`model.onnx` reads the whole text for each token: it keeps no keys and values."

_CHAT = """\
messages = [{"role": "user", "content": "Hello, who are you?"}]
prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"]"""

_PLAIN = """\
tokens = tokenizer("Hello, who are you?")["input_ids"]"""

_LOOP = """\
kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
inputs = session.get_inputs()
names = {one.name for one in inputs}
past = {
    one.name: np.zeros((1, one.shape[1], 0, one.shape[3]), kinds[one.type])
    for one in inputs
    if one.name.startswith("past_key_values")
}
answer, feed, seen = [], tokens, 0
while len(answer) < 64 and tokenizer.eos_token_id not in answer:
    seen += len(feed)
    given = {
        "input_ids": np.array([feed], np.int64),
        "attention_mask": np.ones((1, seen), np.int64),
        "position_ids": np.arange(seen - len(feed), seen, dtype=np.int64)[None],
    }
    given = {name: value for name, value in given.items() if name in names}
    logits, *present = session.run(None, given | past)
    past = dict(zip(past, present))
    feed = [int(logits[0, -1].argmax())]
    answer += feed"""

_SLOW_LOOP = """\
names = {one.name for one in session.get_inputs()}
answer = []
while len(answer) < 64 and tokenizer.eos_token_id not in answer:
    text = np.array([tokens + answer], np.int64)
    given = {
        "input_ids": text,
        "attention_mask": np.ones_like(text),
        "position_ids": np.arange(text.shape[1], dtype=np.int64)[None],
    }
    given = {name: value for name, value in given.items() if name in names}
    answer.append(int(session.run(["logits"], given)[0][0, -1].argmax()))"""
