from datetime import UTC, datetime
from pathlib import Path

from easytune.generation import GenerationConfig, SamplingSection
from easytune.services.comparison import Column, Comparison
from easytune.webui.compare_setup import ALL, Manner, Setup, first_setup, setup_of
from easytune.webui.compare_view import together
from tests.webui.compare_page import store

COLD, HOT = SamplingSection(temperature=0), SamplingSection(temperature=1.5)
_WHEN = datetime(2026, 11, 21, tzinfo=UTC)


def test_a_setup_from_the_browser_is_checked() -> None:
    good = Setup(models=("a", "b", "c"), own={2: Manner(sampling=HOT)}, scope=2)

    assert Setup.read(good.model_dump(mode="json")) == good
    assert Setup.read({"models": ["a"]}) is None
    assert Setup.read({"models": ["a"] * 9}) is None
    assert Setup.read({"models": ["a", "b"], "common": {"sampling": {"heat": 1}}}) is None
    assert Setup.read("junk") is None
    astray = Setup.read({"models": ["a", "b"], "own": {"7": {}}, "scope": 5})
    assert astray == Setup(models=("a", "b"), own={}, scope=ALL)


def test_what_is_typed_belongs_to_the_column_that_is_shown() -> None:
    setup = Setup(models=("a", "b"))
    everyone = setup.edited(False, "Be kind.", GenerationConfig(sampling=COLD))
    second = everyone.looking_at(1).edited(True, "", GenerationConfig(sampling=HOT))

    assert [second.manner(place).sampling for place in (0, 1)] == [COLD, HOT]
    assert [column.system for column in second.columns({})] == ["Be kind.", ""]
    again = second.edited(False, "", GenerationConfig(sampling=HOT))
    assert again.manner(1) == everyone.common


def test_own_settings_move_with_their_column() -> None:
    setup = Setup(models=("a", "b", "c"), own={2: Manner(sampling=HOT)})

    left = setup.without_column(0)

    assert left.models == ("b", "c")
    assert left.own == {1: Manner(sampling=HOT)}
    assert left.without_column(0) == left


def test_a_stored_comparison_goes_on_only_with_the_same_columns(home: Path) -> None:
    stored = store(home, ("Hello",), lambda question: "Good day")
    setup = setup_of(stored)

    assert setup.asks_like(Setup(models=("first", "second")))
    assert not setup.asks_like(Setup(models=("second", "first")))
    assert not setup.asks_like(Setup(models=("first", "second"), own={1: Manner(system="x")}))


def test_columns_with_settings_of_their_own_come_back_with_them() -> None:
    columns = (Column("a", sampling=COLD), Column("a", sampling=HOT, system="Sing."))
    made = Comparison("1", "", "live", _WHEN, columns)

    again = setup_of(made).columns({})

    assert [(c.sampling, c.system) for c in again] == [(COLD, ""), (HOT, "Sing.")]


def test_a_newcomer_without_runs_finds_the_demo() -> None:
    assert first_setup([], COLD).models == ("demo", "demo")


def test_the_page_says_which_columns_ran_together_and_why_not() -> None:
    modes, bases = ["batch", "batch", "in_turn", "alone", ""], ["x", "x", "x", "y", "x"]

    assert together(modes, bases, "en") == (
        "Together as one batch: 1, 2. In turn, because it cannot share a batch with the others: 3."
        " In turn, because it has another base model: 4."
    )
