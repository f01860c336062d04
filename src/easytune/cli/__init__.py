"""The command line: `easytune <subcommand>`. Nothing heavy is imported before it is needed."""

from easytune.import_hooks import at_once

with at_once():
    from easytune.cli.main import main

__all__ = ["main"]
