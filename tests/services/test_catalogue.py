import json
import shutil
import time
from pathlib import Path

import pytest

from easytune import demo, errors, settings
from easytune.errors import AdapterMismatch, EasyTuneError
from easytune.inference_errors import AdapterPickled, BaseMissing, ModelUnknown
from easytune.services import discovery
from easytune.services.catalogue import Catalogue, Model
from easytune.services.runs import Runs
from easytune.settings import InferenceSection, Settings
from tests.services import trained
from tests.services.lab import Lab, write_events


@pytest.fixture
def catalogue(home: Path) -> Catalogue:
    return Catalogue(home, Runs(home))


def _by_id(home: Path) -> dict[str, Model]:
    return {model.id: model for model in Catalogue(home, Runs(home)).list()}


def _copy_of_demo(home: Path, name: str = "mine") -> Path:
    return Path(shutil.copytree(demo.MODEL, home / "models" / name))


def _refusal(home: Path, model: str, base: str | None = None) -> EasyTuneError:
    catalogue = Catalogue(home, Runs(home))
    with pytest.raises(EasyTuneError) as refused:
        catalogue.base_of(catalogue.find(model), base)
    return refused.value


def test_a_run_offers_its_adapter_and_each_checkpoint(home: Path, trained_home: Path) -> None:
    run = trained.copy_runs(trained_home, home)

    found = _by_id(home)

    assert [model.kind for model in found.values()] == [
        "base", "adapter", *["checkpoint"] * (len(found) - 2),
    ]  # fmt: skip
    assert {f"{run}@2", f"{run}@4"} <= set(found)
    assert {model.base for model in found.values() if model.is_adapter} == {"demo"}
    assert [model.problem for model in found.values()] == [None] * len(found)
    assert (found[f"{run}@2"].run, found[f"{run}@2"].step) == (run, 2)
    assert found[f"{run}@2"].title.startswith("style @2 · ")
    assert 0 < found[run].size_gb < 0.01


def test_a_model_that_was_listed_and_has_gone_is_looked_for_again(
    home: Path, catalogue: Catalogue
) -> None:
    folder = _copy_of_demo(home)
    assert catalogue.find("mine").folder == folder
    shutil.rmtree(folder)

    with pytest.raises(ModelUnknown):
        catalogue.find("mine")


def test_a_checkpoint_that_is_being_written_is_not_offered(home: Path, trained_home: Path) -> None:
    run = trained.copy_runs(trained_home, home)
    checkpoint = home / "runs" / run / "out" / "checkpoints" / "checkpoint-2"
    (checkpoint / "adapter_model.safetensors").write_bytes(b"half")

    assert f"{run}@2" not in _by_id(home)
    assert f"{run}@4" in _by_id(home)


def test_the_checkpoints_of_a_running_run_can_be_talked_to_already(
    lab: Lab, trained_home: Path
) -> None:
    done = trained.copy_runs(trained_home, lab.home)
    run = lab.running("sleeper")
    folder = lab.runs.folder(run)
    shutil.copytree(lab.runs.folder(done).checkpoints, folder.checkpoints)

    found = _by_id(lab.home)

    assert f"{run}@2" in found
    assert run not in found
    lab.runs.stop(run, now=True)


def test_models_of_ones_own_are_listed_by_their_folder(home: Path, trained_home: Path) -> None:
    run = trained.copy_runs(trained_home, home)
    _copy_of_demo(home)
    shutil.copytree(home / "runs" / run / "out" / "adapter", home / "models" / "my-adapter")
    (home / "models" / "notes").mkdir()
    shutil.copytree(demo.MODEL, home / "exports" / "merged-one")

    found = _by_id(home)

    assert (found["mine"].kind, found["my-adapter"].kind) == ("base", "adapter")
    assert found["my-adapter"].base == "demo"
    assert found[str(home / "exports" / "merged-one")].kind == "merged"
    assert "notes" not in found


def test_models_of_the_hub_cache_are_listed_by_their_id(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    for name, architecture in (("writer", "LlamaForCausalLM"), ("reader", "BertModel")):
        place = cache / f"models--org--{name}"
        shutil.copytree(demo.MODEL, place / "snapshots" / "abc")
        config = json.loads((demo.MODEL / "config.json").read_text())
        (place / "snapshots" / "abc" / "config.json").write_text(
            json.dumps(config | {"architectures": [architecture]})
        )
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("abc")

    assert [name for name in _by_id(home) if name.startswith("org/")] == ["org/writer"]


def test_a_wrong_pair_is_refused_with_the_reason(home: Path, trained_home: Path) -> None:
    run = trained.copy_runs(trained_home, home)
    other = _copy_of_demo(home, "other")
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)

    refusal = _refusal(home, run, "other")

    assert isinstance(refusal, AdapterMismatch)
    assert refusal.reason == "@pairing.trained_on demo"


def test_the_same_model_in_another_folder_is_no_wrong_pair(home: Path, trained_home: Path) -> None:
    run = trained.copy_runs(trained_home, home)
    _copy_of_demo(home, "copy")
    catalogue = Catalogue(home, Runs(home))

    assert catalogue.base_of(catalogue.find(run), "copy").id == "copy"
    assert isinstance(_refusal(home, run, run), AdapterMismatch)


def test_an_adapter_without_its_base_takes_one_that_fits(home: Path, trained_home: Path) -> None:
    run = trained.copy_runs(trained_home, home)
    folder = home / "models" / "from-elsewhere"
    shutil.copytree(home / "runs" / run / "out" / "adapter", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": "/gone/model"})
    )
    catalogue = Catalogue(home, Runs(home))

    found = catalogue.find("from-elsewhere")

    assert isinstance(found.problem, BaseMissing)
    assert found.problem.base == "/gone/model"
    assert isinstance(_refusal(home, "from-elsewhere"), BaseMissing)
    assert catalogue.base_of(found, "demo").id == "demo"


def test_what_cannot_be_used_is_listed_with_the_reason(home: Path, trained_home: Path) -> None:
    run = trained.copy_runs(trained_home, home)
    (_copy_of_demo(home, "empty") / "model.safetensors").unlink()
    pickled = home / "models" / "pickled"
    shutil.copytree(home / "runs" / run / "out" / "adapter", pickled)
    (pickled / "adapter_model.safetensors").rename(pickled / "pytorch_model.bin")

    found = _by_id(home)

    assert isinstance(found["empty"].problem, errors.ModelIncomplete)
    assert isinstance(found["pickled"].problem, AdapterPickled)
    assert isinstance(_refusal(home, "pickled"), AdapterPickled)


def test_a_model_with_code_of_its_own_needs_the_switch(home: Path) -> None:
    config = _copy_of_demo(home) / "config.json"
    content = json.loads(config.read_text())
    own = {"auto_map": {"AutoModelForCausalLM": "modeling.Mine"}, "model_type": "mine-of-mine"}
    config.write_text(json.dumps(content | own))
    assert isinstance(_refusal(home, "mine"), errors.RemoteCodeRefused)

    settings.save(home, Settings(inference=InferenceSection(allow_remote_code=True)))
    assert _by_id(home)["mine"].problem is None

    settings.save(home, Settings())
    config.write_text(json.dumps(content | own | {"model_type": "llama"}))
    assert _by_id(home)["mine"].problem is None


def test_a_folder_typed_by_hand_is_found(catalogue: Catalogue, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(demo.MODEL, tmp_path / "typed"))

    assert catalogue.find(str(folder)).id == str(folder)
    assert catalogue.find(str(demo.MODEL)).id == "demo"


@pytest.mark.parametrize("name", ["gpt-4", "", "/gone/folder", "run@3", "a/b/c"])
def test_an_unknown_name_is_refused(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(ModelUnknown):
        catalogue.find(name)


def test_a_model_of_the_hub_that_is_not_here_can_be_named(catalogue: Catalogue) -> None:
    found = catalogue.find("org/not-here")

    assert (found.id, found.is_here, found.kind) == ("org/not-here", False, "base")


def test_a_fingerprint_changes_with_the_weights_only(home: Path, catalogue: Catalogue) -> None:
    folder = _copy_of_demo(home)
    (folder / "README.md").write_text("other")
    before = catalogue.fingerprint("mine")

    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.safetensors").write_bytes(weights)

    assert before == catalogue.fingerprint("demo")
    assert catalogue.fingerprint("mine") != before


def test_defaults_are_those_of_the_base_model(
    home: Path, trained_home: Path, catalogue: Catalogue
) -> None:
    run = trained.copy_runs(trained_home, home)

    assert catalogue.defaults(run).temperature == 0
    assert catalogue.defaults(run).max_new_tokens == 128


def test_a_long_list_is_quick_for_a_timer(home: Path, trained_home: Path) -> None:
    for number in range(30):
        trained.copy_runs(trained_home, home)
        run = sorted(path.name for path in (home / "runs").iterdir())[0]
        (home / "runs" / run).rename(home / "runs" / f"99999999-{number:03}-copy")
    catalogue = Catalogue(home, Runs(home))
    assert len(catalogue.list()) > 90

    time.sleep(1.1)
    began = time.process_time()
    catalogue.list()

    assert time.process_time() - began < 0.5


def test_a_half_written_manifest_is_no_checkpoint(lab: Lab) -> None:
    run = lab.runs.folder(lab.runs.submit(lab.config))
    write_events(run)
    checkpoint = run.checkpoints / "checkpoint-3"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text('{"step": 3, "files"')

    assert discovery.whole_checkpoints(run.checkpoints) == []
