import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from easytune import demo, model_files, paths
from easytune.config import ModelSection
from easytune.errors import DependencyMissing, ModelIncomplete, ModelMissing, ModelPickled
from tests import model_hub

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "max_position_embeddings": 512,
    "vocab_size": 32,
}


def _tensors(layer: int) -> dict[str, np.ndarray]:
    prefix = f"model.layers.{layer}"
    return {
        f"{prefix}.self_attn.q_proj.weight": np.zeros((8, 8), np.float32),
        f"{prefix}.mlp.down_proj.weight": np.zeros((8, 16), np.float32),
        f"{prefix}.input_layernorm.weight": np.zeros(8, np.float32),
        "model.embed_tokens.weight": np.zeros((32, 8), np.float32),
    }


def _model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(_tensors(0), folder / "model.safetensors")
    return folder


def _sharded(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    shards = {f"model-0000{n + 1}-of-00002.safetensors": _tensors(n) for n in range(2)}
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
    index = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return folder


def _found(name: str, home: Path) -> Path | None:
    return model_files.resolve(ModelSection(base_model=name), home)


def test_demo_is_the_bundled_model(home: Path) -> None:
    assert _found("demo", home) == demo.MODEL


def test_a_folder_and_a_name_under_home_are_both_found(home: Path, tmp_path: Path) -> None:
    mine = _model(tmp_path / "mine")
    kept = _model(paths.models(home) / "kept")

    assert _found(str(mine), home) == mine
    assert _found("kept", home) == kept


@pytest.mark.parametrize(
    "name", ["./gone", "/gone/model", "a/b/c", "C:\\models\\x", "~/gone-model"]
)
def test_a_path_that_does_not_exist_is_named(name: str, home: Path) -> None:
    with pytest.raises(ModelMissing) as caught:
        _found(name, home)

    assert caught.value.model == name


def test_a_whole_model_passes_in_one_file_or_several(tmp_path: Path) -> None:
    model_files.check(_model(tmp_path / "one"), allow_pickle=False)
    model_files.check(_sharded(tmp_path / "several"), allow_pickle=False)


@pytest.mark.parametrize("file", ["config.json", "model-00002-of-00002.safetensors"])
def test_a_missing_file_is_named(file: str, tmp_path: Path) -> None:
    folder = _sharded(tmp_path / "model")
    (folder / file).unlink()

    with pytest.raises(ModelIncomplete) as caught:
        model_files.check(folder, allow_pickle=False)

    assert caught.value.missing == file


def test_a_folder_without_weights_is_incomplete(tmp_path: Path) -> None:
    folder = _model(tmp_path / "model")
    (folder / "model.safetensors").unlink()

    with pytest.raises(ModelIncomplete):
        model_files.check(folder, allow_pickle=False)


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize("damage", [slice(0, -1), slice(0, 20), slice(0, 0)])
def test_weights_that_were_cut_off_are_noticed(damage: slice, tmp_path: Path) -> None:
    weights = _model(tmp_path / "model") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[damage])

    with pytest.raises(ModelIncomplete):
        model_files.check(weights.parent, allow_pickle=False)


def test_the_pointer_git_leaves_for_a_large_file_is_no_weights(tmp_path: Path) -> None:
    folder = _model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(LFS_POINTER)

    with pytest.raises(ModelIncomplete):
        model_files.check(folder, allow_pickle=False)


def test_pickle_weights_are_refused_unless_allowed(tmp_path: Path) -> None:
    folder = _model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    with pytest.raises(ModelPickled):
        model_files.check(folder, allow_pickle=False)
    model_files.check(folder, allow_pickle=True)


def test_linear_layers_are_listed_without_embeddings_and_norms(tmp_path: Path) -> None:
    assert model_files.linear_modules(_sharded(tmp_path / "m")) == ["down_proj", "q_proj"]


def test_facts_are_read_from_the_files(tmp_path: Path) -> None:
    facts = model_files.describe(_model(tmp_path / "model"))

    assert facts.architecture == "LlamaForCausalLM"
    assert facts.parameters == 8 * 8 + 8 * 16 + 8 + 32 * 8
    assert (facts.context_length, facts.vocabulary) == (512, 32)


FETCH = """
import sys
from importlib.util import find_spec
from pathlib import Path
from easytune import model_files
from easytune.config import ModelSection
from easytune.errors import EasyTuneError
model, home = ModelSection(base_model=sys.argv[1]), Path(sys.argv[2])
try:
    print(model_files.fetch(model, home))
    print(model_files.resolve(model, home))
except EasyTuneError as error:
    print(error.code())
"""


def _fetch(name: str, endpoint: str, tmp_path: Path) -> list[str]:
    # huggingface_hub reads its settings when it is imported, so each try has a process of its own.
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", FETCH, name, str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_hub_model_is_downloaded_once_and_then_found_offline(tmp_path: Path) -> None:
    _model(tmp_path / "hub" / "lab" / "tiny")
    with model_hub.serve(tmp_path / "hub") as endpoint:
        fetched, found = _fetch("lab/tiny", endpoint, tmp_path)

    assert model_files.describe(Path(fetched)).vocabulary == 32
    assert found == fetched
    assert _fetch("lab/tiny", "http://127.0.0.1:9", tmp_path) == [fetched, fetched]


def test_why_a_hub_model_cannot_be_had_is_told_apart(tmp_path: Path) -> None:
    _model(tmp_path / "hub" / "lab" / "gated")
    pickled = _model(tmp_path / "hub" / "lab" / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")

    with model_hub.serve(tmp_path / "hub", gated=("lab/gated",)) as endpoint:
        assert _fetch("lab/gated", endpoint, tmp_path) == ["model_gated"]
        assert _fetch("lab/pickled", endpoint, tmp_path) == ["model_pickled"]
        assert _fetch("lab/nothing", endpoint, tmp_path) == ["model_missing"]
    assert _fetch("lab/tiny", "http://127.0.0.1:9", tmp_path) == ["no_network"]


@pytest.mark.skipif(find_spec("modelscope") is not None, reason="modelscope is installed")
def test_modelscope_asks_for_its_package(home: Path) -> None:
    with pytest.raises(DependencyMissing) as caught:
        model_files.fetch(ModelSection(base_model="lab/tiny", hub="modelscope"), home)

    assert caught.value.package == "modelscope"
