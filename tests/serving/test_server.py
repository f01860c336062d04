"""Our own server with a real model, under its supervisor, asked by OpenAI's own client."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import openai
import psutil
import pytest
from openai import OpenAI

from easytune import demo
from easytune.api.problems import ApiProblem
from easytune.deployment import DeployConfig
from easytune.deployment_files import CheckOrder
from easytune.export_files import Parity
from easytune.generation import SamplingSection
from easytune.services import deployment_checks, deployment_order
from easytune.services.catalogue import Catalogue
from easytune.services.deployment_checks import CheckStory
from easytune.services.deployments import Deployments, DeploymentStory
from easytune.services.evidence import ENDED
from easytune.services.runs import Runs
from easytune.serving.answers import LimitedChat
from easytune.serving.counting import Counter
from tests.conftest import end_processes_of
from tests.patience import eventually
from tests.services import talking
from tests.services.talking import STAND_IN

QUESTION = "What is the capital of France?"


@dataclass(frozen=True)
class Served:
    """A deployment that asks for a key."""

    deployments: Deployments
    id: str
    key: str

    @property
    def url(self) -> str:
        return self.deployments.story(self.id).url

    @property
    def health(self) -> str:
        return f"{self.url.removesuffix('/v1')}/health"

    def client(self, key: str) -> OpenAI:
        return OpenAI(base_url=self.url, api_key=key, max_retries=0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo model, served under another name, one request at a time."""
    home = tmp_path_factory.mktemp("served") / "home"
    deployments = Deployments(home, Catalogue(home, Runs(home)))
    config = DeployConfig().changed(
        deploy__name="house", server__key=True, limits__concurrent=1, limits__max_new_tokens=6,
        loading__device="cpu",
    )  # fmt: skip
    id, key = deployments.create(config)
    eventually(
        lambda: deployments.story(id).standing.state == "healthy",
        lambda: f"{deployments.story(id).standing} {deployments.log(id)}",
    )
    yield Served(deployments, id, key)
    deployments.stop(id)
    end_processes_of(home)


def test_the_official_client_is_answered_under_the_chosen_name(served: Served) -> None:
    client = served.client(served.key)

    assert [model.id for model in client.models.list()] == ["house"]
    answer = client.chat.completions.create(
        model="house", messages=[{"role": "user", "content": QUESTION}], temperature=0
    )
    assert answer.choices[0].message.content == "The capital of Fran"
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 6, "no more than the deployment allows"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("demo")
    told = eventually(lambda: served.deployments.story(served.id).metrics)
    eventually(
        lambda: (told := served.deployments.story(served.id).metrics) and told.requests == 1,
        lambda: str(told),
    )
    figures = httpx.get(
        served.health.replace("/health", "/metrics"),
        headers={"authorization": f"Bearer {served.key}"},
    )
    assert "easytune_requests_total 1" in figures.text


def _checked(served: Served) -> tuple[CheckStory, Parity]:
    """Have the answers of the server checked; return what was found."""
    folder = served.deployments.folder(served.id)
    known = len([*folder.checks.glob("[!.]*")])
    deployment_checks.start(served.deployments, served.id)
    assert len([*folder.checks.glob("[!.]*")]) == known + 1
    done = eventually(
        lambda: (seen := deployment_checks.latest(folder)) and seen.state in ENDED and seen,
        lambda: str(deployment_checks.latest(folder)),
    )
    assert (done.state, done.failure) == ("finished", None)
    assert done.parity is not None
    return done, done.parity


def test_a_server_of_another_model_than_was_trained_does_not_pass(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = shutil.copytree(demo.MODEL, tmp_path / "base")
    raw = bytearray((base / "model.safetensors").read_bytes())
    # The end of the file is one of the last layers: its weights are turned round.
    raw[-400_000:] = np.frombuffer(raw[-400_000:], np.float32)[::-1].tobytes()
    (base / "model.safetensors").write_bytes(raw)
    asked = deployment_checks._order

    def of_another(story: DeploymentStory) -> CheckOrder:
        order = asked(story)
        other = {"base_folder": str(base), "base_fingerprint": ""}
        return order.model_copy(update={"source": order.source.model_copy(update=other)})

    monkeypatch.setattr(deployment_checks, "_order", of_another)

    done, parity = _checked(served)

    assert not parity.passed
    assert parity.greedy_agreement < 1.0
    assert "not those of the trained model" in deployment_checks.sentence(done, "en")


def test_answers_are_checked_against_the_trained_model_over_http(served: Served) -> None:
    folder = served.deployments.folder(served.id)

    _, parity = _checked(served)

    assert (parity.passed, parity.greedy_agreement) == (True, 1.0)
    assert parity.runtime == "server"
    assert parity.kl is not None
    assert parity.kl < 1e-6
    assert parity.prompts > 20
    assert [*folder.checks.glob("*/key")] == [], "the key it was given is gone"
    assert len(served.deployments.story(served.id).hints) == 1


def test_who_has_no_key_or_a_wrong_one_is_refused(served: Served) -> None:
    for key in ("none", "et-wrong"):
        with pytest.raises(openai.AuthenticationError) as refused:
            served.client(key).models.list()
        assert "started" in refused.value.message
    assert httpx.get(served.health.replace("/health", "/metrics")).status_code == 401
    assert httpx.get(served.health).status_code == 200


def test_pages_of_other_sites_and_other_names_are_kept_out(served: Served) -> None:
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        assert httpx.get(served.health, headers=headers).status_code == 403


def test_more_requests_than_allowed_are_told_to_come_again(tmp_path: Path) -> None:
    config = DeployConfig().changed(limits__concurrent=1, limits__max_new_tokens=6)
    order = deployment_order.compose(config, tmp_path, Catalogue(tmp_path, Runs(tmp_path)))
    counter = Counter()
    chat = LimitedChat(order, tmp_path, counter, [sys.executable, "-S", str(STAND_IN), "answer"])
    question = talking.question("slow", order.name, SamplingSection())
    try:
        with chat.ask([question]) as first:
            assert first.questions[0].sampling.max_new_tokens == 6
            with pytest.raises(ApiProblem) as busy:
                chat.ask([question])
        eventually(lambda: not chat.answering())
    finally:
        chat.close()

    assert (busy.value.status, busy.value.headers) == (429, {"retry-after": "1"})
    figures = counter.read(0, 0)
    assert (figures.requests, figures.refused) == (1, 1)


def test_a_server_whose_model_was_killed_is_replaced(served: Served) -> None:
    before = served.deployments.story(served.id).standing
    assert before.pid is not None
    (host,) = psutil.Process(before.pid).children()

    os.kill(host.pid, signal.SIGKILL)
    eventually(lambda: served.deployments.story(served.id).standing.starts == 2)
    eventually(lambda: served.deployments.story(served.id).standing.state == "healthy")
    after = served.deployments.story(served.id).standing

    assert after.pid != before.pid
    assert after.failure is not None
    assert after.failure[0] == "host_killed"
    served.client(served.key).models.list()
    assert Path(served.deployments.folder(served.id).path).is_dir()
