"""What an evaluation measures: its options, and the file that repeats it.

Named like a training run: `models` and `test.datasets` take what the pickers offer, a YAML holds
only what differs from the defaults, and the same file gives the same result again.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from easytune.generation import LoadingSection, SamplingSection
from easytune.options import Knob, Option, Section, declared, when

Judging = Literal["off", "endpoint", "model"]
Forgetting = Literal["off", "general", "own", "both"]


class CandidatesSection(Section):
    """Which models are measured."""

    models: Annotated[tuple[str, ...], Knob(level="bar")] = Field(
        default=("demo",), min_length=1, max_length=16
    )
    """Base models, runs, checkpoints or folders. The first is what the others are compared with."""


class TestSection(Section):
    """What they are measured on."""

    datasets: Annotated[tuple[str, ...], Knob(level="bar")] = Field(
        default=("demo/style",), title="Test sets"
    )
    """Datasets, files, or "held-out:<run>": the rows that a run kept back."""

    rows: Annotated[int | None, Knob(level="essential", step=50)] = Field(
        default=None, ge=1, title="Rows of each set"
    )
    """At most so many rows of each set, drawn by the seed. Empty: all."""

    seed: Annotated[int, Knob()] = Field(default=42, ge=0)
    """The same seed draws the same rows and the same intervals."""

    batch_size: Annotated[int | None, Knob(step=1)] = Field(default=None, ge=1, le=4096)
    """Answers computed at once. Empty: as many as fit; halved whenever memory runs out."""


class MeasureSection(Section):
    """What is measured."""

    metrics: Annotated[tuple[str, ...], Knob(level="essential")] = (
        "exact_match", "chrf", "rouge_l", "token_accuracy", "perplexity",
    )  # fmt: skip
    """How answers are scored against their references."""

    pattern: Annotated[str | None, Knob()] = None
    """Regular expression that a good answer contains; for the metric "pattern"."""

    contains: Annotated[tuple[str, ...], Knob(lines=2)] = ()
    """Texts that a good answer contains, all of them; for the metric "contains"."""

    forgetting: Annotated[Forgetting, Knob(level="essential")] = "general"
    """What was forgotten: measured on general texts, on the base's own answers, or both."""

    probe: Annotated[str, Knob(when=when("measure.forgetting", "general", "both"))] = Field(
        default="demo/probe", min_length=1
    )
    """General texts that forgetting is measured on: a dataset or a file."""

    safety: Annotated[bool, Knob(level="essential")] = Field(default=False, title="Safety probe")
    """Counts refusals of harmful and of harmless prompts, before and after. A screening only."""

    benchmarks: Annotated[tuple[str, ...], Knob()] = ()
    """Tasks of lm-evaluation-harness, which must be installed."""

    benchmark_folder: Annotated[str | None, Knob()] = None
    """Folder with tasks of your own for lm-evaluation-harness, as YAML."""

    benchmark_rows: Annotated[int | None, Knob(step=50)] = Field(default=None, ge=1)
    """At most so many rows of each benchmark. Empty: all."""


class JudgeSection(Section):
    """Another model that says which answer is better."""

    by: Annotated[Judging, Knob(level="essential")] = Field(default="off", title="Judge")
    """A model behind an OpenAI-compatible address, or one of this machine."""

    url: Annotated[str, Knob(when=when("judge.by", "endpoint"))] = ""
    """Address of the judge's API, such as http://127.0.0.1:8000/v1."""

    key_variable: Annotated[str, Knob(when=when("judge.by", "endpoint"))] = "EASYTUNE_JUDGE_KEY"
    """Environment variable that holds the judge's key; the key itself is never stored."""

    model: Annotated[str, Knob(when=when("judge.by", "endpoint", "model"))] = ""
    """Which model judges, by its name there or here."""

    rubric: Annotated[str, Knob(lines=4, when=when("judge.by", "endpoint", "model"))] = ""
    """What makes an answer good. Empty: helpful, correct, complete, as asked."""


class ReportSection(Section):
    """What the evaluation is called."""

    name: Annotated[str, Knob(level="essential")] = Field(default="", max_length=80)
    """What this evaluation is called. Empty: from its models and test sets."""


_SAMPLING: dict[str, Any] = {"temperature": 0, "max_new_tokens": 256, "seed": 42}


class EvaluateConfig(BaseModel):
    """All that can be chosen about an evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: CandidatesSection = CandidatesSection()
    test: TestSection = TestSection()
    sampling: SamplingSection = SamplingSection(**_SAMPLING)
    loading: LoadingSection = LoadingSection()
    measure: MeasureSection = MeasureSection()
    judge: JudgeSection = JudgeSection()
    report: ReportSection = ReportSection()

    @field_validator("sampling", mode="before")
    @classmethod
    def _over_our_defaults(cls, given: Any) -> Any:
        # What a file leaves out is as an evaluation wants it, not as a chat does.
        return _SAMPLING | given if isinstance(given, dict) else given

    def changed(self, **options: Any) -> "EvaluateConfig":
        """Return a copy with options given as `section__name=value`, validated."""
        content = self.model_dump()
        for path, value in options.items():
            section, _, name = path.partition("__")
            content[section][name] = value
        return EvaluateConfig.model_validate(content)


def options() -> Iterator[Option]:
    """Yield every option of an evaluation, in the order of declaration."""
    return declared(EvaluateConfig)
