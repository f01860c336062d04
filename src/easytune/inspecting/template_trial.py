"""A chat template is rendered once in a child with little memory and time, before anybody uses it.

The template is a stranger's: two nested loops can run for hours, and a text can be multiplied.
"""

import json
import subprocess
import sys
import tempfile

from easytune.inspecting import confinement
from easytune.inspecting.findings import Findings

_SECONDS = 10
_CPU_SECONDS = 4
_LONGEST = 2_000_000


def check(place: str, text: str, findings: Findings) -> None:
    """Note a template that does not end, takes much memory, fails, or leaves out what is said."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "easytune.inspecting.rendering"],
                input=json.dumps({"template": text}).encode(),
                capture_output=True,
                cwd=scratch,
                env=confinement.environment(),
                timeout=_SECONDS,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            findings.add("template_heavy", "critical", file=place, seconds=_SECONDS)
            return
    said = _said(done.stdout)
    if done.returncode != 0 or said is None:
        findings.add("template_heavy", "critical", file=place, seconds=_CPU_SECONDS)
    elif said.get("failed"):
        findings.add("template_fails", "high", file=place, reason=str(said["failed"]))
    elif said.get("letters", 0) > _LONGEST:
        findings.add("template_heavy", "critical", file=place, seconds=_CPU_SECONDS)
    elif said.get("dropped"):
        findings.add("template_drops", "high", file=place, role=str(said["dropped"]))


def _said(output: bytes) -> dict | None:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
