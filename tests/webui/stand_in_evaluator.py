"""An evaluator that reports like the engine without asking a model.

Called by the real runner as `stand_in_evaluator.py <seconds per answer> <evaluation folder>`.
"""

import sys
import time
from pathlib import Path

from easytune import events
from easytune.evaluation_files import EvaluationFolder, Finding, Result, TestSet
from easytune.events import Answered, Finished, Notice, Phase, Stopped

ROWS = 200


def main() -> int:
    """Report answer by answer, and obey a request to stop."""
    pause, folder = float(sys.argv[1]), EvaluationFolder(Path(sys.argv[2]))
    candidates = len(folder.order().candidates)
    total = ROWS * candidates
    events.append(folder.events, Phase(name="loading_data"))
    events.append(folder.events, Notice(code="stand_in_notice"))
    events.append(folder.events, Phase(name="answering"))
    for done in range(total):
        time.sleep(pause)
        told = Answered(
            done=done + 1, total=total, candidate=done // ROWS, batch_size=8, rows_per_second=4.2
        )
        events.append(folder.events, told)
        if folder.stop.exists():
            _keep(folder)
            events.append(folder.events, Stopped())
            return 0
    _keep(folder)
    events.append(folder.events, Finished())
    return 0


def _keep(folder: EvaluationFolder) -> None:
    folder.out.mkdir(exist_ok=True)
    sets = (TestSet(name="demo/style", title="style", fingerprint="0" * 64, rows=ROWS),)
    findings = (Finding(code="no_reference", values={"set": "style", "rows": ROWS}),)
    folder.result.write_text(Result(sets=sets, findings=findings).model_dump_json())


if __name__ == "__main__":
    sys.exit(main())
