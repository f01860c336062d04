"""Opens the app: `python webui.py`, the same as `easytune ui`."""

import sys

from easytune.cli import main

if __name__ == "__main__":
    sys.exit(main(["ui", *sys.argv[1:]]))
