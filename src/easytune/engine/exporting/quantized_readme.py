"""The README beside quantized weights: what they are, and how to load them."""

from typing import TYPE_CHECKING

from easytune.export_files import export_name

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

_SAYS = {
    "w8a16": "Linear layers have 8-bit weights with a scale for each output (compressed-tensors).",
    "w4a16": "Linear layers have 4-bit weights in groups with a scale each (compressed-tensors).",
    "fp8": "Linear layers have FP8 weights with a scale for each output, and round what meets them "
    "to FP8, too (compressed-tensors).",
    "bnb-int8": "Linear layers have 8-bit weights (bitsandbytes, LLM.int8).",
    "bnb-nf4": "Linear layers have 4-bit weights (bitsandbytes, NF4).",
    "torchao-int8": "Linear layers have 8-bit weights (torchao).",
}
_PACKAGES = {"bnb-int8": "bitsandbytes", "bnb-nf4": "bitsandbytes", "torchao-int8": "torchao"}


def write(session: "Session", method: str, number_format: str) -> None:
    """Write README.md into the artefact."""
    package = _PACKAGES.get(method, "compressed-tensors")
    text = _README.format(
        name=export_name(session.order),
        base=session.order.sources[0].base,
        says=_SAYS[method],
        number_format=number_format,
        package=package,
        vllm="" if method in _PACKAGES else _VLLM,
    )
    (session.work / "README.md").write_text(text, encoding="utf-8")


_README = """\
---
base_model: "{base}"
library_name: transformers
pipeline_tag: text-generation
tags: [easytune, {number_format}]
---

# {name}

Exported by EasyTune from `{base}` as {number_format}. {says}
`certificate.json` tells how close it is to the trained model, measured with transformers.

`pip install transformers torch accelerate {package}`, then, in this folder:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
tokens = tokenizer("Hello, who are you?", return_tensors="pt")
answer = model.generate(**tokens, max_new_tokens=64)
print(tokenizer.decode(answer[0], skip_special_tokens=True))
```
{vllm}"""
_VLLM = """
vLLM reads this form as well: `vllm serve <folder>`.
"""
