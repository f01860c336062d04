"""What training does not need is not imported, and there for whoever needs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, sys
from pathlib import Path
from easytune.config import TrainConfig
from easytune.engine import light_imports, spare
from easytune.job import Job, create
with light_imports.at_once():
    from easytune.engine import training
import torch

HEAVY = ("torch._dynamo", "torch._inductor", "torch.distributed.fsdp", "sympy", "pandas")
facts = {"after_import": [name for name in HEAVY if name in sys.modules]}

weights = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.AdamW([weights], lr=0.1)
weights.sum().backward()
optimizer.step()
facts["stepped"] = bool((weights < 1).all())
torch.nn.Embedding(4, 2, device="meta")
facts["after_step"] = [name for name in HEAVY if name in sys.modules]

spare._warm()
waiting = set(sys.modules)
from easytune.engine import worker
folder = create(Path(sys.argv[1]), Job(config=TrainConfig().changed(schedule__max_steps=1)))
facts["ran"] = worker.run(folder.path)
facts["sharded"] = [name for name in ("torch.distributed.tensor", "deepspeed")
                    if name in sys.modules]
late = {name.partition(".")[0] for name in set(sys.modules) - waiting}
facts["late"] = sorted(late & {"accelerate", "numpy", "pandas", "peft", "scipy", "transformers"})

import datasets
import transformers.trainer as trainer
facts["no_dataset"] = isinstance([1], trainer.datasets.Dataset)
made = datasets.Dataset.from_dict({"a": [1, 2]})
facts["dataset"] = [len(made), isinstance(made, trainer.datasets.Dataset)]

class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x) + 1

exported = torch.export.export(Model(), (torch.ones(2),))
facts["exported"] = exported.module()(torch.ones(2)).tolist()

@torch.compiler.disable
def kept_out(x):
    return x + torch._dynamo.is_compiling()

compiled = torch.compile(lambda x: kept_out(x) * 2, backend="eager")
facts["compiled"] = compiled(torch.ones(2)).tolist()
facts["optimized"] = isinstance(torch.compile(Model(), backend="eager"),
                                torch._dynamo.eval_frame.OptimizedModule)

from transformers.loss.loss_for_object_detection import linear_sum_assignment
facts["assigned"] = [each.tolist() for each in linear_sum_assignment([[1, 2], [3, 1]])]
from transformers.masking_utils import TransformGetItemToIndex
facts["transform"] = type(TransformGetItemToIndex()).__module__
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process of its own finds that imports as jobs do, and then does one."""
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("caches")),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("home") / "runs")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_and_stepping_loads_neither_compiler_nor_tables(facts: dict[str, Any]) -> None:
    assert facts["after_import"] == []
    assert facts["stepped"]
    assert facts["after_step"] == []


def test_a_run_of_a_worker_in_waiting_imports_nothing_heavy_any_more(facts: dict[str, Any]) -> None:
    assert facts["ran"] == 0
    assert facts["sharded"] == []
    assert facts["late"] == []


def test_datasets_are_the_real_ones_for_who_makes_them(facts: dict[str, Any]) -> None:
    assert facts["no_dataset"] is False
    assert facts["dataset"] == [2, True]


def test_exporting_and_compiling_go_on_working(facts: dict[str, Any]) -> None:
    assert facts["exported"] == [2.0, 2.0]
    assert facts["compiled"] == [2.0, 2.0]
    assert facts["optimized"] is True


def test_what_others_took_by_name_is_the_real_thing(facts: dict[str, Any]) -> None:
    assert facts["assigned"] == [[0, 1], [0, 1]]
    assert facts["transform"] == "torch._dynamo._trace_wrapped_higher_order_op"


def test_what_is_in_transformers_is_found_once_and_a_cut_file_again(tmp_path: Path) -> None:
    from types import ModuleType

    from easytune.engine import import_structure

    package = tmp_path / "site" / "transformers"
    (package / "models").mkdir(parents=True)
    record = tmp_path / "site" / "transformers-9.dist-info" / "RECORD"
    record.parent.mkdir()
    record.touch()
    looked: list[str] = []
    structure = {"llama": {frozenset({"torch"}): {"modeling_llama": {"A", "B"}}, frozenset(): {}}}

    def look(path: str) -> dict[Any, Any]:
        looked.append(path)
        return structure

    def installed() -> Any:
        module = ModuleType("transformers.utils.import_utils")
        module.__file__ = str(package / "utils" / "import_utils.py")
        vars(module)["create_import_structure_from_path"] = look
        import_structure.remember(module)
        return vars(module)["create_import_structure_from_path"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
        for _ in range(2):
            find = installed()
            assert find(package / "models") == structure
            assert find(str(package / "models" / "__init__.py")) == structure
        assert len(looked) == 1
        (kept,) = (tmp_path / "caches" / "easytune").iterdir()
        kept.write_text(kept.read_text()[:20])
        assert installed()(package / "models") == structure
        assert len(looked) == 2
