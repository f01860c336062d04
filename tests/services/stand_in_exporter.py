"""Stands in for the exporter: writes a file in pieces, without a model.

Run by the real runner, in the job's folder: `stand_in_exporter.py <seconds per piece> [die at]`.
A model whose title has "departs" in it does not pass its gate. Dying at the piece after the last is
dying when the artefact has its name and nobody has said so.
"""

import os
import signal
import sys
import time
from pathlib import Path

from easytune import events, records
from easytune.events import Compared, Failed, Finished, Phase, Stopped, Written
from easytune.export_errors import ParityFailed
from easytune.export_files import (
    CERTIFICATE,
    Certificate,
    Departure,
    ExportFolder,
    FileFact,
    Limits,
    Parity,
    export_name,
)

FOLDER = ExportFolder(Path.cwd())
PIECES = 20


def _pause(pause_s: float) -> None:
    """Let time pass, unless the job is asked to stop."""
    until = time.monotonic() + pause_s
    while time.monotonic() < until and not FOLDER.stop.exists():
        time.sleep(min(pause_s, 0.05))


def main(pause_s: float, die_at: int) -> None:
    order = FOLDER.order()
    events.append(FOLDER.events, Phase(name="preparing"))
    FOLDER.part.mkdir(parents=True)
    events.append(FOLDER.events, Phase(name="writing"))
    for piece in range(PIECES):
        if FOLDER.stop.exists():
            for file in FOLDER.part.iterdir():
                file.unlink()
            FOLDER.part.rmdir()
            events.append(FOLDER.events, Stopped())
            return
        with (FOLDER.part / "weights.bin").open("ab") as file:
            file.write(b"x" * 1000)
        done, total = (piece + 1) * 1000, PIECES * 1000
        events.append(FOLDER.events, Written(done=done, total=total, bytes_per_second=5000.0))
        _pause(pause_s)
        if piece + 1 == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
    events.append(FOLDER.events, Phase(name="checking"))
    for done in (0, 16, 32):
        events.append(FOLDER.events, Compared(done=done, total=64))
        _pause(10 * pause_s)
    parity = _parity(departs="departs" in order.sources[0].title)
    certificate = Certificate(
        target=order.config.what.target, name=export_name(order), sources=order.sources,
        number_format="fp32", parity=(parity,),
        files=(FileFact(path="weights.bin", bytes=PIECES * 1000, sha256="ab" * 32),),
        versions=order.versions, passed=parity.passed,
    )  # fmt: skip
    records.write_text(FOLDER.part / CERTIFICATE, certificate.model_dump_json())
    if parity.passed:
        FOLDER.part.rename(FOLDER.artefact)
        if die_at > PIECES:
            os.kill(os.getpid(), signal.SIGKILL)
    records.write_text(FOLDER.result, certificate.model_dump_json())
    if parity.passed:
        events.append(FOLDER.events, Finished())
        return
    why, advice = f"@export.parity.{parity.reason}", "@export.advice.damaged"
    problem = ParityFailed(parity.runtime, why, advice)
    events.append(FOLDER.events, Failed(code=problem.code(), values=problem.values))


def _parity(*, departs: bool) -> Parity:
    return Parity(
        runtime="peft", version="1.0", prompts=32, tokens=900,
        greedy_agreement=0.25 if departs else 1.0, top1=0.3 if departs else 1.0,
        kl=2.5 if departs else 1e-7, largest_logit_difference=8.0 if departs else 1e-5,
        perplexity_trained=3.0, perplexity_exported=9.0 if departs else 3.0,
        limits=Limits(kl=1e-4, greedy=0.99, logit=None, perplexity=0.01), passed=not departs,
        reason="kl" if departs else "",
        departure=Departure(
            prompt=3, position=2, text="The <b>cat</b>", expected=" sat", got=" <i>sank</i>",
            difference=8.0,
        ) if departs else None,
    )  # fmt: skip


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
