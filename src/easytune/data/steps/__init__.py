"""Steps that change rows: cleaning, filtering, duplicates, personal data, splitting, mixing."""

from easytune.data.steps.catalogue import STEPS
from easytune.data.steps.options import Steps
from easytune.data.steps.pipeline import Pipeline, StepSpec
from easytune.data.steps.running import Pair, Previewed, preview, run
from easytune.data.steps.step import Step, StepCount

__all__ = [
    "STEPS",
    "Pair",
    "Pipeline",
    "Previewed",
    "Step",
    "StepCount",
    "StepSpec",
    "Steps",
    "preview",
    "run",
]
