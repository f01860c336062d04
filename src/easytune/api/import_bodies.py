"""What calls about imports send and get."""

from typing import Any, Self

from pydantic import BaseModel, Field

from easytune.api.bodies import Body
from easytune.api.job_bodies import JobLine, JobOut
from easytune.inspection_files import Finding
from easytune.services import inspection_sheet
from easytune.services.inspection_story import InspectionStory
from easytune.services.inspections import InspectionSummary


class ImportIn(Body):
    """What shall be checked: a folder or an archive on this machine."""

    path: str = Field(min_length=1, max_length=4096)
    base: str | None = None
    name: str = Field(default="", max_length=200)
    convert_pickle: bool = False


class AcceptIn(Body):
    """Whether warnings are accepted."""

    warnings: bool = False


class FindingOut(BaseModel):
    """One thing that was found."""

    code: str
    severity: str
    file: str
    message: str
    values: dict[str, Any]

    @classmethod
    def of(cls, finding: Finding, lang: str) -> "FindingOut":
        """Return a finding in words."""
        message = inspection_sheet.sentence(finding, lang)
        content = finding.model_dump(include={"code", "severity", "file", "values"})
        return cls(message=message, **content)


class ImportLine(JobLine):
    """One line of the list."""

    source: str

    @classmethod
    def of(cls, one: InspectionSummary) -> "ImportLine":
        """Return a line of the list as calls get it."""
        source = one.order.source
        return cls(id=one.id, name=one.name, state=one.state, created=one.created, source=source)


class ImportsOut(BaseModel):
    """The reply to `GET /api/imports`."""

    imports: list[ImportLine]


class ImportOut(JobOut):
    """How the check of an import stands, and what it has found so far."""

    verdict: str
    decision: str
    imported: str
    can_import: bool
    can_convert: bool
    findings: list[FindingOut]
    unseen: list[str]
    report: dict[str, Any]

    @classmethod
    def of(cls, story: InspectionStory, lang: str) -> Self:
        """Return a check as calls get it."""
        found = story.inspection
        return cls.told(
            story, lang,
            findings=[FindingOut.of(one, lang) for one in found.all_findings],
            unseen=list(inspection_sheet.sheet(story, lang).unseen),
            report=found.model_dump(mode="json", exclude={"findings": True, "base": {"folder"}}),
        )  # fmt: skip
