from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from easytune.generation import SamplingSection
from easytune.inference_errors import (
    ComparisonMissing,
    ModelUnknown,
    PromptEmpty,
    TooManyColumns,
)
from easytune.services import comparison_report
from easytune.services.chat import Chat
from easytune.services.comparison import asked
from easytune.services.comparisons import Column, Comparison, Comparisons, Entry
from easytune.services.questions import Question
from easytune.services.runs import Runs
from easytune.services.store import Store
from easytune.services.votes import Votes
from easytune.wire import Turn
from tests.conftest import end_processes_of
from tests.services import trained
from tests.services.answering import Reply, last_words, stand_in


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory, trained_home: Path) -> Iterator[Chat]:
    """The real thing, with the demo model and a run; starting it once is enough."""
    folder = tmp_path_factory.mktemp("chat")
    trained.copy_runs(trained_home, folder)
    chat = Chat(folder, Runs(folder))
    yield chat
    chat.close()
    end_processes_of(folder)


def _comparisons(home: Path, chat: Chat | None = None) -> Comparisons:
    return Comparisons(Store(home), chat or stand_in(last_words)[1])


def _ask(comparisons: Comparisons, comparison: Comparison, prompt: str) -> list[str]:
    with comparisons.ask(comparison.id, prompt) as turn:
        for _ in turn.updates():
            continue
    return [answer.text for answer in turn.answers]


def test_base_adapter_and_settings_answer_together_each_with_its_own_history(
    home: Path, chat: Chat
) -> None:
    run = next(model.id for model in chat.catalogue.list() if model.kind == "adapter")
    greedy = SamplingSection(temperature=0, max_new_tokens=30)
    short = SamplingSection(temperature=0, max_new_tokens=3)
    comparisons = _comparisons(home, chat)
    made = comparisons.create(
        [
            Column("demo", sampling=greedy),
            Column("demo", sampling=short),
            Column("demo", system="Answer in one word.", sampling=greedy),
            Column(run, sampling=greedy),
        ]
    )

    said = _ask(comparisons, made, "What is tea?")
    _ask(comparisons, made, "And coffee?")

    kept = _comparisons(home, chat).get(made.id)
    first, second = kept.entries
    assert [answer.text for answer in first.answers if answer] == said
    assert len({column.label for column in kept.columns}) == 4
    demo, tuned = chat.catalogue.fingerprint("demo"), chat.catalogue.fingerprint(run)
    assert [column.version for column in kept.columns] == [demo] * 3 + [f"{tuned}+{demo}"]
    details = [answer.details for answer in second.answers if answer]
    assert [(each["mode"], each["precision"]) for each in details] == [("batch", "fp32")] * 4
    # What the host read: the third column's system prompt, then each column's own past.
    read = [[a.details["prompt_tokens"] for a in entry.answers if a] for entry in kept.entries]
    assert read[0][0] == read[0][1] == read[0][3] < read[0][2]
    assert read[1][1] < read[1][0]
    contents = [[turn.content for turn in turns] for turns in comparisons.histories(made.id)]
    assert contents[0][:3] == ["What is tea?", said[0], "And coffee?"]
    assert contents[1][1] == said[1] != said[0]
    assert asked(kept, second, 2)[0].role == "system"


def test_a_stored_seed_gives_the_stored_answer_again(home: Path, chat: Chat) -> None:
    comparisons = _comparisons(home, chat)
    wild = Column("demo", sampling=SamplingSection(temperature=2, top_p=1, max_new_tokens=20))
    made = comparisons.create([wild, wild])
    before = _ask(comparisons, made, "Tell me a story.")
    answers = comparisons.get(made.id).entries[0].answers

    again = comparisons.create(
        [
            Column("demo", sampling=wild.sampling.model_copy(update={"seed": answer.seed}))
            for answer in answers
            if answer
        ]
    )

    assert before[0] != before[1]
    assert _ask(comparisons, again, "Tell me a story.") == before


def test_what_was_said_until_a_page_closed_is_kept_and_gone_on_from(home: Path) -> None:
    look, chat = stand_in(lambda _: "one two three four")
    comparisons = _comparisons(home, chat)
    made = comparisons.create([Column("a"), Column("b")])

    with comparisons.ask(made.id, "Count.") as turn:
        for _ in turn.updates():
            if turn.answers[0].text == "one two":
                break
    _ask(comparisons, made, "Go on.")

    first = comparisons.get(made.id).entries[0].answers
    assert [(answer.text, answer.reason) for answer in first if answer] == [
        ("one two", "cancelled"),
        ("", "cancelled"),
    ]
    assert [len(question.messages) for question in look.asked[1]] == [3, 1]


def test_an_answer_that_failed_is_shown_but_is_no_part_of_the_history(home: Path) -> None:
    def reply(question: Question) -> Reply:
        return ("host_crashed", {"model": "b"}) if question.model == "b" else "fine"

    look, chat = stand_in(reply)
    comparisons = _comparisons(home, chat)
    made = comparisons.create([Column("a"), Column("b")])
    _ask(comparisons, made, "First?")

    _ask(comparisons, made, "Second?")

    failed = comparisons.get(made.id).entries[0].answers[1]
    assert failed is not None
    assert (failed.reason, failed.code) == ("failed", "host_crashed")
    assert failed.values == {"model": "b"}
    contents = [[turn.content for turn in question.messages] for question in look.asked[1]]
    assert contents == [["First?", "fine", "Second?"], ["Second?"]]


def test_a_columns_system_prompt_stands_in_for_that_of_a_prompt(home: Path) -> None:
    comparisons = _comparisons(home)
    made = comparisons.create([Column("a"), Column("b", system="Be kind.")], kind="batch")
    turns = (Turn(role="system", content="Be brief."), Turn(role="user", content="Hello?"))
    entry = Entry(0, "Hello?", turns)

    assert asked(made, entry, 0) == turns
    assert asked(made, entry, 1) == (Turn(role="system", content="Be kind."), turns[1])


def test_what_cannot_be_compared_is_refused_before_anything_is_kept(home: Path) -> None:
    comparisons = _comparisons(home)
    for number in (0, 1, 9):
        with pytest.raises(TooManyColumns) as refused:
            comparisons.create([Column("a")] * number)
        assert refused.value.have == number
    with pytest.raises(ModelUnknown):
        comparisons.create([Column("a"), Column("unknown")])

    made = comparisons.create([Column("a"), Column("b")])
    with pytest.raises(PromptEmpty):
        comparisons.ask(made.id, " \n")
    with pytest.raises(ComparisonMissing):
        comparisons.ask("gone", "Hello?")

    assert [summary.entries for summary in comparisons.list()] == [0]


def test_comparisons_are_found_by_title_model_and_prompt(home: Path) -> None:
    comparisons = _comparisons(home)
    weather = comparisons.create([Column("a"), Column("b")], title="Weather")
    tea = comparisons.create([Column("a"), Column("green", label="Grün")])
    _ask(comparisons, tea, "茶是什么？")

    def found(search: str) -> list[str]:
        return [summary.id for summary in comparisons.list(search)]

    assert found("") == [tea.id, weather.id]
    assert found("WEATH") == [weather.id]
    assert found("茶") == found("grün") == [tea.id]
    assert found("coffee") == []
    comparisons.rename(tea.id, "Drinks")
    assert found("drinks") == [tea.id]
    comparisons.rename(tea.id, "")
    assert comparisons.get(tea.id).title == "茶是什么？"


def test_a_deleted_comparison_leaves_nothing_behind(home: Path) -> None:
    comparisons, votes = _comparisons(home), Votes(Store(home))
    made = comparisons.create([Column("a"), Column("b")])
    _ask(comparisons, made, "Hello?")
    votes.cast(made.id, 0, 0, 1, "left")

    comparisons.delete(made.id)

    assert comparisons.list() == []
    for use in (comparisons.get, comparisons.scores, comparisons.delete, votes.pairs):
        with pytest.raises(ComparisonMissing):
            use(made.id)
    with Store(home).read() as session:
        for table in ("entry", "answer", "vote"):
            rows = session.connection().exec_driver_sql(f"SELECT * FROM comparison_{table}")
            assert rows.all() == []


def test_a_comparison_deleted_while_it_is_answered_says_so(home: Path) -> None:
    comparisons = _comparisons(home)
    made = comparisons.create([Column("a"), Column("b")])
    turn = comparisons.ask(made.id, "Hello?")
    comparisons.delete(made.id)

    with pytest.raises(ComparisonMissing):
        turn.close()


def test_a_comparison_comes_back_from_its_json_report(home: Path, tmp_path: Path) -> None:
    comparisons = _comparisons(home)
    made = comparisons.create([Column("a"), Column("b", system="Be kind.")], title="Mine")
    _ask(comparisons, made, "Hello?")
    kept = comparisons.get(made.id)
    file = tmp_path / "report.json"
    file.write_text(comparison_report.render(kept, [], [], "json", "en"), encoding="utf-8")
    comparisons.delete(made.id)

    added = comparisons.import_file(file)

    again = comparisons.get(added.id)
    assert again == replace(kept, id=added.id) != kept
    _ask(comparisons, again, "And then?")
    assert len(comparisons.get(added.id).entries) == 2
