"""What the Compare tab would ask: which models, and how each of them is asked."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from easytune.generation import GenerationConfig, LoadingSection, SamplingSection
from easytune.services.catalogue import Model
from easytune.services.comparison import FEWEST_COLUMNS, MOST_COLUMNS, Column, Comparison

ALL = -1


class Manner(BaseModel):
    """How a column is asked."""

    model_config = ConfigDict(frozen=True)

    system: str = ""
    sampling: SamplingSection = SamplingSection()


class Setup(BaseModel):
    """The columns as the page has them. Kept in the browser; what it sends back is checked here.

    `own` has the manner of each column that does not follow the common one. `scope` is the column
    whose manner the controls show, or ALL.
    """

    model_config = ConfigDict(frozen=True)

    models: tuple[str, ...] = ("demo", "demo")
    common: Manner = Manner()
    loading: LoadingSection = LoadingSection()
    own: dict[int, Manner] = {}
    scope: int = ALL

    @classmethod
    def read(cls, content: Any) -> Self | None:
        """Return the setup that a page sent; None when it is none, or from another version."""
        try:
            setup = cls.model_validate(content)
        except ValidationError:
            return None
        count = len(setup.models)
        if not FEWEST_COLUMNS <= count <= MOST_COLUMNS:
            return None
        own = {column: manner for column, manner in setup.own.items() if 0 <= column < count}
        scope = setup.scope if 0 <= setup.scope < count else ALL
        return setup.model_copy(update={"own": own, "scope": scope})

    @property
    def shown(self) -> Manner:
        """Return the manner the controls show."""
        return self.manner(self.scope)

    def manner(self, column: int) -> Manner:
        """Return how a column is asked."""
        return self.own.get(column, self.common)

    def edited(self, own: bool, system: str, config: GenerationConfig) -> Self:
        """Return the setup with what the controls hold for the scope they show."""
        manner = Manner(system=system, sampling=config.sampling)
        if self.scope == ALL:
            return self.model_copy(update={"common": manner, "loading": config.loading})
        others = {column: kept for column, kept in self.own.items() if column != self.scope}
        return self.model_copy(update={"own": others | ({self.scope: manner} if own else {})})

    def choosing(self, models: tuple[str, ...]) -> Self:
        """Return the setup with other models in its columns."""
        return self.model_copy(update={"models": models})

    def looking_at(self, scope: int) -> Self:
        """Return the setup with the controls showing another column, or ALL."""
        return self.model_copy(update={"scope": scope if 0 <= scope < len(self.models) else ALL})

    def with_column(self, model: str) -> Self:
        """Return the setup with one more column, if there is room."""
        return self.choosing((*self.models, model)[:MOST_COLUMNS])

    def without_column(self, gone: int) -> Self:
        """Return the setup without a column, unless only two are left."""
        if len(self.models) <= FEWEST_COLUMNS or not 0 <= gone < len(self.models):
            return self
        kept = [column for column in range(len(self.models)) if column != gone]
        own = {place: self.own[old] for place, old in enumerate(kept) if old in self.own}
        models = tuple(self.models[column] for column in kept)
        return self.model_copy(update={"models": models, "own": own, "scope": ALL})

    def columns(self, titles: Mapping[str, str]) -> list[Column]:
        """Return the columns for a comparison, named as in `titles` (model id to title)."""
        return [
            Column(
                model=model,
                label=titles.get(model, model),
                system=self.manner(place).system,
                sampling=self.manner(place).sampling,
                loading=self.loading,
            )
            for place, model in enumerate(self.models)
        ]

    def asks_like(self, other: "Setup") -> bool:
        """Tell whether a comparison begun with the other setup can go on with this one."""
        places = range(len(self.models))
        return (
            self.models == other.models
            and self.loading == other.loading
            and all(self.manner(place) == other.manner(place) for place in places)
        )


def setup_of(comparison: Comparison) -> Setup:
    """Return the setup that asks the way a stored comparison was asked."""
    manners = [Manner(system=c.system, sampling=c.sampling) for c in comparison.columns]
    common = manners[0]
    return Setup(
        models=tuple(column.model for column in comparison.columns),
        common=common,
        loading=comparison.columns[0].loading,
        own={place: manner for place, manner in enumerate(manners) if manner != common},
    )


def first_setup(models: list[Model], sampling: SamplingSection) -> Setup:
    """Return what a newcomer finds: the newest run's adapter beside its base, else the demo."""
    usable = [model for model in models if model.problem is None]
    trained = next((m for m in usable if m.kind == "adapter" and m.run and m.base), None)
    pair = (trained.base or "", trained.id) if trained else ("demo", "demo")
    return Setup(models=pair, common=Manner(sampling=sampling))


def next_model(models: list[Model], taken: tuple[str, ...]) -> str:
    """Return the model a further column begins with: one not shown yet, where there is one."""
    usable = [model.id for model in models if model.problem is None]
    return next((model for model in usable if model not in taken), taken[-1])
