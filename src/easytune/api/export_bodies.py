"""What calls about exports send and get."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from easytune.api.bodies import Body
from easytune.api.job_bodies import FoundModelOut, JobLine, JobOut
from easytune.export import ExportConfig
from easytune.export_files import Certificate, FileFact, Parity
from easytune.services import export_sheet
from easytune.services.export_story import ExportStory
from easytune.services.exports import ExportSummary


class ExportIn(Body):
    """What shall be exported."""

    config: ExportConfig = ExportConfig()


class SourceOut(FoundModelOut):
    """One of the models."""

    base_fingerprint: str
    weight: float


class ExportLine(JobLine):
    """One line of the list."""

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


class ExportOut(JobOut):
    """How an export stands."""

    counts_bytes: bool
    bytes_per_second: float | None
    seconds_left: float | None
    sources: list[SourceOut]
    config: ExportConfig
    has_certificate: bool
    is_model: bool

    @classmethod
    def of(cls, story: ExportStory, lang: str) -> Self:
        """Return the story of an export as calls get it."""
        return cls.told(
            story, lang,
            sources=[SourceOut.of(one) for one in story.order.sources],
            config=story.order.config,
            has_certificate=story.certificate is not None,
        )  # fmt: skip


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
