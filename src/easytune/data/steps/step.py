"""What a step is: a change to single rows, or a choice among all of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easytune.data.formats import Layout
from easytune.options import Section

if TYPE_CHECKING:
    from easytune.data.steps.flow import Flow

Transform = Callable[[Any, Layout], list[Any]]
"""What becomes of one row: nothing when it is dropped, several when it is split.

The very object that was given stands for a row that is not changed.
"""


@dataclass(frozen=True)
class StepCount:
    """What one step of a pipeline did. Rows that cannot be used are not counted: none is touched.

    `details` counts what was found by kind, such as `email`; a kind's text is `steps.kind.<kind>`.
    """

    step: str
    rows_in: int
    rows_out: int
    changed: int = 0
    dropped: int = 0
    details: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One kind of step. Its name is a field of `Steps`; texts are `steps.name.<name>`.

    It has either `each`, which makes the change to single rows, or `whole`, which chooses among
    all rows. `layout` tells how a file's rows are understood afterwards.
    """

    name: str
    options: type[Section]
    each: Callable[[Any, Counter[str]], Transform] | None = None
    whole: "Callable[[Any, Flow, Counter[str]], None] | None" = None
    layout: Callable[[Any, Layout], Layout] | None = None
