"""A server that works on a batch with the demo model: arguments are the home and the batch."""

import sys
import time
from pathlib import Path

from easytune.services.chat import Chat
from easytune.services.comparisons import Comparisons
from easytune.services.runs import Runs
from easytune.services.store import Store

if __name__ == "__main__":
    home = Path(sys.argv[1])
    comparisons = Comparisons(Store(home), Chat(home, Runs(home)))
    comparisons.resume_batch(sys.argv[2])
    time.sleep(300)
