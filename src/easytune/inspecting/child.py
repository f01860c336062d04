"""The child that checks files: `python -m easytune.inspecting.child <request.json>`.

Whatever a stranger's files do to whoever reads them, they do to this child, which may take little
memory and time. The request names `upload` (an archive; or empty), `folder`, `base`, `own_code`,
`result` (where the report goes) and `findings` that were made before.
"""

import json
import sys
from pathlib import Path

from easytune import records
from easytune.errors import EasyTuneError
from easytune.inspecting import confinement, unpacking
from easytune.inspecting.check import check
from easytune.inspecting.findings import Findings
from easytune.inspection_files import Finding

_CPU_SECONDS, _MEMORY, _FILE_BYTES = 3600, 6 << 30, 1 << 40


def main() -> int:
    """Do what the request on the command line says; 0 when there is a report."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    confinement.hold(_CPU_SECONDS, _MEMORY, _FILE_BYTES, files=256)
    folder, findings = Path(request["folder"]), Findings()
    for one in request.get("findings", ()):
        known = Finding.model_validate(one)
        findings.add(known.code, known.severity, known.file, **known.values)
    if request.get("upload"):
        unpacking.unpack(Path(request["upload"]), folder, findings)
    base = Path(request["base"]) if request.get("base") else None
    try:
        report = check(folder, base, findings, bool(request.get("own_code")))
    except EasyTuneError as problem:
        records.write(Path(request["result"]), {"code": problem.code(), "values": problem.values})
        return 3
    except (MemoryError, RecursionError):
        return 4
    records.write_text(Path(request["result"]), report.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
