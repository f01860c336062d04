"""What calls about imports send and get."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from easytune.api.bodies import Body
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


class ImportLine(BaseModel):
    """One line of the list."""

    id: str
    name: str
    state: str
    created: datetime
    source: str

    @classmethod
    def of(cls, one: InspectionSummary) -> "ImportLine":
        """Return a line of the list as calls get it."""
        source = one.order.source
        return cls(id=one.id, name=one.name, state=one.state, created=one.created, source=source)


class ImportsOut(BaseModel):
    """The reply to `GET /api/imports`."""

    imports: list[ImportLine]


class ImportOut(BaseModel):
    """How the check of an import stands, and what it has found so far."""

    id: str
    name: str
    state: str
    phase: str
    done: int
    total: int
    queue_position: int | None
    verdict: str
    decision: str
    imported: str
    can_import: bool
    can_convert: bool
    findings: list[FindingOut]
    unseen: list[str]
    report: dict[str, Any]

    @classmethod
    def of(cls, story: InspectionStory, lang: str) -> "ImportOut":
        """Return a check as calls get it."""
        found = story.inspection
        return cls(
            id=story.id,
            name=story.name,
            state=story.state,
            phase=story.phase,
            done=story.done,
            total=story.total,
            queue_position=story.queue_position,
            verdict=story.verdict,
            decision=story.decision,
            imported=story.imported,
            can_import=story.can_import,
            can_convert=story.can_convert,
            findings=[FindingOut.of(one, lang) for one in found.all_findings],
            unseen=list(inspection_sheet.sheet(story, lang).unseen),
            report=found.model_dump(mode="json", exclude={"findings": True, "base": {"folder"}}),
        )
