"""A deployment's folder: what is served, who may ask, and what its processes write.

The files that it shares with a job (`job.JobFolder`) are written by its supervisor, which is what
a runner is to a job. One writer per file.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from easytune import job
from easytune.deployment import DeployConfig
from easytune.export import ExportConfig
from easytune.export_files import ExportOrder, Source
from easytune.found_model import FoundModel
from easytune.job import JobFolder, Record, installed_versions


class Deployment(Record):
    """What is served: the content of `deployment.yaml`."""

    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    config: DeployConfig
    source: FoundModel
    """The model, as it was found when the deployment was made."""
    name: str
    """What clients call it."""
    host: str
    port: int
    allow_remote_code: bool = False
    versions: dict[str, str] = Field(default_factory=lambda: installed_versions())


class KeyHash(Record):
    """A key that opens the server, of which only the hash is kept."""

    digest: str
    """SHA-256 of the key, in hex."""
    hint: str
    """How it begins and ends: "et-…abcd"."""
    expires: datetime | None = None
    """From when on it opens nothing any more; None: never."""


class Keys(Record):
    """Who may ask: the content of `keys.json`."""

    keys: tuple[KeyHash, ...] = ()


class Metrics(Record):
    """What a server has done since it started: the content of `metrics.json`."""

    requests: int = 0
    """Requests that were taken on, and have ended or go on."""
    failed: int = 0
    refused: int = 0
    """Requests that were sent away because too many others ran."""
    active: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    """Tokens of answers."""
    tokens_per_second: float = 0.0
    """Over the last ten seconds."""
    memory_gb: float = 0.0
    last_error: str = ""
    """Code of the last error; the sentence is `error.<code>`."""
    last_error_values: dict[str, Any] = Field(default={})
    last_request: datetime | None = None


class CheckOrder(Record):
    """What a check asks a server, and of which model it should have the answers."""

    task: Literal["check-server"] = "check-server"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    source: FoundModel
    url: str
    name: str
    """What the server calls the model."""
    version: str
    """What serves it."""
    number_format: str
    """How its weights are held, as far as limits depend on it: "bf16", "int8", "int4"."""
    allow_remote_code: bool = False
    prompts: int = 32
    new_tokens: int = 16

    def as_export(self) -> ExportOrder:
        """Return an order by which the trained model is loaded."""
        source = Source(**self.source.model_dump(), base_fingerprint="")
        return ExportOrder(
            config=ExportConfig(), sources=(source,), allow_remote_code=self.allow_remote_code
        )


class CheckFolder(JobFolder):
    """The files of a check that a job's folder has not."""

    @property
    def key(self) -> Path:
        """`key`: opens the server for a while; readable by us only, removed when it is read."""
        return self.path / "key"

    @property
    def result(self) -> Path:
        """`out/parity.json`: what was found; written by the job at its end."""
        return self.out / "parity.json"

    def order(self) -> CheckOrder:
        """Return what is asked for. Raises OSError, ValueError or YAMLError."""
        return CheckOrder.model_validate(job.parsed(self.job))

    def take_key(self) -> str:
        """Return the key and remove its file; empty without one."""
        try:
            key = self.key.read_text(encoding="utf-8")
            self.key.unlink()
        except OSError:
            return ""
        return key


class DeploymentFolder(JobFolder):
    """The files of one deployment that a job's folder has not, and who writes each."""

    @property
    def order(self) -> Path:
        """`deployment.yaml`: written once by whoever makes the deployment."""
        return self.path / "deployment.yaml"

    @property
    def launch(self) -> Path:
        """`launch.json`: how the server is started; written by the app with each start."""
        return self.path / "launch.json"

    @property
    def keys(self) -> Path:
        """`keys.json`: hashes of the keys; written by the app, read again when it changes."""
        return self.path / "keys.json"

    @property
    def status(self) -> Path:
        """`status.json`: how the server is; written and touched by the supervisor."""
        return self.path / "status.json"

    @property
    def failure(self) -> Path:
        """`failure.json`: why the server could not go on; written by our own server."""
        return self.path / "failure.json"

    @property
    def metrics(self) -> Path:
        """`metrics.json`: what the server has done; written by our own server."""
        return self.path / "metrics.json"

    @property
    def checks(self) -> Path:
        """`checks/`: one job folder for each check of the answers."""
        return self.path / "checks"

    def deployment(self) -> Deployment:
        """Return what is served. Raises OSError, ValueError or YAMLError for a damaged file."""
        return Deployment.model_validate(job.parsed(self.order))
