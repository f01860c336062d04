"""Stands in for `easytune.engine.spare`: waits for a job, then behaves as `stand_in` is told.

Run by the real spare runner: `stand_in_spare.py <behaviour> <home>`.
"""

import json
import os
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    line = sys.stdin.buffer.readline()
    if line:
        os.chdir(json.loads(line)["folder"])
        runpy.run_path(str(Path(__file__).with_name("stand_in.py")), run_name="__main__")
