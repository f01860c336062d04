"""The command line: `easytune <subcommand>`. Nothing heavy is imported before it is needed."""

from easytune.cli.main import main

__all__ = ["main"]
