"""`easytune serve`: answer other programs with a model, here or in the background."""

import argparse
import json
import signal
import sys
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from easytune.api.deployment_bodies import DeploymentOut
from easytune.cli import arguments
from easytune.cli.follow import clock
from easytune.cli.serve_arguments import ACTIONS
from easytune.deployment import DeployConfig
from easytune.deployment_errors import DeploymentUnnamed
from easytune.i18n import t
from easytune.services import deployment_checks
from easytune.services.deployment_evidence import Standing
from easytune.services.deployments import Deployments, DeploymentStory
from easytune.services.evidence import ENDED
from easytune.services.registry import named_models

INTERRUPTED = 130
_PAUSE_S = 0.2


def run(args: argparse.Namespace, lang: str) -> int:
    """Serve a model, or do something with deployments there are.

    Returns 0, 1 when a server could not be kept up, 130 when Ctrl-C ended it.
    """
    deployments = Deployments(args.home, named_models(args.home))
    if args.what == "list":
        return _list(deployments, args, lang)
    if args.what not in ACTIONS:
        usual = DeployConfig().changed(deploy__model=args.what)
        return _serve(deployments, arguments.overlaid(usual, args, lang), args, lang)
    chosen = _named(deployments, args.deployment)
    match args.what:
        case "stop":
            deployments.stop(chosen)
            print(t("cli.stop_asked", lang, run=chosen))
        case "restart":
            _tell_key(deployments.restart(chosen), lang)
            return _follow(deployments, chosen, args.detach, lang)
        case "check":
            return _check(deployments, chosen, lang)
        case "log":
            print("\n".join(deployments.log(chosen, args.lines)))
        case _:
            deployments.delete(chosen)
            print(t("deploy.cli.deleted", lang, deployment=chosen))
    return 0


def _named(deployments: Deployments, name: str | None) -> str:
    """Return the deployment of that name; without one the only one there is, or that serves.

    Raises DeploymentMissing or DeploymentUnnamed.
    """
    if name is not None:
        return deployments.story(name).id
    every = deployments.list()
    serving = [story for story in every if story.standing.is_active]
    for found in (serving, every):
        if len(found) == 1:
            return found[0].id
    raise DeploymentUnnamed(", ".join(story.id for story in every) or "–")


def _check(deployments: Deployments, deployment: str, lang: str) -> int:
    """Check the answers of a deployment, and tell; return 0 when they are the trained model's."""
    deployment_checks.start(deployments, deployment)
    _say("deploy.check.going", lang)
    while (found := deployment_checks.latest(deployments.folder(deployment))) is not None:
        if found.state in ENDED:
            break
        time.sleep(_PAUSE_S)
    if found is None:
        return 1
    print(deployment_checks.sentence(found, lang))
    return 0 if found.parity is not None and found.parity.passed else 1


def _serve(
    deployments: Deployments, config: DeployConfig, args: argparse.Namespace, lang: str
) -> int:
    deployment, key = deployments.create(config)
    _say("deploy.cli.is", lang, deployment=deployment)
    _tell_key(key, lang)
    return _follow(deployments, deployment, args.detach, lang)


def _follow(deployments: Deployments, deployment: str, detach: bool, lang: str) -> int:
    """Tell how it goes until it has ended; with `detach` only until it answers."""
    # Ctrl-C as well: a shell may have had it ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        standing = _watch(deployments, deployment, detach, lang)
    except KeyboardInterrupt:
        deployments.stop(deployment)
        _say("deploy.cli.stopping", lang)
        _watch(deployments, deployment, False, lang)
        return INTERRUPTED
    if standing.state in ("healthy", "stopped"):
        return 0
    if standing.failure is not None:
        code, values = standing.failure
        _say(f"error.{code}", lang, **values)
    _say("cli.log_is", lang, path=deployments.folder(deployment).log)
    return 1


def _watch(deployments: Deployments, deployment: str, detach: bool, lang: str) -> Standing:
    """Say each new state; return the last one."""
    said: tuple[str, int] | None = None
    while True:
        story = deployments.story(deployment)
        standing = story.standing
        if (seen := (standing.state, max(1, standing.starts))) != said:
            said = seen
            _tell(story, lang)
        if not standing.is_active or (detach and standing.state == "healthy"):
            return standing
        time.sleep(_PAUSE_S)


def _tell(story: DeploymentStory, lang: str) -> None:
    state = t(f"deploy.state.{story.standing.state}", lang)
    if story.standing.state != "healthy":
        if story.standing.state == "restarting" and story.standing.failure is not None:
            code, values = story.standing.failure
            _say(f"error.{code}", lang, **values)
        print(state, file=sys.stderr, flush=True)
        return
    print(t("deploy.cli.serving", lang, name=story.order.name, url=story.url), flush=True)


def _tell_key(key: str, lang: str) -> None:
    if key:
        print(t("deploy.cli.key", lang, key=key), flush=True)


def _list(deployments: Deployments, args: argparse.Namespace, lang: str) -> int:
    stories = deployments.list()
    if args.json:
        shown = [DeploymentOut.of(story, lang).model_dump(mode="json") for story in stories]
        print(json.dumps(shown, ensure_ascii=False, indent=2))
        return 0
    if not stories:
        print(t("deploy.cli.none", lang))
        return 0
    table = Table(box=None, header_style="bold")
    for column in ("deployment", "state", "model", "address", "requests", "up"):
        table.add_column(t(f"deploy.column.{column}", lang), overflow="fold")
    for story in stories:
        requests = str(story.metrics.requests) if story.metrics else ""
        table.add_row(
            story.id, t(f"deploy.state.{story.standing.state}", lang), story.order.name, story.url,
            requests, _up(story),
        )  # fmt: skip
    Console().print(table)
    return 0


def _up(story: DeploymentStory) -> str:
    """Return for how long it has been healthy."""
    standing = story.standing
    if standing.state != "healthy" or standing.since is None:
        return ""
    return clock((datetime.now(UTC) - standing.since).total_seconds())


def _say(key: str, lang: str, **values: object) -> None:
    print(t(key, lang, **values), file=sys.stderr, flush=True)
