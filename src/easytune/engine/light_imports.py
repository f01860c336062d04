"""Halves the time until a model trains: torch, transformers and PEFT are imported only in part.

They import tables, optimization, shards of tensors and, in `late_compiler`, a compiler, which
training one model in one process does not need. All of it is loaded when somebody uses it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from easytune import import_hooks
from easytune.engine import import_structure, late_compiler
from easytune.import_hooks import Change, Finder, Late

_SHARDS = "torch.distributed.tensor"


def install() -> None:
    """Put the import hook in place, once."""
    _FINDER.install()


def remove() -> None:
    """Let everything be imported as it is. To be called before transformers is imported.

    What trains one model in several processes needs it so; there `install` spares less by itself
    when the processes were started by torchrun.
    """
    _FINDER.remove()


@contextmanager
def at_once() -> Iterator[None]:
    """Import without looking for garbage, unless torch is there: nothing much is left then."""
    if "torch" in sys.modules:
        # By now there may be garbage.
        yield
        return
    with import_hooks.at_once():
        yield


def _with_less(module: ModuleType) -> None:
    """Spare transformers a look at all its files, and its code for models in several processes.

    torch itself goes on to say the truth about the latter: others may need it.
    """
    import_structure.remember(module)
    if _is_alone() and hasattr(module, "is_torch_distributed_available"):
        vars(module)["is_torch_distributed_available"] = _nothing_to_share


def _is_alone() -> bool:
    """Tell whether this process is no part of a group that trains one model together."""
    return int(os.environ.get("WORLD_SIZE", "1")) < 2


def _nothing_to_share() -> bool:
    return False


def _with_late_tensors(module: ModuleType) -> None:
    """Have `torch.distributed.tensor` there without an import, as it is after transformers'."""
    if _is_alone():
        vars(module)["tensor"] = Late(_SHARDS, ("DTensor",))


def _with_sure_answers(**questions: str) -> Change:
    """Let functions know without an import that nothing is there yet of the module named."""

    def change(module: ModuleType) -> None:
        for question, asked_of in questions.items():
            usual = getattr(module, question, None)
            if usual is not None:
                vars(module)[question] = _sure(usual, asked_of)

    return change


def _sure(usual: Callable[..., bool], asked_of: str) -> Callable[..., bool]:
    return lambda *asked: asked_of in sys.modules and usual(*asked)


def _with_plain_clipping(module: ModuleType) -> None:
    """Clip gradients without importing shards first: as long as nobody has, there are none."""
    usual = getattr(module.Accelerator, "_clip_grad_norm_dtensor_aware", None)
    if usual is None:
        return

    def clip(self: Any, parameters: Any, max_norm: float, norm_type: float = 2) -> Any:
        if _SHARDS in sys.modules:
            return usual(self, parameters, max_norm, norm_type)
        return module.torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)

    module.Accelerator._clip_grad_norm_dtensor_aware = clip


def _without_draws_for_nothing(module: ModuleType) -> None:
    """Draw no numbers for weights without memory: that loads the compiler."""
    usual = getattr(module, "_no_grad_normal_", None)
    if usual is None:
        return

    def draw(tensor: Any, mean: float, std: float, generator: Any = None) -> Any:
        return tensor if tensor.is_meta else usual(tensor, mean, std, generator)

    vars(module)["_no_grad_normal_"] = draw


_FINDER = Finder(
    stand_ins={
        "datasets": ("Dataset", "IterableDataset"),
        "scipy.optimize": ("linear_sum_assignment",),
        "torch.export": (),
    },
    changes={
        **late_compiler.CHANGES,
        "accelerate.accelerator": _with_plain_clipping,
        "accelerate.utils.other": _with_sure_answers(
            model_has_dtensor=_SHARDS, is_deepspeed_available="deepspeed"
        ),
        "torch.distributed": _with_late_tensors,
        "torch.nn.init": _without_draws_for_nothing,
        "transformers.trainer_optimizer": _with_sure_answers(has_mixed_dtensor=_SHARDS),
        "transformers.utils.import_utils": _with_less,
    },
    seeds={
        **late_compiler.SEEDS,
        "torch.distributed.fsdp.fully_sharded_data_parallel": ("FullyShardedDataParallel",),
    },
)
