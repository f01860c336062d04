"""Reading files of every kind as a stream of rows, for datasets that are imported.

`probe` looks quickly, `plan` says what would be made of the files, `batches` reads it all.
"""

from easytune.data.reading.endings import ending_of
from easytune.data.reading.importing import batches
from easytune.data.reading.planning import Planned, PlannedSource, plan
from easytune.data.reading.probing import Probe, ProbedFile, example, probe

__all__ = [
    "Planned",
    "PlannedSource",
    "Probe",
    "ProbedFile",
    "batches",
    "ending_of",
    "example",
    "plan",
    "probe",
]
