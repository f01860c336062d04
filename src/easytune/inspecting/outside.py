"""Has files checked by the locked-down child of `child`, and reads its report."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from easytune import records
from easytune.inspecting import confinement
from easytune.inspection_files import Finding, StaticReport

_LONGEST_S = 3600.0


def check(
    folder: Path,
    base: Path | None,
    *,
    upload: Path | None = None,
    findings: tuple[Finding, ...] = (),
    own_code: bool = False,
    longest_s: float = _LONGEST_S,
) -> StaticReport:
    """Return what the files in `folder` say; an `upload` is unpacked into it first.

    Whatever happens to the child, there is a report: one that failed refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        result, request = Path(scratch, "report.json"), Path(scratch, "request.json")
        asked: dict[str, Any] = {
            "folder": str(folder),
            "base": str(base) if base else "",
            "upload": str(upload) if upload else "",
            "findings": [one.model_dump(mode="json") for one in findings],
            "own_code": own_code,
            "result": str(result),
        }
        records.write(request, asked)
        reason = _run(request, longest_s)
        try:
            return StaticReport.model_validate_json(result.read_bytes())
        except (OSError, ValidationError):
            code = str((records.read(result) or {}).get("code") or reason)
            failed = Finding(code="check_failed", severity="critical", values={"reason": code})
            return StaticReport(findings=(*findings, failed))


def _run(request: Path, longest_s: float) -> str:
    """Run the child; return why there is no report, should there be none."""
    command = [sys.executable, "-m", "easytune.inspecting.child", str(request)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=request.parent,
            env=confinement.environment(),
            timeout=longest_s,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return "time"
    return f"exit {done.returncode}"
