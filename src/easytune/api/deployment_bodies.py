"""What calls about deployments send and get."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from easytune.api.bodies import Body
from easytune.api.estimate_bodies import Said
from easytune.deployment import DeployConfig
from easytune.services.deployment_checks import CheckStory
from easytune.services.deployment_evidence import State
from easytune.services.deployments import DeploymentStory

MOST_LINES = 1000


class DeploymentIn(Body):
    """What shall be served, and how."""

    config: DeployConfig = DeployConfig()


class MetricsOut(BaseModel):
    """What a server has done since it started."""

    requests: int
    failed: int
    refused: int
    active: int
    prompt_tokens: int
    tokens: int
    tokens_per_second: float
    memory_gb: float


class DeploymentCheckOut(BaseModel):
    """What the last check of a deployment's answers has found."""

    state: str
    at: datetime
    passed: bool | None
    prompts: int | None
    greedy_agreement: float | None
    kl: float | None
    failure: Said | None

    @classmethod
    def of(cls, check: CheckStory, lang: str) -> "DeploymentCheckOut":
        """Return a check as calls get it."""
        parity = check.parity
        return cls(
            state=check.state,
            at=check.at,
            passed=parity.passed if parity else None,
            prompts=parity.prompts if parity else None,
            greedy_agreement=parity.greedy_agreement if parity else None,
            kl=parity.kl if parity else None,
            failure=_said(check.failure, lang),
        )


class DeploymentOut(BaseModel):
    """How a deployment stands."""

    id: str
    name: str
    model: str
    engine: str
    url: str
    state: State
    since: datetime | None
    created: datetime
    starts: int
    problem: str
    failure: Said | None
    key_hints: list[str]
    metrics: MetricsOut | None
    config: DeployConfig
    check: DeploymentCheckOut | None

    @classmethod
    def of(
        cls, story: DeploymentStory, lang: str, check: CheckStory | None = None
    ) -> "DeploymentOut":
        """Return a deployment as calls get it: without where its model lies on this machine."""
        standing, order, figures = story.standing, story.order, story.metrics
        return cls(
            id=story.id,
            name=order.name,
            model=order.source.id,
            engine=order.config.deploy.engine,
            url=story.url,
            state=standing.state,
            since=standing.since,
            created=order.created,
            starts=standing.starts,
            problem=standing.problem,
            failure=_said(standing.failure, lang),
            key_hints=list(story.hints),
            metrics=MetricsOut(**figures.model_dump(include=set(MetricsOut.model_fields)))
            if figures
            else None,
            config=order.config,
            check=DeploymentCheckOut.of(check, lang) if check else None,
        )


class DeploymentsOut(BaseModel):
    """The reply to `GET /api/deployments`."""

    deployments: list[DeploymentOut]


class DeploymentStarted(BaseModel):
    """A deployment that has just been started, and its key, which cannot be had again."""

    deployment: DeploymentOut
    key: str | None


class DeploymentLog(BaseModel):
    """The end of a deployment's log."""

    lines: list[str]


def _said(failure: tuple[str, dict[str, Any]] | None, lang: str) -> Said | None:
    return Said.failure(*failure, lang) if failure else None
