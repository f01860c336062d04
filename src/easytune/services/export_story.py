"""The story of an export: a fold over what its job reported and how its process fares."""

from dataclasses import dataclass, field, replace

from easytune.events import Compared, Event, Notice, Phase, Written
from easytune.export_errors import ExportInterrupted
from easytune.export_files import LOADABLE, Certificate, ExportFolder, ExportOrder
from easytune.services import job_following
from easytune.services.job_following import GETTING_READY, Following, JobStory, Outcome


@dataclass(frozen=True, kw_only=True)
class ExportStory(JobStory):
    """What is known of one export."""

    order: ExportOrder
    done: int = 0
    """What of the phase is done; 0 in phases that count nothing."""
    total: int = 0
    counts_bytes: bool = True
    """False while prompts are compared, or strengths measured."""
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    """Until the phase is done, at its pace so far."""
    certificate: Certificate | None = None
    """None until the gate has spoken; also there where it did not pass."""
    folder: ExportFolder

    @property
    def model(self) -> str:
        """Return the name under which chat and servers here load the export; "" where none can."""
        can = self.is_model and self.order.config.what.target in LOADABLE
        return str(self.folder.artefact) if can else ""

    @property
    def is_model(self) -> bool:
        """Tell whether there is an artefact that the gate has passed."""
        return bool(self.certificate and self.certificate.passed and self.folder.artefact.is_dir())


@dataclass
class _Told:
    """What the events so far add up to."""

    phase: str = ""
    done: Written | Compared | None = None
    first: Compared | None = None
    is_started: bool = False
    notices: list[Notice] = field(default_factory=list)

    def add(self, event: Event) -> None:
        match event:
            case Phase(name=name):
                self.phase, self.done, self.first = name, None, None
                self.is_started = self.is_started or name not in GETTING_READY
            case Written():
                self.done = event
            case Compared():
                self.done, self.first = event, self.first or event
            case Notice():
                self.notices.append(event)
            case _:
                return


class ExportFold:
    """Follows one folder: each `tell` reads only what is new since the one before."""

    def __init__(self, folder: ExportFolder, order: ExportOrder) -> None:
        """Begin at the start of the folder's events."""
        self._folder, self._order = folder, order
        self._following, self._told = Following(folder), _Told()
        self._certificate = Outcome(folder.certificate, folder.result, folder.artefact)

    def tell(self, name: str) -> ExportStory:
        """Return the story so far of what is now called `name`."""
        told = self._told
        look = self._following.look(told.add, lambda: told.is_started)
        look = job_following.own_words(look, "export", ExportInterrupted())
        story = ExportStory(
            id=self._folder.id,
            name=name,
            state=look.state,
            order=self._order,
            phase="" if look.has_ended else told.phase,
            notices=(*told.notices, *look.remarks),
            failure=look.failure,
            stop_stage=look.stop_stage,
            certificate=self._certificate.get(),
            folder=self._folder,
            started_at=look.started_at,
            ended_at=look.ended_at,
        )
        return story if look.has_ended or told.done is None else _counted(story, told)


def _counted(story: ExportStory, told: _Told) -> ExportStory:
    last = told.done
    assert last is not None
    rate = last.bytes_per_second if isinstance(last, Written) else _pace(told.first, last)
    return replace(
        story,
        done=last.done,
        total=last.total,
        counts_bytes=isinstance(last, Written),
        bytes_per_second=rate if isinstance(last, Written) else None,
        seconds_left=(last.total - last.done) / rate if rate else None,
    )


def _pace(first: Compared | None, last: Compared) -> float | None:
    """Return what is compared in a second; None before anything is."""
    if first is None or last.done <= first.done:
        return None
    return (last.done - first.done) / max((last.at - first.at).total_seconds(), 1e-3)
