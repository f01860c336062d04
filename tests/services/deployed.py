"""A home whose deployments are served by stand-ins, under the real supervisor."""

import sys
from pathlib import Path
from typing import Any

from easytune.deployment import DeployConfig
from easytune.deployment_files import Deployment, DeploymentFolder
from easytune.services.catalogue import Catalogue
from easytune.services.deployments import Deployments, DeploymentStory
from easytune.services.runs import Runs
from easytune.services.server_orders import Orders
from tests.patience import eventually

SERVER = Path(__file__).with_name("stand_in_server.py")


class Stage:
    """A home whose deployments start a stand-in."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.behaviour = "well"
        self.wishes: dict[str, Any] = {}
        self.deployments = self.reopened()

    def reopened(self) -> Deployments:
        """Return the deployments as an app sees them that has just started."""
        return Deployments(self.home, Catalogue(self.home, Runs(self.home)), self._order)

    def _order(self, order: Deployment, _: DeploymentFolder) -> Orders:
        command = (sys.executable, "-S", str(SERVER), str(order.port), self.behaviour)
        health = f"http://127.0.0.1:{order.port}/health"
        quick: dict[str, Any] = {"every_s": 0.05, "backoff_s": 0.05, "grace_s": 0.5}
        return Orders(
            command, health, proof="instance", secret_variable="SECRET",
            restarts=order.config.limits.restarts, **(quick | self.wishes),
        )  # fmt: skip

    def begin(self, behaviour: str = "well", **options: Any) -> str:
        """Make a deployment; return its id."""
        self.behaviour = behaviour
        return self.deployments.create(DeployConfig().changed(**options))[0]

    def until(self, deployment: str, *states: str) -> DeploymentStory:
        """Return the story of a deployment once it is in one of the states."""
        seen = self.deployments.story
        eventually(
            lambda: seen(deployment).standing.state in states,
            lambda: f"{seen(deployment).standing} {self.deployments.log(deployment)}",
        )
        return seen(deployment)
