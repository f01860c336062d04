"""`easytune ui`: open the app."""

import argparse

from easytune.import_hooks import at_once

with at_once():
    from easytune.webui import launch


def run(args: argparse.Namespace, lang: str) -> int:
    """Serve the app until it is interrupted."""
    return launch.run(
        host=args.host, port=args.port, share=args.share, home=args.home, lang=args.lang,
        browser=args.browser, console=lang,
    )  # fmt: skip
