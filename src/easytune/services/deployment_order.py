"""What a deployment will serve, found out before it starts: what must fail, fails at once."""

import math
from collections.abc import Collection
from pathlib import Path

from easytune import machine, settings
from easytune.deployment import DeployConfig
from easytune.deployment_errors import (
    AddressUnusable,
    KeyNeeded,
    ModelTooLarge,
    PortsTaken,
    PortTaken,
)
from easytune.deployment_files import Deployment
from easytune.services import deployment_commands, finding, memory, ports
from easytune.services.catalogue import Catalogue

FIRST_PORT = 8000
_UNKNOWN = 0


def compose(config: DeployConfig, home: Path, catalogue: Catalogue) -> Deployment:
    """Return what shall be served; its port is 0 until `with_port` has chosen one.

    Raises ModelUnknown, ModelMissing, BaseMissing, AdapterMismatch or ModelTooLarge for the model;
    KeyNeeded, EngineMissing or EngineUnfit for the server.
    """
    engine, server = config.deploy.engine, config.server
    source = finding.found(config.deploy.model, catalogue)
    deployment = Deployment(
        config=config,
        source=source,
        name=deployment_commands.name_for_clients(engine, config.deploy.name, source),
        host=server.host,
        port=_UNKNOWN,
        allow_remote_code=settings.allows_remote_code(home),
    )
    deployment_commands.refuse(deployment)
    if not server.key and not ports.is_loopback(server.host):
        raise KeyNeeded(server.host)
    _check_memory(deployment)
    return deployment


def with_port(deployment: Deployment, claimed: Collection[int]) -> Deployment:
    """Return the deployment with the port that was asked for, or with the next free one.

    Those `claimed` by others are taken, also while nobody listens there yet. Raises PortTaken,
    PortsTaken or AddressUnusable.
    """
    host, wanted = deployment.host, deployment.config.server.port
    if wanted is not None:
        require_free(host, wanted, claimed)
        return deployment.model_copy(update={"port": wanted})
    return deployment.model_copy(update={"port": _next(host, FIRST_PORT, claimed)})


def require_free(host: str, port: int, claimed: Collection[int] = ()) -> None:
    """Make sure that we can listen on a port. Raises PortTaken, PortsTaken, AddressUnusable."""
    if port not in claimed:
        try:
            return ports.probe(host, port)
        except OSError as error:
            if not _is_taken(host, error):
                raise AddressUnusable(host, port, error.strerror or str(error)) from error
    raise PortTaken(host, port, _next(host, port + 1, claimed))


def _is_taken(host: str, error: OSError) -> bool:
    """Tell a port that is taken from an address that this machine does not have."""
    if isinstance(error, PermissionError):
        return False
    try:
        # Any port will do: what fails here has nothing to do with the port.
        ports.probe(host, 0)
    except OSError:
        return False
    return True


def _next(host: str, first: int, claimed: Collection[int]) -> int:
    found = ports.next_free(host, min(first, 65_535), claimed)
    if found is not None:
        return found
    try:
        ports.probe(host, 0)
    except OSError as error:
        raise AddressUnusable(host, first, error.strerror or str(error)) from error
    raise PortsTaken(host, first, min(first + ports.TRIED - 1, 65_535))


def _check_memory(deployment: Deployment) -> None:
    """Refuse what can never fit, however much were unloaded. Raises ModelTooLarge."""
    loading, source = deployment.config.loading, deployment.source
    need = memory.smallest_gb(Path(source.base_folder), loading)
    have = machine.total_gb(machine.device(loading.device)) - memory.MARGIN_GB
    if need > have:
        up, down = math.ceil(need * 10) / 10, math.floor(max(0.0, have) * 10) / 10
        raise ModelTooLarge(source.title, need_gb=up, have_gb=down)
