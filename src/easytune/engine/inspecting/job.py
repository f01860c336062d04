"""The check of one import beyond its files: convert pickles, load, measure, ask."""

import sys
import traceback
from pathlib import Path

from easytune import records
from easytune.engine.failures import classify
from easytune.engine.inspecting import behaviour, conversion, health
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.errors import EasyTuneError
from easytune.events import Finished, Stopped
from easytune.inspecting import outside
from easytune.inspection_files import (
    MODEL,
    Conversion,
    Finding,
    Inspection,
    InspectionFolder,
    InspectionOrder,
    StaticReport,
)


def inspect(
    order: InspectionOrder, folder: InspectionFolder, report: Reporter, stop: StopSignal
) -> Finished | Stopped:
    """Do what is asked for and return how it ended; the result is there in any case.

    Nothing of the import is loaded while its files are refused. Raises EasyTuneError for a base
    that cannot be loaded.
    """
    folder.out.mkdir(exist_ok=True)
    static = StaticReport.model_validate_json(folder.static.read_bytes())
    work = _Work(order, Path(order.quarantine) / MODEL, static, report, stop)
    found = work.run()
    records.write_text(folder.result, found.model_dump_json())
    if stop.asked():
        return Stopped()
    return Finished()


class _Work:
    """One check; it lasts as long as its job."""

    def __init__(
        self,
        order: InspectionOrder,
        model: Path,
        static: StaticReport,
        report: Reporter,
        stop: StopSignal,
    ) -> None:
        self.order, self.model, self.static = order, model, static
        self.report, self.stop = report, stop
        self.findings: list[Finding] = []
        self.conversions: tuple[Conversion, ...] = ()

    def run(self) -> Inspection:
        """Convert what shall be converted, then load what the files do not refuse."""
        base = self.order.base
        found = Inspection(static=self.static, base=base)
        if self.order.convert_pickle and self.static.can_convert and not self.stop.asked():
            self._convert()
        if self.static.verdict != "refused" and base is not None and not self.stop.asked():
            found = self._load(found)
        return found.model_copy(
            update={
                "static": self.static,
                "findings": tuple(self.findings),
                "conversions": self.conversions,
            }
        )

    def _convert(self) -> None:
        """Replace pickles by safetensors, and look at the files again."""
        self.report.phase("converting")
        done = conversion.convert(self.model, self.static.pickles)
        self.conversions = done
        for one in done:
            if one.ok:
                self.findings.append(Finding(code="converted", severity="note", file=one.file))
            else:
                values = {"reason": one.reason}
                self.findings.append(
                    Finding(
                        code="conversion_failed", severity="critical", file=one.file, values=values
                    )
                )
        if all(one.ok for one in done):
            self.report.phase("checking")
            base = Path(self.order.base.folder) if self.order.base else None
            self.static = outside.check(self.model, base)

    def _load(self, found: Inspection) -> Inspection:
        """Load the base, and with it what has passed so far."""
        self.report.phase("preparing")
        try:
            card = None
            if self.static.kind == "adapter":
                card = health.card(self.order, self.model)
                self.findings += health.findings(card)
            said = behaviour.compare(self.order, self.static, self.model, self.report, self.stop)
            self.findings += behaviour.findings(said)
        except EasyTuneError as problem:
            self._failed(problem)
            return found
        # An edge: a stranger's weights can break torch and transformers in any way.
        except Exception as problem:  # noqa: BLE001
            traceback.print_exception(problem, file=sys.stderr)
            self._failed(classify(problem, None, self.model))
            return found
        return found.model_copy(update={"health": card, "behaviour": said})

    def _failed(self, problem: EasyTuneError) -> None:
        values = {"code": problem.code(), **problem.values, "problem": f"@error.{problem.code()}"}
        self.findings.append(Finding(code="load_failed", severity="critical", values=values))
