"""`python -m easytune.cli`, the same as `easytune`."""

import sys

from easytune.cli.main import main

sys.exit(main())
