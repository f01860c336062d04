"""What calls about jobs of every kind send and get."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from easytune.api.bodies import Body
from easytune.api.estimate_bodies import Said
from easytune.found_model import FoundModel
from easytune.services.job_following import JobStory


class StopIn(Body):
    """How a job shall end."""

    now: bool = False


class FoundModelOut(BaseModel):
    """One of the models that a job is about."""

    id: str
    title: str
    kind: str
    base: str
    fingerprint: str
    run: str | None
    step: int | None

    @classmethod
    def of(cls, model: FoundModel) -> Self:
        """Return a model as calls get it: without where it lies on this machine."""
        return cls(**model.model_dump(include=set(cls.model_fields)))


class JobLine(BaseModel):
    """One line of a list of jobs."""

    id: str
    name: str
    state: str
    created: datetime


class JobOut(BaseModel):
    """How a job stands."""

    id: str
    name: str
    state: str
    phase: str
    done: int
    total: int
    queue_position: int | None
    notices: list[Said]
    failure: Said | None
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, story: Any, lang: str) -> Self:
        """Return the story of a job as calls get it."""
        return cls.told(story, lang)

    @classmethod
    def told(cls, story: JobStory, lang: str, **more: Any) -> Self:
        """Return a story with what `more` says of it; other fields are called as in the story."""
        failed = story.failure
        said: dict[str, Any] = {
            "notices": [Said.notice(notice, lang) for notice in story.notices],
            "failure": Said.failure(failed.code, failed.values, lang) if failed else None,
        } | more
        plain = cls.model_fields.keys() - said.keys()
        return cls(**{name: getattr(story, name) for name in plain}, **said)
