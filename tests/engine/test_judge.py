"""A judge behind a real address, and one of this machine."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from easytune import events
from easytune.engine.evaluating import judge, judge_endpoint, judge_prompt
from easytune.engine.evaluating.judge_endpoint import Endpoint
from easytune.engine.evaluating.session import Session
from easytune.evaluation import JudgeSection
from easytune.evaluation_files import Verdict, lines
from easytune.events import Answered
from tests.conftest import free_port
from tests.engine import measuring, tiny

Answer = Callable[[dict[str, Any]], tuple[int, str]]
"""What is asked -> status and text; with a busy status the text is how long to wait."""


class Judge(ThreadingHTTPServer):
    """An OpenAI-compatible server that answers as a test says, and remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Judge  # type: ignore[assignment]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.keys.append(self.headers.get("Authorization", ""))
        status, text = (
            self.server.answer(body) if self.path == "/v1/chat/completions" else (404, "")
        )
        reply: Any = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        content = json.dumps(reply if status == 200 else {"error": {"message": text}}).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def judging(answer: Answer) -> Iterator[Judge]:
    server = Judge(answer)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def prefers(word: str) -> Answer:
    """A judge that prefers the answer with a word in it, whichever place it has."""

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        asked = body["messages"][0]["content"]
        first = asked.partition("<answer_a>")[2].partition("</answer_a>")[0]
        second = asked.partition("<answer_b>")[2].partition("</answer_b>")[0]
        mark = "A" if word in first else "B" if word in second else "C"
        return 200, f"Answer {mark} it is.\n[[{mark}]]"

    return answer


def evaluated(home: Path, url: str, answers: list[tuple[str, str]], **options: Any) -> Session:
    wishes = {"judge__by": "endpoint", "judge__url": url, "judge__model": "any"} | options
    models = [
        measuring.candidate(Path("/models/first")),
        measuring.candidate(Path("/models/other")),
    ]
    return measuring.session(home, models, answers, **wishes)


def codes(session: Session) -> list[str]:
    return [finding.code for finding in session.result.findings]


def test_the_better_answers_are_preferred_in_whichever_order_they_stand(tmp_path: Path) -> None:
    rows = [("bad", f"good {n}") for n in range(9)] + [("good", "bad"), ("same", "same")]
    with judging(prefers("good")) as server:
        session = evaluated(tmp_path, server.url, rows)

        judge.run(session)

    (scored,) = session.result.scores
    assert [verdict["score"] for verdict in lines(session.folder.verdicts)].count(1.0) == 9
    assert scored.figure.value == pytest.approx(100 * 9.5 / 11)
    assert scored.figure.low is not None
    assert 50 < scored.figure.low < scored.figure.value
    assert scored.against_first is not None
    # Nine of the ten that were not tied: 2 × (1 + 10) / 2^10.
    assert scored.against_first.p == pytest.approx(22 / 1024)
    assert len(server.asked) == 2 * 10
    assert codes(session) == []
    told = [one for one in events.read(session.folder.events)[0] if isinstance(one, Answered)]
    assert [(told[0].done, told[0].total), (told[-1].done, told[-1].total)] == [(0, 20), (20, 20)]


def test_a_judge_that_favours_a_place_says_nothing_and_is_told_of(tmp_path: Path) -> None:
    with judging(lambda body: (200, "I prefer the first.\n**[[A]]**")) as server:
        session = evaluated(tmp_path, server.url, [("one", "two")] * 4)

        judge.run(session)

    assert [scored.figure.value for scored in session.result.scores] == [50.0]
    assert codes(session) == ["judge_changes_mind"]


def test_replies_without_a_verdict_are_counted_and_the_rest_counts(tmp_path: Path) -> None:
    def sometimes(body: dict[str, Any]) -> tuple[int, str]:
        asked = body["messages"][0]["content"]
        return (200, "What a question.") if "question 1\n" in asked else prefers("good")(body)

    with judging(sometimes) as server:
        session = evaluated(tmp_path, server.url, [("bad", "good")] * 3)

        judge.run(session)

    (finding,) = session.result.findings
    assert (finding.code, finding.values) == (
        "judge_unread", {"count": 2, "replies": 6, "rows": 1}
    )  # fmt: skip
    assert session.result.scores[0].figure.rows == 2


def test_a_judge_that_talks_nonsense_is_given_up_soon(tmp_path: Path) -> None:
    with judging(lambda body: (200, "lorem ipsum")) as server:
        session = evaluated(tmp_path, server.url, [("one", "two")] * 200)

        judge.run(session)

    assert codes(session) == ["judge_nonsense", "judge_unread"]
    assert len(server.asked) < 40
    assert session.result.scores == []


def test_an_address_without_a_judge_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_endpoint, "PAUSES_S", (0.01,))
    url = f"http://someone:secret@127.0.0.1:{free_port()}/v1"
    session = evaluated(tmp_path, url, [("one", "two"), ("same", "same")])

    judge.run(session)

    (finding,) = session.result.findings
    assert finding.code == "judge_unreachable"
    assert "127.0.0.1" in finding.values["url"]
    assert "secret" not in str(finding.values)
    assert [scored.figure.rows for scored in session.result.scores] == [1]


def test_a_refused_key_ends_the_judging_and_stays_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As it comes from a file, with a line's end.
    monkeypatch.setenv("A_KEY", "sk-very-secret\n")
    with judging(lambda body: (401, "wrong key sk-very-secret")) as server:
        session = evaluated(tmp_path, server.url, [("one", "two")] * 3, judge__key_variable="A_KEY")

        judge.run(session)

    (finding,) = session.result.findings
    assert (finding.code, finding.values["status"]) == ("judge_refused", 401)
    assert finding.values["reason"] == "wrong key …"
    assert server.keys == ["Bearer sk-very-secret"]
    left = "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    assert "sk-very-secret" not in left + str(session.result)


def test_something_that_cannot_be_a_key_is_told_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-very\nsecret")
    session = evaluated(
        tmp_path, "http://127.0.0.1:9", [("one", "two")], judge__key_variable="A_KEY"
    )

    judge.run(session)

    told = [(finding.code, finding.values) for finding in session.result.findings]
    assert told == [("judge_key_unusable", {"variable": "A_KEY"})]


def test_a_judge_that_asks_to_wait_is_given_that_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    wishes = ["7", "Wed, 21 Oct 2099 07:28:00 GMT", "soon"]

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(judge_endpoint.asyncio, "sleep", sleep)
    with judging(lambda body: (429, wishes.pop(0)) if wishes else (200, "[[A]]")) as server:
        options = JudgeSection(by="endpoint", url=server.url, model="any")
        heard: list[str | None] = []
        Endpoint(options, "", pauses=(0.1, 0.2, 0.3)).ask(
            ["question"], lambda place, reply: heard.append(reply), lambda: False
        )

    assert heard == ["[[A]]"]
    # A date long from now, within reason; no time at all, as we think fit.
    assert waited == [7.0, 60.0, 0.3]


def test_a_judge_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_endpoint, "PAUSES_S", (0.01,))
    monkeypatch.setattr(judge_endpoint, "_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        session = evaluated(tmp_path, url, [("one", "two")])

        judge.run(session)

    (finding,) = session.result.findings
    assert finding.code == "judge_unreachable"
    assert finding.values["reason"] == "@evaluation.judge_slow"


def test_a_busy_judge_is_asked_again_and_a_picky_one_as_it_likes() -> None:
    heard: list[str | None] = []

    def picky(body: dict[str, Any]) -> tuple[int, str]:
        if "max_tokens" in body:
            return 400, "Unsupported parameter: use max_completion_tokens instead."
        return (503, "busy") if len(server.asked) < 4 else (200, "[[C]]")

    with judging(picky) as server:
        options = JudgeSection(by="endpoint", url=f"{server.url}/chat/completions", model="any")
        Endpoint(options, "", pauses=(0.01, 0.01, 0.01)).ask(
            ["question"], lambda place, reply: heard.append(reply), lambda: False
        )

    assert heard == ["[[C]]"]


def test_a_resumed_evaluation_asks_the_judge_only_for_what_is_missing(tmp_path: Path) -> None:
    rows = [("bad", "good")] * 6
    with judging(prefers("good")) as server:
        first = evaluated(tmp_path, server.url, rows)
        for row in range(4):
            verdict = Verdict(row=row, candidate=1, against=0, score=0.0)
            with first.folder.verdicts.open("a") as file:
                file.write(verdict.model_dump_json() + "\n")
        again = evaluated(tmp_path, server.url, rows, name="two", continues="one")

        judge.run(again)

    assert len(server.asked) == 2 * 2
    assert [line["score"] for line in lines(again.folder.verdicts)] == [0.0] * 4 + [1.0] * 2


def test_a_model_of_this_machine_that_cannot_judge_is_told_of(
    tmp_path: Path, model_folder: Path
) -> None:
    # Hardly longer than the question: a judge that says nonsense says it at length.
    own = tiny.save_folder(tmp_path / "judge", max_position_embeddings=520)
    models = [measuring.candidate(model_folder), measuring.candidate(Path("/models/other"))]
    session = measuring.session(
        tmp_path, models, [("one", "two")], judge__by="model", judge__model=str(own)
    )

    judge.run(session)

    assert codes(session) == ["judge_unread"]
    assert session.result.findings[0].values["replies"] == 2
    assert session.result.scores == []


@pytest.mark.parametrize(
    ("reply", "pick"),
    [
        ("Because.\n[[B]]", "second"),
        ("<think>[[A]] or [[B]]?</think>Both are right.\n[[C]]", "tie"),
        ("I first thought [[A]], but [[B]].", "second"),
        ("**A**", "first"),
        ("两者一样好。\n[[c]]", "tie"),
        ("Verdict: B.", "second"),
        ("A good answer would name the year.", None),
        ("<think>it goes on and on", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_where_there_is_one(reply: str, pick: str | None) -> None:
    assert judge_prompt.pick(reply) == pick
