"""What a model has forgotten is measured against its own base, on texts and on its own answers."""

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from easytune.engine.evaluating import own_probe
from easytune.evaluation_files import Forgotten
from easytune.found_model import FoundModel
from tests.engine import evaluated, tiny
from tests.engine.asking import save_adapter
from tests.engine.evaluated import order, questions, run

ON = {"measure__forgetting": "both", "measure__metrics": ("perplexity",)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_folder(tmp_path_factory.mktemp("model") / "base")


def _by_probe(found: tuple[Forgotten, ...]) -> dict[tuple[int, str], Forgotten]:
    return {(one.candidate, one.probe): one for one in found}


def _whole(folder: Path, base: Path, **changes: Any) -> FoundModel:
    """A tuned copy of a whole model, with the card of its run."""
    tiny.save_folder(folder, **changes)
    (folder / "easytune.yaml").write_text(f"model:\n  base_model: {base}\n  method: full\n")
    return evaluated.base(folder).model_copy(update={"kind": "merged"})


def test_every_model_is_measured_against_its_own_base_on_both_probes(
    tmp_path: Path, model: Path
) -> None:
    texts = _texts(tmp_path / "texts.jsonl")
    strong = save_adapter(tmp_path / "strong")
    weak = tmp_path / "weak"
    shutil.copytree(strong, weak)
    config = json.loads((weak / "adapter_config.json").read_text())
    (weak / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 0.2}))
    same = _whole(tmp_path / "same", model)
    lost = _whole(tmp_path / "lost", tmp_path / "nowhere")
    candidates = [evaluated.adapter(strong, model), evaluated.adapter(weak, model), same, lost]
    rows = questions(tmp_path / "rows.jsonl", 1)
    done = run(order(tmp_path / "home", candidates, rows, measure__probe=str(texts), **ON))

    found = _by_probe(done.result.forgetting)
    assert set(found) == {(place, name) for place in (0, 1, 2) for name in (str(texts), "own")}
    for name in (str(texts), "own"):
        assert found[0, name].kl > 5 * found[1, name].kl > 0
        assert found[0, name].agreement < found[1, name].agreement < 1
        unmoved = found[2, name]
        assert (unmoved.score, unmoved.agreement) == (pytest.approx(0, abs=1e-6), 1)
    assert {name: one.rows for name, one in found[0, str(texts)].categories.items()} == {
        "sea": 6, "sky": 6,
    }  # fmt: skip
    # What was sampled from the base estimates what the whole distributions say exactly.
    own = found[0, "own"]
    assert own.low < own.kl < own.high
    assert own.high - own.low < own.kl
    codes = [(one.code, one.values.get("model")) for one in done.result.findings]
    assert ("forgetting_no_base", "lost") in codes
    kept = (done.folder.out / "own_probe.jsonl").read_text().splitlines()
    assert len(kept) == own.sequences == 12


def test_every_token_of_a_sampled_answer_counts_the_same() -> None:
    found = own_probe.divergence([0.5, 0.1], [10, 90])
    assert found.mean == pytest.approx((0.5 * 10 + 0.1 * 90) / 100)
    equal = own_probe.divergence([0.2, 0.4, 0.9], [7, 7, 7])
    half = 4.3027 * statistics.stdev([0.2, 0.4, 0.9]) / 3**0.5
    assert (equal.mean, equal.high) == pytest.approx((0.5, 0.5 + half), rel=1e-3)


def _texts(path: Path) -> Path:
    rows = [
        {"text": f"the {kind} is blue and the answer is {number}", "category": kind}
        for number in range(6)
        for kind in ("sea", "sky")
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path
