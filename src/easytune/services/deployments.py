"""The deployments of a home: make, follow, stop, start again, delete. All is read from files.

Each has a folder below `<home>/deployments` and, while it serves, a supervisor that outlives the
app: see `easytune.serving.supervisor`.
"""

import hashlib
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from pydantic import ValidationError

from easytune import job, locks, paths, records
from easytune.deployment import DeployConfig
from easytune.deployment_errors import DeploymentActive, DeploymentMissing
from easytune.deployment_files import Deployment, DeploymentFolder, KeyHash, Keys, Metrics
from easytune.errors import EasyTuneError, FolderUnwritable
from easytune.services import deployment_commands, deployment_order, log, ports, processes
from easytune.services.catalogue import Catalogue
from easytune.services.deployment_evidence import Standing, stand
from easytune.services.launching import LAUNCH_S
from easytune.services.server_orders import Orders

LOCK = "deployments.lock"
_PATIENCE_S = 30.0
_TRASH = ".deleted-"


@dataclass(frozen=True)
class DeploymentStory:
    """A deployment, how it is, and what it has done."""

    id: str
    order: Deployment
    standing: Standing
    metrics: Metrics | None
    """What its server has done since its last start; None where it does not tell."""
    hints: tuple[str, ...]
    """How the keys begin and end that open it; none: it asks for no key."""

    @property
    def url(self) -> str:
        """Return the address that OpenAI's clients are given."""
        return f"{ports.reached_at(self.order.host, self.order.port)}/v1"


class Deployments:
    """All deployments of one home. Any number of processes may have one; threads may share one."""

    def __init__(
        self,
        home: Path,
        catalogue: Catalogue,
        order: Callable[[Deployment, DeploymentFolder], Orders] = deployment_commands.orders,
    ) -> None:
        """Look at the deployments under `home`, which need not exist yet.

        Tests give another `order`, that starts another server than the chosen one.
        """
        self._home, self._catalogue, self._order = home, catalogue, order
        self._supervisors: list[subprocess.Popen[bytes]] = []
        self._recovering: threading.Thread | None = None

    def create(self, config: DeployConfig) -> tuple[str, str]:
        """Begin to serve a model; return the deployment's id, and its key if it asks for one.

        The key cannot be had again. Raises what `deployment_order` raises, and FolderUnwritable.
        """
        order = deployment_order.compose(config, self._home, self._catalogue)
        with self._alone():
            order = deployment_order.with_port(order, self._claimed())
            title = config.deploy.name or order.source.title
            folder = self._write(order, title)
        return folder.id, self._start(folder, order)

    def story(self, deployment: str) -> DeploymentStory:
        """Return what is known of a deployment. Raises DeploymentMissing."""
        story = self._tell(self.folder(deployment))
        if story is None:
            raise DeploymentMissing(deployment)
        return story

    def folder(self, deployment: str) -> DeploymentFolder:
        """Return a deployment's folder. Raises DeploymentMissing."""
        folder = DeploymentFolder(paths.deployments(self._home) / deployment)
        is_plain = Path(deployment).name == deployment and not deployment.startswith(".")
        if not is_plain or not folder.order.is_file():
            raise DeploymentMissing(deployment)
        return folder

    def stop(self, deployment: str) -> None:
        """Ask a deployment to end; one that has ended is left alone. Raises DeploymentMissing."""
        folder = self.folder(deployment)
        if stand(folder).is_active:
            folder.stop.touch()

    def restart(self, deployment: str, patience_s: float = _PATIENCE_S) -> str:
        """Start a deployment again, ended before if it serves; return a new key if it needs one.

        Our own server goes on taking the key it had, and "" is returned. Raises DeploymentMissing,
        DeploymentActive when it does not end in time, PortTaken, EngineMissing.
        """
        folder = self.folder(deployment)
        self.stop(deployment)
        give_up = time.monotonic() + patience_s
        while stand(folder).is_active:
            if time.monotonic() > give_up:
                raise DeploymentActive(deployment)
            time.sleep(0.05)
        return self._start_again(folder)

    def delete(self, deployment: str) -> None:
        """Delete a deployment that has ended. Raises DeploymentMissing or DeploymentActive."""
        folder = self.folder(deployment)
        if stand(folder).is_active:
            raise DeploymentActive(deployment)
        processes.kill_marked(folder.path.resolve())
        doomed = folder.path.with_name(f"{_TRASH}{folder.id}")
        try:
            folder.path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        except OSError as error:
            raise FolderUnwritable(str(folder.path), error.strerror or str(error)) from error

    def log(self, deployment: str, lines: int = 50) -> list[str]:
        """Return the end of a deployment's log, without secrets. Raises DeploymentMissing."""
        return [log.without_secrets(line) for line in log.tail(self.folder(deployment).log, lines)]

    def recover(self) -> None:
        """End what lost deployments left behind; start those again that shall come with the app.

        To be called when the app starts.
        """
        for folder in self._folders():
            if stand(folder).state != "lost":
                continue
            processes.kill_marked(folder.path.resolve())
            order = _read(folder)
            if order is None or not order.config.server.restart_with_app:
                continue
            if deployment_commands.takes_hashes(order) or not order.config.server.key:
                try:
                    self._start_again(folder)
                except EasyTuneError:
                    # It stays lost, and says so; whoever starts it by hand is told why not.
                    continue

    def start(self) -> None:
        """Begin to recover what was cut off, beside everything else."""
        self._recovering = threading.Thread(target=self.recover, name="deployments", daemon=True)
        self._recovering.start()

    # --- starting ---

    def _write(self, order: Deployment, title: str) -> DeploymentFolder:
        parent = paths.deployments(self._home)
        stem = f"{order.created:%Y%m%d-%H%M%S-%f}"[:-3] + f"-{job.slug(title)}"
        text = yaml.safe_dump(order.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        try:
            draft = parent / f".{stem}"
            draft.mkdir(parents=True)
            records.write_text(DeploymentFolder(draft).order, text)
            return DeploymentFolder(job.rename_free(draft, parent / stem))
        except OSError as error:
            raise FolderUnwritable(str(parent), error.strerror or str(error)) from error

    def _start_again(self, folder: DeploymentFolder) -> str:
        order = _read(folder)
        if order is None:
            raise DeploymentMissing(folder.id)
        deployment_commands.refuse(order)
        with self._alone():
            claimed = self._claimed(but=folder)
            deployment_order.require_free(order.host, order.port, claimed)
            return self._start(folder, order)

    def _start(self, folder: DeploymentFolder, order: Deployment) -> str:
        """Start the supervisor, and see that it has taken over. Returns a new key, or ""."""
        try:
            secret = self._new_key(folder) if _needs_new_key(folder, order) else ""
            processes.kill_marked(folder.path.resolve())
            records.write(folder.launch, self._order(order, folder).content())
            folder.stop.unlink(missing_ok=True)
            supervisor = self._launch(folder, secret)
        except OSError as error:
            raise FolderUnwritable(str(folder.path), error.strerror or str(error)) from error
        give_up = time.monotonic() + LAUNCH_S
        while time.monotonic() < give_up and supervisor.poll() is None:
            if _supervised_by(folder, supervisor.pid):
                break
            time.sleep(0.01)
        return secret

    def _launch(self, folder: DeploymentFolder, secret: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "easytune.serving.supervisor", str(folder.path)]
        with folder.log.open("ab") as file:
            supervisor = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=file, stderr=file, **processes.detached()
            )
        assert supervisor.stdin is not None
        # Through its input: arguments and environment can be read by others.
        supervisor.stdin.write(f"{secret}\n".encode())
        supervisor.stdin.close()
        self._supervisors = [s for s in self._supervisors if s.poll() is None] + [supervisor]
        return supervisor

    def _new_key(self, folder: DeploymentFolder) -> str:
        secret, key = make_key()
        records.write(folder.keys, Keys(keys=(key,)).model_dump(mode="json"))
        return secret

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else choose a port meanwhile, in any process."""
        parent = paths.deployments(self._home)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            lock = locks.hold(parent / f".{LOCK}", _PATIENCE_S)
        except OSError as error:
            raise FolderUnwritable(str(parent), error.strerror or str(error)) from error
        if lock is None:
            raise FolderUnwritable(str(parent), "locked")
        with lock:
            yield

    def _claimed(self, but: DeploymentFolder | None = None) -> set[int]:
        """Return the ports of deployments that serve or are about to."""
        others = [folder for folder in self._folders() if folder != but]
        orders = [_read(folder) for folder in others if stand(folder).is_active]
        return {order.port for order in orders if order is not None}

    # --- reading ---

    def _folders(self) -> Sequence[DeploymentFolder]:
        parent = paths.deployments(self._home)
        if not parent.is_dir():
            return []
        names = sorted(path.name for path in parent.iterdir() if not path.name.startswith("."))
        found = [DeploymentFolder(parent / name) for name in names]
        return [folder for folder in found if folder.order.is_file()]

    def _tell(self, folder: DeploymentFolder) -> DeploymentStory | None:
        order = _read(folder)
        if order is None:
            return None
        standing = stand(folder)
        hints = tuple(key.hint for key in keys_of(folder).keys if key.expires is None)
        return DeploymentStory(folder.id, order, standing, _metrics(folder, standing), hints)

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self) -> list[DeploymentStory]:
        """Return all deployments, the newest first."""
        found = [self._tell(folder) for folder in reversed(self._folders())]
        return [story for story in found if story is not None]


def make_key(expires: datetime | None = None) -> tuple[str, KeyHash]:
    """Return a new key, and what is kept of it."""
    secret = f"et-{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return secret, KeyHash(digest=digest, hint=f"et-…{secret[-4:]}", expires=expires)


def keys_of(folder: DeploymentFolder) -> Keys:
    """Return the keys of a deployment; none where the file is missing or damaged."""
    try:
        return Keys.model_validate(records.read(folder.keys) or {})
    except ValidationError:
        return Keys()


def _needs_new_key(folder: DeploymentFolder, order: Deployment) -> bool:
    if not order.config.server.key:
        return False
    return not (keys_of(folder).keys and deployment_commands.takes_hashes(order))


def _supervised_by(folder: DeploymentFolder, pid: int) -> bool:
    runner = (records.read(folder.process) or {}).get("runner") or {}
    return runner.get("pid") == pid


def _read(folder: DeploymentFolder) -> Deployment | None:
    """Return what is served; None when the file is damaged or somebody else's."""
    try:
        return folder.deployment()
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _metrics(folder: DeploymentFolder, standing: Standing) -> Metrics | None:
    """Return what the server has done; nothing goes on where it does not serve."""
    content = records.read(folder.metrics)
    if content is None:
        return None
    try:
        told = Metrics.model_validate(content)
    except ValidationError:
        return None
    if standing.state in ("healthy", "unhealthy", "stopping") and standing.pid is not None:
        return told
    return told.model_copy(update={"active": 0, "tokens_per_second": 0.0, "memory_gb": 0.0})
