"""What an option is: its declaration in a config, how it is presented, and when it applies."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

Level = Literal["bar", "essential", "advanced", "expert"]


@dataclass(frozen=True)
class Knob:
    """How an option is presented.

    `level`: bar (top of the form), essential (always open), advanced (its section's accordion) or
    expert. `step`: spacing of a number control. `when`: the option applies only while each
    `section.option` named has one of the values given. `choices`: suggestions for a free text.
    """

    level: Level = "advanced"
    step: float | None = None
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    choices: tuple[str, ...] = ()
    lines: int = 1


def when(option: str, *values: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the condition that `option` has one of `values`."""
    return ((option, values),)


class Section(BaseModel):
    """A group of options that belong together."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True
    )


@dataclass(frozen=True)
class Option:
    """One declared option: where it is, and everything that derives from its declaration."""

    section: str
    name: str
    field: FieldInfo
    knob: Knob

    @property
    def path(self) -> str:
        """Return `section.name`, its name in YAML and on the command line."""
        return f"{self.section}.{self.name}"

    @property
    def label(self) -> str:
        """Return the English label."""
        return self.field.title or self.name.replace("_", " ").capitalize()

    @property
    def help(self) -> str:
        """Return the English tooltip."""
        return " ".join((self.field.description or "").split())


def declared(model: type[BaseModel]) -> Iterator[Option]:
    """Yield every option of a config made of sections, in the order of declaration."""
    for section, holder in model.model_fields.items():
        group = holder.annotation
        if isinstance(group, type) and issubclass(group, Section):
            for name, field in group.model_fields.items():
                yield Option(section, name, field, _knob(field))


def applies(option: Option, content: dict[str, dict[str, Any]]) -> bool:
    """Tell whether an option has any effect, given a whole config as nested dicts."""
    for path, allowed in option.knob.when:
        section, _, name = path.partition(".")
        if content.get(section, {}).get(name) not in allowed:
            return False
    return True


def _knob(field: FieldInfo) -> Knob:
    return next((extra for extra in field.metadata if isinstance(extra, Knob)), Knob())
