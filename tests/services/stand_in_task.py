"""The real worker of tasks, whose work is only to take its time: `stand_in_task.py <how> <folder>`.

obedient: reports until it is cancelled or its `go` file is there. deaf: starts a child, and neither
reports nor looks up any more. failing: meets an error that nobody foresaw.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from easytune.data import task_work, worker
from easytune.data.progress import Progress
from easytune.data.tasks import Task, TaskFolder


def work(task: Task, folder: TaskFolder, progress: Progress) -> dict[str, Any]:
    if sys.argv[1] == "failing":
        raise RuntimeError("nobody thought of this")
    if sys.argv[1] == "deaf":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder.path / "child").write_text(str(child.pid))
        time.sleep(600)
    done = 0
    while not (folder.path / "go").exists():
        progress("read", done := done + 1, 1000)
        time.sleep(0.02)
    return {"done": done}


if __name__ == "__main__":
    task_work.do = work
    sys.exit(worker.run(TaskFolder(Path(sys.argv[2]))))
