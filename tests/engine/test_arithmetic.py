"""Adapters of one base added and merged: as PEFT's own functions do it, layer by layer."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from easytune.engine import adapter_files
from easytune.engine.adapter_files import Adapter, Part
from easytune.engine.arithmetic import chosen
from easytune.engine.arithmetic.combining import combined
from easytune.errors import AdapterMismatch
from easytune.export import ExportConfig, Merge
from easytune.export_errors import ExportInvalid, MergeUnsupported
from easytune.export_files import ExportOrder, Source
from tests.engine import merged, tiny

WEIGHTS = (0.7, 1.3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_folder(tmp_path_factory.mktemp("arithmetic") / "base")


@pytest.fixture(scope="module")
def pair(base: Path) -> tuple[Path, Path]:
    """Two adapters of the same rank."""
    folder = base.parent
    return merged.adapter(base, folder / "one"), merged.adapter(base, folder / "two", seed=5)


@pytest.fixture(scope="module")
def by_peft(base: Path, pair: tuple[Path, Path]) -> Any:
    """A model with both adapters, to merge them as PEFT does."""
    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    adapted = PeftModel.from_pretrained(model, str(pair[0]), adapter_name="one")
    adapted.load_adapter(str(pair[1]), adapter_name="two")
    return adapted


def _read(folders: tuple[Path, ...]) -> list[Adapter]:
    return [adapter_files.read(folder) for folder in folders]


def _update(part: Part) -> torch.Tensor:
    return part.scale * part.b @ part.a


@pytest.mark.parametrize(
    ("method", "theirs"), [("linear", "cat"), ("svd", "svd"), ("ties", "ties_svd")]
)
def test_adapters_come_to_what_peft_makes_of_them(
    method: Merge, theirs: str, pair: tuple[Path, Path], by_peft: Any
) -> None:
    found = combined(_read(pair), WEIGHTS, method, 0.5, 42)
    more = {"density": 0.5} if method == "ties" else {}
    by_peft.add_weighted_adapter(
        ["one", "two"], list(WEIGHTS), method, combination_type=theirs, **more
    )
    modules = dict(by_peft.base_model.model.named_modules())
    assert len(found) == 14
    for name, part in found.items():
        wanted = modules[name].get_delta_weight(method)
        assert torch.allclose(_update(part), wanted, atol=1e-5), name
        assert part.rank == (8 if method == "linear" else 4)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_what_dare_drops_follows_the_seed(method: Merge, pair: tuple[Path, Path]) -> None:
    adapters = _read(pair)
    first, again, other = (combined(adapters, WEIGHTS, method, 0.5, seed) for seed in (1, 1, 2))
    name = next(iter(first))
    assert torch.equal(_update(first[name]), _update(again[name]))
    assert not torch.allclose(_update(first[name]), _update(other[name]), atol=1e-4)
    whole = combined(adapters, WEIGHTS, "dare_linear", 1.0, 1)[name]
    exact = combined(adapters, WEIGHTS, "svd", 1.0, 1)[name]
    assert torch.allclose(_update(whole), _update(exact), atol=1e-5)


def test_a_layer_too_large_for_all_its_directions_gets_the_same(pair: tuple[Path, Path]) -> None:
    torch.manual_seed(0)
    wide = [
        Adapter(pair[0], {"layer": Part(torch.randn(4, 700), torch.randn(600, 4), 0.5)}, {}, {})
        for _ in range(2)
    ]
    found = combined(wide, (1.0, 1.0), "dare_linear", 1.0, 1)["layer"]
    exact = combined(wide, (1.0, 1.0), "svd", 1.0, 1)["layer"]
    assert float((_update(found) - _update(exact)).norm() / _update(exact).norm()) < 1e-3


@pytest.mark.parametrize("method", ["linear", "svd"])
def test_adapters_of_different_ranks_and_layers_become_a_plain_one_that_peft_loads(
    method: Merge, base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = merged.adapter(base, tmp_path / "other", r=6, target_modules=["q_proj", "embed_tokens"])
    order = _order(base, (pair[0], other), what__merge=method, what__strength=0.5)
    folder, left = chosen.one(order, tmp_path / "scratch")
    assert left == 1.0
    content = json.loads((folder / "adapter_config.json").read_text())
    assert content["r"] == (10 if method == "linear" else 6)
    if method == "linear":
        target = merged.merge(base, folder, tmp_path / "merged")
        own, full = merged.weights(base), merged.weights(target)
        parts = [merged.weights(merged.merge(base, a, tmp_path / a.name)) for a in (pair[0], other)]
        for name, found in full.items():
            updates = [one[name] - own[name] for one in parts]
            assert torch.allclose(found, own[name] + 0.5 * sum(updates), atol=1e-5)
        wanted = merged.peft_logits(base, folder)
        assert torch.allclose(merged.logits(target), wanted, atol=1e-5 * float(wanted.abs().max()))


def test_one_adapter_keeps_its_files_unless_its_strength_changes(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    assert chosen.one(_order(base, pair[:1]), tmp_path) == (pair[0], 1.0)
    folder, left = chosen.one(_order(base, pair[:1], what__strength=0.25), tmp_path)
    assert left == 1.0
    ours, theirs = (adapter_files.read(f).parts for f in (folder, pair[0]))
    assert all(torch.allclose(_update(p), 0.25 * _update(theirs[n])) for n, p in ours.items())
    dora = merged.adapter(base, tmp_path / "dora", use_dora=True)
    assert chosen.one(_order(base, (dora,), what__strength=0.25), tmp_path) == (dora, 0.25)


def test_what_cannot_be_added_is_refused(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    dora = merged.adapter(base, tmp_path / "dora", use_dora=True)
    with pytest.raises(MergeUnsupported):
        chosen.one(_order(base, (pair[0], dora)), tmp_path)
    one, two = _order(base, pair).sources
    with pytest.raises(ExportInvalid) as problem:
        chosen.refuse_other_bases((one, two.model_copy(update={"base_fingerprint": "other"})))
    assert problem.value.reason == "@export.invalid.other_base"
    with pytest.raises(ExportInvalid) as problem:
        chosen.refuse_other_bases((one, two.model_copy(update={"is_adapter": False})))
    assert problem.value.reason == "@export.invalid.not_adapters"
    wider = tiny.save_folder(tmp_path / "wider", intermediate_size=64)
    with pytest.raises(AdapterMismatch):
        combined(_read((pair[0], merged.adapter(wider, tmp_path / "w"))), WEIGHTS, "svd", 1, 1)


def _order(base: Path, folders: tuple[Path, ...], **options: Any) -> ExportOrder:
    sources = tuple(
        Source(
            id=str(folder),
            title=folder.name,
            kind="adapter",
            folder=str(folder),
            base=str(base),
            base_folder=str(base),
            is_adapter=True,
            fingerprint=folder.name,
            base_fingerprint="base",
        )
        for folder in folders
    )
    return ExportOrder(config=ExportConfig().changed(**options), sources=sources)
