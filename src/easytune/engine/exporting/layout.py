"""Which tensor of a model's files becomes which parameter of the model, without loading a weight.

The model is made on no device at all. Files may name tensors otherwise than modules are called, and
keep as several what the model holds as one: transformers knows how, and is asked.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from easytune.engine.failures import first_line
from easytune.errors import ModelUnloadable, RemoteCodeRefused


class Layout:
    """The modules of a model, its parameters, and their names in its files."""

    def __init__(
        self, folder: Path, stored: Iterable[str], allow_remote_code: bool = False
    ) -> None:
        """`stored` are the names of the tensors in the files.

        Raises RemoteCodeRefused, or ModelUnloadable when there is no such architecture.
        """
        self.model = _bare(folder, allow_remote_code)
        self.modules: dict[str, nn.Module] = dict(self.model.named_modules())
        self.parameters: dict[str, Any] = dict(self.model.named_parameters(remove_duplicate=False))
        self.by_file = dict(self._renamed(stored))
        """Name in the files -> parameter, of all that the model holds one to one."""
        self.file_of = {name: stored for stored, name in self.by_file.items()}

    def tied(self, name: str) -> list[str]:
        """Return the parameters that are one with this one, itself included."""
        own = self.parameters[name]
        return [other for other, found in self.parameters.items() if found is own]

    def _renamed(self, stored: Iterable[str]) -> Iterable[tuple[str, str]]:
        changes = get_model_conversion_mapping(self.model)
        renamings = [c for c in changes if isinstance(c, WeightRenaming)]
        converters = [c for c in changes if isinstance(c, WeightConverter)]
        prefix, known = self.model.base_model_prefix, self.model.state_dict()
        for name in stored:
            found, joined = rename_source_key(name, renamings, converters, prefix, known)
            if joined is None and found in self.parameters:
                yield name, found


def _bare(folder: Path, allow_remote_code: bool) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(
            str(folder), trust_remote_code=allow_remote_code, local_files_only=True
        )
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=allow_remote_code)
    except (ValueError, KeyError, OSError, ImportError) as error:
        if "trust_remote_code" in str(error):
            raise RemoteCodeRefused(model=str(folder)) from error
        raise ModelUnloadable(model=str(folder), reason=first_line(error)) from error
