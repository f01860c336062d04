"""Whether a server answers as the trained model does: a job beside it asks both the same."""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from easytune import job, machine, quantities, records
from easytune.deployment_errors import DeploymentNotHealthy, DeploymentUncheckable
from easytune.deployment_files import CheckFolder, CheckOrder, DeploymentFolder, Keys
from easytune.errors import FolderUnwritable
from easytune.export_files import Parity
from easytune.i18n import t
from easytune.inference_errors import MemoryShort
from easytune.services import deployment_commands, evidence, memory
from easytune.services.deployments import Deployments, DeploymentStory, keys_of, make_key
from easytune.services.evidence import State
from easytune.services.launching import begins, start_runner

MODULE = "easytune.engine.server_check"
_LONGEST = 16
_KEY_HOLDS = timedelta(hours=1)
_FORMATS = {"8-bit": "int8", "4-bit": "int4"}


@dataclass(frozen=True)
class CheckStory:
    """The last check of a deployment."""

    state: State
    at: datetime
    parity: Parity | None
    failure: tuple[str, dict[str, Any]] | None


def start(deployments: Deployments, deployment: str) -> None:
    """Begin to check the answers of a deployment; one check at a time goes on.

    Raises DeploymentMissing, DeploymentNotHealthy, DeploymentUncheckable or MemoryShort.
    """
    story, folder = deployments.story(deployment), deployments.folder(deployment)
    if story.standing.state != "healthy":
        raise DeploymentNotHealthy(deployment)
    known = latest(folder)
    if known is not None and known.state in evidence.ACTIVE:
        return
    if story.hints and not deployment_commands.takes_hashes(story.order):
        raise DeploymentUncheckable(deployment, "@deploy.reason.key_unknown")
    _check_memory(story)
    try:
        check = CheckFolder(
            job.create_named(folder.checks, _order(story), "check", datetime.now(UTC))
        )
        if story.hints:
            _hand_key(folder, check)
        worker = [sys.executable, "-m", MODULE, str(check.path.resolve())]
        begins(check, start_runner(check, worker))
    except OSError as error:
        raise FolderUnwritable(str(folder.checks), error.strerror or str(error)) from error


def latest(folder: DeploymentFolder) -> CheckStory | None:
    """Return the last check of a deployment; None before the first."""
    names = sorted(path.name for path in folder.checks.glob("[!.]*"))
    if not names:
        return None
    check = CheckFolder(folder.checks / names[-1])
    gathered = evidence.gather(check)
    verdict = evidence.judge(check, gathered, evidence.last_word(check), started=True)
    failure = verdict.failure
    return CheckStory(
        state=verdict.state,
        at=evidence.modified(check.result) or evidence.modified(check.job) or datetime.now(UTC),
        parity=_parity(check),
        failure=(failure.code, failure.values) if failure else None,
    )


def sentence(check: CheckStory, lang: str) -> str:
    """Return what a check has found, or how it stands, in a language."""
    parity = check.parity
    if check.state in evidence.ACTIVE:
        return t("deploy.check.going", lang)
    if parity is not None and check.state == "finished":
        same = f"{parity.greedy_agreement:.1%}"
        figures = [t("deploy.check.figures", lang, prompts=parity.prompts, same=same)]
        if parity.kl is not None:
            figures.append(t("deploy.check.kl", lang, kl=f"{parity.kl:.1e}"))
        facts = {"when": quantities.minute(check.at), "figures": " · ".join(figures)}
        return t(f"deploy.check.{'passed' if parity.passed else 'missed'}", lang, **facts)
    if check.failure is not None:
        code, values = check.failure
        said = t(f"error.{code}", lang, **values)
        return t("deploy.check.broken", lang, sentence=said)
    return t("deploy.check.ended", lang)


def _order(story: DeploymentStory) -> CheckOrder:
    order = story.order
    longest = order.config.limits.max_new_tokens or _LONGEST
    return CheckOrder(
        new_tokens=min(longest, _LONGEST),
        source=order.source,
        url=story.url,
        name=order.name,
        version=order.config.deploy.engine,
        number_format=_FORMATS.get(order.config.loading.quantization, "bf16"),
        allow_remote_code=order.allow_remote_code,
    )


def _check_memory(story: DeploymentStory) -> None:
    """Make sure that the trained model fits beside the server. Raises MemoryShort."""
    loading = story.order.config.loading
    need = memory.model_gb(Path(story.order.source.base_folder), loading) + memory.MARGIN_GB
    free = machine.free_gb(machine.device(loading.device))
    if free < need:
        raise MemoryShort(story.order.source.title, round(need, 1), round(free, 1))


def _hand_key(folder: DeploymentFolder, check: CheckFolder) -> None:
    """Give a check a key of its own, which opens the server for an hour."""
    secret, key = make_key(expires=datetime.now(UTC) + _KEY_HOLDS)
    lasting = tuple(known for known in keys_of(folder).keys if known.expires is None)
    records.write(folder.keys, Keys(keys=(*lasting, key)).model_dump(mode="json"))
    with open(os.open(check.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)


def _parity(check: CheckFolder) -> Parity | None:
    content = records.read(check.result)
    try:
        return Parity.model_validate(content) if content is not None else None
    except ValidationError:
        return None
