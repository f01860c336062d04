"""A job that has been run in a test."""

from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file

from easytune import events
from easytune.events import Event
from easytune.job import JobFolder


@dataclass(frozen=True)
class Ran:
    """A job that has been run, and what it reported."""

    folder: JobFolder
    code: int

    @property
    def story(self) -> list[Event]:
        """Everything the job reported."""
        return events.read(self.folder.events)[0]

    @property
    def end(self) -> Any:
        """The last event."""
        return self.story[-1]

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.story if isinstance(event, kind)]

    def notices(self) -> set[str]:
        """The codes of all notices."""
        return {event.code for event in self.of(events.Notice)}

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights in the adapter's folder."""
        files = self.folder.adapter.glob("*.safetensors")
        return {name: t for file in files for name, t in load_file(file).items()}
