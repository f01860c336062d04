"""GGUF files: every family comes back from its file, and llama.cpp computes the same."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM

from easytune.data import tokenizer as tokenizers
from easytune.engine import adapter_files
from easytune.engine.exporting import gguf_export, gguf_tokenizer
from easytune.engine.exporting.merging import MergedWeights
from easytune.engine.parity import gguf_runtimes
from easytune.engine.parity.llama_cpp import LlamaCppRuntime
from easytune.errors import DependencyMissing
from easytune.export_errors import (
    GgufArchitectureUnknown,
    GgufConverterMissing,
    GgufPreTokenizerUnknown,
    GgufSettingUnsupported,
    GgufTokenizerDiffers,
    GgufTokenizerTooLarge,
    GgufTokenizerUnsupported,
    GgufToolFailed,
    GgufValuesTooLarge,
    NoAdapter,
)
from easytune.exporters import gguf as exporter
from easytune.exporters import gguf_families
from easytune.settings import ExportSection, Settings, save
from tests.engine import gguf_made, merged, tiny

TOKENS = torch.tensor([[5, 17, 40, 8, 99, 120, 33, 7, 61, 250, 14, 3, 301, 77]])
HAS_LLAMA_CPP = find_spec("llama_cpp") is not None
needs_llama_cpp = pytest.mark.skipif(not HAS_LLAMA_CPP, reason="llama-cpp-python is not here")
WORDS = ["hello world, how are you today", "the answer is blue, isn't it? 42", "  two  spaces\n"]


def _logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(TOKENS).logits[0].float()


def _own_logits(folder: Path) -> torch.Tensor:
    return _logits(AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32))


def _read_back(folder: Path, file: Path) -> torch.Tensor:
    config = gguf_export.configuration(folder)
    family = gguf_families.family(config.model_type)
    assert family is not None
    shapes = gguf_export.Merged(MergedWeights(folder)).shapes
    return _logits(gguf_runtimes.turned_back(file, shapes, config, family))


def test_there_is_a_tiny_model_of_every_family() -> None:
    assert set(gguf_made.FAMILIES) == set(gguf_families.FAMILIES)


@pytest.mark.parametrize("family", gguf_made.FAMILIES)
def test_every_family_comes_back_from_its_file(family: str, tmp_path: Path) -> None:
    folder = gguf_made.save(tmp_path / "model", family)
    file = gguf_made.convert(folder)
    wanted = _own_logits(folder)
    assert float((_read_back(folder, file) - wanted).abs().max() / wanted.abs().max()) < 1e-5


@needs_llama_cpp
@pytest.mark.parametrize("family", gguf_made.FAMILIES)
def test_llama_cpp_computes_what_transformers_does(family: str, tmp_path: Path) -> None:
    folder = gguf_made.save(tmp_path / "model", family)
    runtime = LlamaCppRuntime(gguf_made.convert(folder), tmp_path / "log")
    got = torch.from_numpy(runtime.logits(TOKENS[0].tolist()))
    runtime.close()
    wanted = torch.log_softmax(_own_logits(folder), -1)
    kl = (wanted.exp() * (wanted - torch.log_softmax(got, -1))).sum(-1).mean()
    assert float(kl) < 1e-5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_made.save(tmp_path_factory.mktemp("gguf") / "model", "llama")


@pytest.mark.parametrize(
    ("number_format", "bits", "error"),
    [("f32", 32, 0.0), ("f16", 16, 1e-3), ("bf16", 16, 1e-2), ("q8_0", 8.5, 2e-2)],
)
def test_a_format_keeps_the_numbers_as_well_as_its_bits_allow(
    model: Path, number_format: str, bits: float, error: float
) -> None:
    file = gguf_made.convert(model, number_format)
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    head = found["output.weight"]
    wanted = load_file(model / "model.safetensors")["lm_head.weight"].numpy()
    assert head.n_bytes * 8 == wanted.size * bits
    got = gguf.quants.dequantize(head.data, head.tensor_type)
    assert np.abs(got - wanted).max() <= error * np.abs(wanted).max()
    # Small and telling: rounding these would cost more than it saves.
    assert found["blk.0.attn_norm.weight"].tensor_type == gguf.GGMLQuantizationType.F32


def test_weights_of_the_same_format_are_kept_to_the_bit(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text((model / name).read_text())
    tensors = load_file(model / "model.safetensors")
    half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    save_file(half, folder / "model.safetensors", {"format": "pt"})
    found = {one.name: one for one in gguf.GGUFReader(gguf_made.convert(folder, "bf16")).tensors}
    wanted = half["lm_head.weight"].view(torch.uint8).numpy()
    assert (found["output.weight"].data.reshape(wanted.shape) == wanted).all()
    norm = half["model.norm.weight"].float().numpy()
    assert (found["output_norm.weight"].data == norm).all()


def test_stretched_positions_are_written_as_llama_cpp_divides(tmp_path: Path) -> None:
    stretch = {
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
    }  # fmt: skip
    folder = gguf_made.save(tmp_path / "model", "llama", rope_parameters=stretch)
    tensors = {one.name: one.data for one in gguf.GGUFReader(gguf_made.convert(folder)).tensors}
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder))
    plain = 1.0 / 10000.0 ** (np.arange(0, 8, 2) / 8)
    wanted = plain / model.model.rotary_emb.inv_freq.numpy()
    assert tensors["rope_freqs.weight"] == pytest.approx(wanted, rel=1e-5)


def test_a_vocabulary_padded_to_a_round_size_gets_unused_tokens(tmp_path: Path) -> None:
    folder = gguf_made.save(tmp_path / "model", "llama", vocab_size=330)
    tokens = tokenizers.load(folder).backend.get_vocab_size()
    fields = gguf.GGUFReader(gguf_made.convert(folder)).fields
    assert len(fields["tokenizer.ggml.tokens"].contents()) == 330
    kinds = fields["tokenizer.ggml.token_type"].contents()
    assert kinds[tokens:] == [gguf.TokenType.UNUSED] * (330 - tokens)
    assert kinds[:3] == [gguf.TokenType.CONTROL] * 3


def test_more_tokens_than_embeddings_are_refused(model: Path) -> None:
    tokenizer = tokenizers.load(model)
    with pytest.raises(GgufTokenizerTooLarge) as raised:
        gguf_tokenizer.read(tokenizer, 100)
    assert raised.value.rows == 100


def _with(model: Path, folder: Path, tokenizer: Tokenizer) -> Path:
    """Return a copy of what a tokenizer needs, with another tokenizer."""
    folder.mkdir()
    for name in ("config.json", "tokenizer_config.json"):
        (folder / name).write_text((model / name).read_text())
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _bpe(pre_tokenizer: Any, **options: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<pad>", "<s>", "</s>"], initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(WORDS, trainer)
    return tokenizer


def test_the_way_a_tokenizer_cuts_text_is_recognised_by_what_it_does(
    model: Path, tmp_path: Path
) -> None:
    digits = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    read = tokenizers.load(_with(model, tmp_path / "digits", _bpe(digits)))
    assert gguf_tokenizer.read(read, 320).pre == "smollm"
    assert gguf_tokenizer.read(tokenizers.load(model), 320).pre == "gpt-2"


def test_an_unknown_way_to_cut_text_is_said_and_not_guessed(model: Path, tmp_path: Path) -> None:
    odd = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex("[aeiou]"), "isolated"), pre_tokenizers.ByteLevel(False)]
    )
    read = tokenizers.load(_with(model, tmp_path / "odd", _bpe(odd)))
    with pytest.raises(GgufPreTokenizerUnknown, match="aeiou"):
        gguf_tokenizer.read(read, 320)


def test_a_tokenizer_of_another_kind_is_refused(model: Path, tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "a": 2}, unk_token="a"))
    read = tokenizers.load(_with(model, tmp_path / "words", words))
    with pytest.raises(GgufTokenizerUnsupported, match="WordLevel"):
        gguf_tokenizer.read(read, 320)


def _sentence_pieces() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    space = "▁"
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(space), normalizers.Replace(" ", space)]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<pad>", "<s>", "</s>", "<unk>", *bytes_],
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(WORDS, trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:4]
    return Tokenizer.from_str(json.dumps(content))


def test_sentence_pieces_are_scored_in_the_order_of_their_merges(
    model: Path, tmp_path: Path
) -> None:
    read = tokenizers.load(_with(model, tmp_path / "pieces", _sentence_pieces()))
    found = gguf_tokenizer.read(read, 320)
    assert (found.model, found.pre, found.space_prefix) == ("llama", "default", True)
    kinds = [token.kind for token in found.tokens]
    assert kinds.count(gguf.TokenType.BYTE) == 256
    assert kinds[3] == gguf.TokenType.UNKNOWN
    merged_scores = [t.score for t in found.tokens if -1000 < t.score <= 0 and len(t.text) == 2]
    assert merged_scores == sorted(merged_scores, reverse=True)


@needs_llama_cpp
@pytest.mark.parametrize("kind", ["bytes", "pieces"])
def test_llama_cpp_cuts_texts_into_the_same_tokens(kind: str, tmp_path: Path) -> None:
    folder = gguf_made.save(tmp_path / "model", "llama")
    if kind == "pieces":
        _sentence_pieces().save(str(folder / "tokenizer.json"))
    backend = tokenizers.load(folder).backend
    runtime = LlamaCppRuntime(gguf_made.convert(folder), tmp_path / "log")
    for text in (*WORDS, "héllo 模型 🚀", "<s>hello</s> the", " a  b   c\n\n"):
        assert runtime.tokens(text) == backend.encode(text, add_special_tokens=False).ids
    assert runtime.ends() >= {2}
    runtime.close()


@needs_llama_cpp
def test_a_file_that_llama_cpp_cannot_run_is_said_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF and nothing more")
    runtime = LlamaCppRuntime(file, tmp_path / "log")
    with pytest.raises(GgufToolFailed):
        runtime.logits([1, 2, 3])


def test_a_damaged_vocabulary_is_found_when_it_is_read_back(model: Path) -> None:
    file = gguf_made.convert(model, "bf16")
    gguf_runtimes.check_vocabulary(file, tokenizers.load(model))
    content = file.read_bytes()
    word = b"\x05\x00\x00\x00\x00\x00\x00\x00hello"
    assert word in content
    file.write_bytes(content.replace(word, word[:-1] + b"a", 1))
    with pytest.raises(GgufTokenizerDiffers):
        gguf_runtimes.check_vocabulary(file, tokenizers.load(model))


def test_numbers_too_large_for_a_format_are_refused(tmp_path: Path) -> None:
    folder = gguf_made.save(tmp_path / "model", "llama")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"][0, 0] = 1e6
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(GgufValuesTooLarge) as raised:
        gguf_made.convert(folder, "f16")
    assert raised.value.tensor == "output.weight"
    gguf_made.convert(folder, "bf16")


def test_a_setting_that_llama_cpp_does_not_have_is_refused(tmp_path: Path) -> None:
    folder = gguf_made.save(tmp_path / "model", "llama", hidden_act="relu")
    with pytest.raises(GgufSettingUnsupported) as raised:
        gguf_made.convert(folder)
    assert (raised.value.setting, raised.value.value) == ("hidden_act", "relu")


def test_an_adapter_is_in_the_file(model: Path, tmp_path: Path) -> None:
    adapter = merged.adapter(model, tmp_path / "adapter")
    file = gguf_made.convert(model, adapter=adapter_files.read(adapter))
    wanted = merged.peft_logits(model, adapter)
    config = gguf_export.configuration(model)
    shapes = gguf_export.Merged(MergedWeights(model)).shapes
    family = gguf_families.FAMILIES["llama"]
    back = gguf_runtimes.turned_back(file, shapes, config, family)
    with torch.no_grad():
        got = back(merged.TOKENS).logits
    assert float((got - wanted).abs().max() / wanted.abs().max()) < 1e-5


def test_an_architecture_nobody_converts_is_refused_before_it_is_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EASYTUNE_HOME", str(tmp_path))
    folder = tmp_path / "model"
    folder.mkdir()
    tiny.save_folder(folder, "mamba")
    order = gguf_made.order(folder, what__target="gguf")
    with pytest.raises(GgufArchitectureUnknown, match="mamba"):
        exporter.refuse(exporter.Options(), order)
    save(tmp_path, Settings(export=ExportSection(llama_cpp_folder=str(tmp_path))))
    if HAS_LLAMA_CPP:
        exporter.refuse(exporter.Options(), order)
    else:
        with pytest.raises(DependencyMissing):
            exporter.refuse(exporter.Options(), order)


def test_the_converter_of_llama_cpp_is_run_with_its_own_gguf(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "find_spec", lambda name: name)
    asked = gguf_made.order(model, what__target="gguf", gguf__converter="llama.cpp")
    with pytest.raises(GgufConverterMissing):
        gguf_made.export(tmp_path, asked)
    tools = tmp_path / "llama.cpp"
    tools.mkdir()
    said = 'import os, sys\nprint(os.environ["PYTHONPATH"], *sys.argv[3:])\nsys.exit(3)\n'
    (tools / "convert_hf_to_gguf.py").write_text(said)
    save(tmp_path, Settings(export=ExportSection(llama_cpp_folder=str(tools))))
    with pytest.raises(GgufToolFailed) as raised:
        gguf_made.export(tmp_path, asked)
    assert str(tools / "gguf-py") in raised.value.reason
    assert "--outtype q8_0" in raised.value.reason


def test_a_whole_export_is_one_file_that_passed_the_gate(model: Path, tmp_path: Path) -> None:
    adapter = merged.adapter(model, tmp_path / "adapter")
    asked = gguf_made.order(model, adapter, what__target="gguf", gguf__number_format="f16")
    folder = gguf_made.export(tmp_path, asked)
    certificate = folder.certificate()
    assert certificate is not None
    assert certificate.passed
    assert certificate.number_format == "f16"
    (parity,) = certificate.parity
    assert parity.runtime == ("llama.cpp" if HAS_LLAMA_CPP else "transformers (GGUF)")
    assert (certificate.notes == ()) is HAS_LLAMA_CPP
    (file,) = folder.artefact.glob("*.gguf")
    assert file.name == "Tiny-one-gguf-f16.gguf"
    fields = gguf.GGUFReader(file).fields
    assert fields["general.name"].contents() == "Tiny 模型 one · gguf f16"
    assert not folder.scratch.exists()


@needs_llama_cpp
@pytest.mark.parametrize(("family", "options"), [("llama", {}), ("phi3", {"use_rslora": True})])
def test_an_adapter_alone_is_put_upon_its_base_by_llama_cpp(
    family: str, options: dict[str, Any], tmp_path: Path
) -> None:
    base = gguf_made.save(tmp_path / "base", family)
    targets = ["q_proj", "k_proj", "down_proj"] if family == "llama" else "all-linear"
    adapter = merged.adapter(base, tmp_path / "adapter", target_modules=targets, **options)
    asked = gguf_made.order(
        base, adapter, what__target="gguf", gguf__content="adapter", gguf__number_format="f32"
    )
    folder = gguf_made.export(tmp_path, asked)
    (file,) = folder.artefact.glob("*-lora-f32.gguf")
    names = {tensor.name for tensor in gguf.GGUFReader(file).tensors}
    assert "blk.0.ffn_down.weight.lora_b" in names
    certificate = folder.certificate()
    assert certificate is not None
    assert certificate.parity[0].learned == pytest.approx(1, abs=0.02)


def test_an_adapter_alone_is_refused_where_nothing_can_prove_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = exporter.Options(content="adapter")
    with pytest.raises(NoAdapter):
        exporter.refuse(options, gguf_made.order(model))
    adapter = merged.adapter(model, tmp_path / "adapter")
    monkeypatch.setattr(exporter, "find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match="llama-cpp-python"):
        exporter.refuse(options, gguf_made.order(model, adapter))


@needs_llama_cpp
def test_fewer_bits_are_made_by_the_quantizer_of_llama_cpp(model: Path, tmp_path: Path) -> None:
    asked = gguf_made.order(
        model, what__target="gguf", gguf__number_format="q4_k_m", gate__kl=1.0, gate__greedy=0.0
    )
    folder = gguf_made.export(tmp_path, asked)
    (file,) = folder.artefact.glob("*.gguf")
    assert file.stat().st_size < gguf_made.convert(model, "f16").stat().st_size
