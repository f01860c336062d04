"""What an evaluation can be made of: the models, test sets and metrics that are here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from easytune import paths
from easytune.evaluation import EvaluateConfig
from easytune.i18n import t
from easytune.services.catalogue import Model
from easytune.services.runs import Runs, RunSummary
from easytune.webui import model_picker, pickers, results_names
from easytune.webui.pickers import Choice

HELD_OUT = "held-out:"
CONFIGS = paths.CONFIGS / "evaluate"
MOST_MODELS = 16


@dataclass(frozen=True)
class Machine:
    """What was found on this machine a moment ago."""

    home: Path
    models: Sequence[Model]
    runs: Runs

    def run_of(self, model_id: str) -> str | None:
        """Return the run that made a model; None for what no run here has made."""
        return next((model.run for model in self.models if model.id == model_id), None)

    def offered(self, config: EvaluateConfig, lang: str) -> dict[str, list[Choice]]:
        """Return what can be chosen where that depends on this machine, by option."""
        whole = [model for model in self.models if not model.is_adapter and not model.problem]
        return {
            "candidates.models": _models(self.models, config.candidates.models, lang),
            "test.datasets": self.sets_offered(config, lang),
            "measure.metrics": metrics(lang),
            "measure.probe": pickers.general(self.home, lang, "probe", config.measure.probe),
            "judge.model": [(_line(model, lang), model.id) for model in whole],
        }

    def first(self) -> EvaluateConfig:
        """Return what a newcomer finds: the newest adapter beside its base, else the demo."""
        usable = (m for m in self.models if m.problem is None and m.kind == "adapter")
        trained = next((m for m in usable if m.run and m.base), None)
        return EvaluateConfig() if trained is None else self.about(trained.id, EvaluateConfig())

    def about(self, model_id: str, config: EvaluateConfig) -> EvaluateConfig:
        """Return the config with a model beside its base, on what its run kept back."""
        model = next((one for one in self.models if one.id == model_id), None)
        if model is None:
            return config.changed(candidates__models=(model_id,))
        names = tuple(dict.fromkeys((model.base or model.id, model.id)))
        sets = (f"{HELD_OUT}{model.run}",) if self._keeps_rows(model.run) else None
        return config.changed(
            candidates__models=names, test__datasets=sets or config.test.datasets, report__name=""
        )

    def with_checkpoints(self, config: EvaluateConfig) -> EvaluateConfig:
        """Return the config with the checkpoints of the runs that its models are of."""
        chosen = config.candidates.models
        runs = {run for name in chosen if (run := self.run_of(name))}
        found = [m for m in self.models if m.run in runs and m.kind == "checkpoint"]
        steps = [m.id for m in sorted(found, key=lambda m: (m.run or "", m.step or 0))]
        # In the order of the steps, with what came out at the end as the last.
        first = [name for name in chosen if self.run_of(name) not in runs]
        last = [name for name in chosen if name not in first and name not in steps]
        names = list(dict.fromkeys([*first, *steps, *last]))
        return config.changed(candidates__models=tuple(names[:MOST_MODELS]))

    def sets_offered(self, config: EvaluateConfig, lang: str) -> list[Choice]:
        """Return the test sets, what the runs of the chosen models kept back before all others."""
        wanted = {self.run_of(name) for name in config.candidates.models}
        kept = [run for run in self.runs.list() if keeps_rows(run)]
        own = [held_out(run, lang) for run in kept if run.id in wanted]
        others = [held_out(run, lang) for run in kept if run.id not in wanted]
        return [*own, *pickers.datasets(self.home, lang, config.test.datasets), *others]

    def _keeps_rows(self, run_id: str | None) -> bool:
        return any(keeps_rows(run) for run in self.runs.list() if run.id == run_id)


def keeps_rows(run: RunSummary) -> bool:
    """Tell whether a run kept rows back to be judged by."""
    data = run.order.config.data
    return data.held_out_share > 0 or data.held_out_file is not None


def held_out(run: RunSummary, lang: str) -> Choice:
    """Return the rows that a run kept back, as a test set to choose."""
    when = f"{run.created.astimezone():%Y-%m-%d %H:%M}"
    return t("evaluate.held_out", lang, run=run.name, when=when), f"{HELD_OUT}{run.id}"


def metrics(lang: str) -> list[Choice]:
    """Return the metrics to choose from."""
    # Its libraries take a while to import, and the page opens without them.
    from easytune import scoring

    return [(results_names.metric_name(name, lang), name) for name in scoring.MEASURES]


def _models(models: Sequence[Model], chosen: Sequence[str], lang: str) -> list[Choice]:
    """Return the models to choose from; those that cannot be used only where they are chosen."""
    shown = [model for model in models if model.problem is None or model.id in chosen]
    return [(_line(model, lang), model.id) for model in shown]


def _line(model: Model, lang: str) -> str:
    """Return a model's name and kind: a list of several has no room for more."""
    parts = [model_picker.title(model, lang), t(f"evaluate.kind.{model.kind}", lang)]
    if model.problem is not None:
        parts.append(t("chat.unusable", lang))
    return " · ".join(parts)
