"""What calls about exports send and get."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from easytune.api.bodies import Body
from easytune.api.estimate_bodies import Said
from easytune.export import ExportConfig
from easytune.export_files import Certificate, FileFact, Parity, Source
from easytune.i18n import t
from easytune.services import export_sheet
from easytune.services.export_story import ExportStory
from easytune.services.exports import ExportSummary


class ExportIn(Body):
    """What shall be exported."""

    config: ExportConfig = ExportConfig()


class SourceOut(BaseModel):
    """One of the models."""

    id: str
    title: str
    kind: str
    base: str
    fingerprint: str
    base_fingerprint: str
    run: str | None
    step: int | None
    weight: float

    @classmethod
    def of(cls, source: Source) -> "SourceOut":
        """Return a model as calls get it: without where it lies on this machine."""
        return cls(**source.model_dump(include=set(cls.model_fields)))


class ExportLine(BaseModel):
    """One line of the list."""

    id: str
    name: str
    state: str
    created: datetime
    target: str
    sources: list[SourceOut]

    @classmethod
    def of(cls, summary: ExportSummary) -> "ExportLine":
        """Return a line of the list as calls get it."""
        return cls(
            id=summary.id,
            name=summary.name,
            state=summary.state,
            created=summary.created,
            target=summary.order.config.what.target,
            sources=[SourceOut.of(one) for one in summary.order.sources],
        )


class ExportsOut(BaseModel):
    """The reply to `GET /api/exports`."""

    exports: list[ExportLine]


class ExportOut(BaseModel):
    """How an export stands."""

    id: str
    name: str
    state: str
    phase: str
    done: int
    total: int
    bytes_per_second: float | None
    seconds_left: float | None
    queue_position: int | None
    sources: list[SourceOut]
    config: ExportConfig
    notices: list[Said]
    failure: Said | None
    has_certificate: bool
    is_model: bool
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, story: ExportStory, lang: str) -> "ExportOut":
        """Return the story of an export as calls get it."""
        failed = story.failure
        said = t(f"error.{failed.code}", lang, **failed.values) if failed else ""
        plain = ("id", "name", "state", "phase", "done", "total", "bytes_per_second",
                 "seconds_left", "queue_position", "is_model", "started_at",
                 "ended_at")  # fmt: skip
        return cls(
            **{name: getattr(story, name) for name in plain},
            sources=[SourceOut.of(one) for one in story.order.sources],
            config=story.order.config,
            notices=[Said.notice(notice, lang) for notice in story.notices],
            failure=Said(code=failed.code, message=said) if failed else None,
            has_certificate=story.certificate is not None,
        )


class CertificateOut(BaseModel):
    """What was exported, and how it was proved."""

    id: str
    name: str
    created: datetime
    target: str
    number_format: str
    passed: bool
    sentences: list[str]
    sources: list[SourceOut]
    parity: list[Parity]
    files: list[FileFact]
    versions: dict[str, str]
    options: dict[str, Any]

    @classmethod
    def of(cls, story: ExportStory, certificate: Certificate, lang: str) -> "CertificateOut":
        """Return a certificate as calls get it, with what it says in words."""
        sheet = export_sheet.sheet(story, lang)
        said = [sheet.verdict, *sheet.sentences, *sheet.departures] if sheet else []
        plain = ("name", "created", "target", "number_format", "passed", "parity", "files",
                 "versions", "options")  # fmt: skip
        return cls(
            id=story.id,
            sentences=said,
            sources=[SourceOut.of(one) for one in certificate.sources],
            **{name: getattr(certificate, name) for name in plain},
        )
