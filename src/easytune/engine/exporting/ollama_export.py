"""The export for Ollama from beginning to end: template first, then the GGUF file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from easytune import generation, records
from easytune.data import tokenizer as tokenizers
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine.exporting import gguf_export, gguf_tokenizer
from easytune.export_errors import OllamaTemplateUntranslatable
from easytune.export_files import export_name
from easytune.exporters import ollama, ollama_template
from easytune.i18n import t

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

MODELFILE, README = "Modelfile", "README.md"


def write(session: "Session", options: ollama.Options) -> str:
    """Write everything into `session.work`; return the number format.

    Raises OllamaTemplateUntranslatable before anything large is written, and what
    `gguf_export.write` raises.
    """
    folder = gguf_export.described(session)
    tokenizer = tokenizers.load(folder)
    template = options.template.strip() or translated(tokenizer)
    if "strftime_now" in tokenizer.template.source and not options.template:
        session.note("ollama_date_fixed")
    number_format = gguf_export.write(session, options.gguf, session.work)
    file = next(session.work.glob("*.gguf")).name
    text = modelfile(file, template, tokenizer, options, folder)
    records.write_text(session.work / MODELFILE, text)
    name = gguf_export.file_stem(export_name(session.order)).lower()
    readme = t("export.ollama.readme", options.language, name=name, file=file, format=number_format)
    records.write_text(session.work / README, readme)
    return number_format


def translated(tokenizer: ModelTokenizer) -> str:
    """Return a model's chat template as a Go template.

    Raises OllamaTemplateUntranslatable.
    """
    adds_bos = gguf_tokenizer.adds(tokenizer)["bos"]
    bos = (tokenizer.bos_token or "") if adds_bos else ""
    found = ollama_template.translate(tokenizer.template, bos)
    if found is None or ollama.QUOTES in found:
        raise OllamaTemplateUntranslatable(template=tokenizer.template.source[:120])
    return found


def modelfile(
    file: str, template: str, tokenizer: ModelTokenizer, options: ollama.Options, folder: Path
) -> str:
    """Return the text of the Modelfile."""
    quotes = ollama.QUOTES
    lines = [f"FROM ./{file}", "", f"TEMPLATE {quotes}{template}{quotes}"]
    if options.system.strip():
        lines.append(f"SYSTEM {quotes}{options.system.strip()}{quotes}")
    lines += ["", *_parameters(options, folder)]
    lines += [f"PARAMETER stop {_quoted(text)}" for text in stops(tokenizer, template)]
    return "\n".join(lines) + "\n"


def stops(tokenizer: ModelTokenizer, template: str) -> list[str]:
    """Return the texts that end an answer: end tokens, and marks that begin another turn."""
    ends = [tokenizer.token(number) for number in sorted(tokenizer.eos_ids)]
    marks = (tokenizer.token(number) for number in sorted(tokenizer.special_ids))
    return list(dict.fromkeys([*ends, *(mark for mark in marks if mark in template)]))


def _parameters(options: ollama.Options, folder: Path) -> Iterator[str]:
    asked = generation.defaults(folder)
    temperature = asked.temperature if options.temperature is None else options.temperature
    yield f"PARAMETER temperature {temperature:g}"
    yield f"PARAMETER top_p {asked.top_p:g}"
    yield f"PARAMETER top_k {asked.top_k}"
    yield f"PARAMETER min_p {asked.min_p:g}"
    yield f"PARAMETER repeat_penalty {asked.repetition_penalty:g}"
    if options.context_length is not None:
        yield f"PARAMETER num_ctx {options.context_length}"


def _quoted(text: str) -> str:
    return f"{ollama.QUOTES}{text}{ollama.QUOTES}" if '"' in text else f'"{text}"'
