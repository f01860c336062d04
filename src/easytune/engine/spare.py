"""A job's process that has done its imports before there is a job. See `services.spare`.

Its job is a line of JSON on standard input: the folder, and the module to enter at. It touches no
GPU before. When the input closes first, nobody needs it, and it ends.
"""

import importlib
import json
import os
import sys
from pathlib import Path

from easytune.engine import light_imports
from easytune.job import JobFolder

_FAMILIES = ("llama", "qwen2", "qwen3")
_SMALLEST = {
    "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
    "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 8,
}  # fmt: skip


def main() -> int:
    """Import, wait, and do the job that comes."""
    with light_imports.at_once():
        _warm()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    order = json.loads(line)
    folder = JobFolder(Path(order["folder"]))
    _move_to(folder)
    sys.argv = [order["module"], str(folder.path)]
    return importlib.import_module(order["module"]).main()


def _warm() -> None:
    """Import what almost every job needs, also what is imported only when a model is made."""
    import numpy.random  # noqa: F401
    import peft.utils.transformers_weight_conversion  # noqa: F401
    import scipy.special  # noqa: F401
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    from easytune.engine import training  # noqa: F401

    # A thousand patterns for the names of weights, which are made once for all models.
    get_checkpoint_conversion_mapping(_FAMILIES[0])

    # Weights without memory, so that nothing is drawn and no device is touched.
    with torch.device("meta"):
        for family in _FAMILIES:
            AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **_SMALLEST))


def _move_to(folder: JobFolder) -> None:
    """Be where a job's process is, and print where it prints."""
    os.chdir(folder.path)
    log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for opened, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(opened, standard)
    os.close(log)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
