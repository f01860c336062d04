"""Files sent to Hugging Face in one commit, with what the hub has already left out.

Each large file goes up on its own and becomes visible only with the commit at the end: an upload
that is broken off leaves nothing to be seen, and the next one does not send again what is there.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, errors
from huggingface_hub.hf_api import RepoFile

from easytune import hubs
from easytune.engine.exporting.hub_files import CountedFile, Done, Sent, broken
from easytune.engine.failures import first_line
from easytune.engine.stopping import StopAsked
from easytune.errors import EasyTuneError
from easytune.hub_errors import (
    HubInterrupted,
    HubNameInvalid,
    HubNameTaken,
    HubNotAllowed,
    HubNotReached,
    HubRefused,
    HubTokenMissing,
    HubTokenRefused,
)

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.exporters.hub import Options
    from easytune.hubs import Hub

_OF_THE_HUB = (".gitattributes",)
_MAIN = "main"
_TAKEN, _UNKNOWN, _FORBIDDEN = 409, 401, 403


def push(session: "Session", options: "Options", hub: "Hub", files: Sequence[Sent]) -> Done:
    """Send files as one commit and return what the hub has then. Raises errors of `hub_errors`."""
    api = _api(hub)
    name, revision = options.repository, options.revision or _MAIN
    with _meaning(hub, name, sending=False):
        private = _open(api, options, hub)
        if revision != _MAIN:
            api.create_branch(name, branch=revision, exist_ok=True)
    with _meaning(hub, name, sending=True), ExitStack() as stack:
        operations = list(_sent(session, api, name, revision, files, stack))
        message = options.message or "Export by EasyTune"
        done = api.create_commit(name, operations, commit_message=message, revision=revision)
    with _meaning(hub, name, sending=True):
        found = {
            one.path: one.lfs.sha256 if one.lfs else one.blob_id
            for one in api.get_paths_info(name, [one.name for one in files], revision=done.oid)
            if isinstance(one, RepoFile)
        }
    url = f"{hubs.address(hub)}/{name}"
    return Done(url, revision, done.oid, private, found)


def look(options: "Options", hub: "Hub") -> None:
    """Find out before gigabytes are merged whether they would be taken.

    Raises errors of `hub_errors`.
    """
    api = _api(hub)
    with _meaning(hub, options.repository, sending=False):
        api.whoami()
        try:
            _refuse_taken(api, options, hub)
        except errors.RepositoryNotFoundError:
            return


def _api(hub: "Hub") -> HfApi:
    token = hubs.token(hub)
    if not token:
        raise HubTokenMissing(hub.title, hub.token_variable)
    return HfApi(endpoint=hubs.address(hub), token=token)


def _open(api: HfApi, options: "Options", hub: "Hub") -> bool:
    """Make the repository, or find it; return whether it is private.

    Raises HubNameTaken when it holds files that nobody asked to add to.
    """
    name = options.repository
    try:
        api.create_repo(name, private=options.private)
    except errors.HfHubHTTPError as error:
        if error.response.status_code != _TAKEN:
            raise
    else:
        return options.private
    _refuse_taken(api, options, hub)
    return bool(api.repo_info(name).private)


def _refuse_taken(api: HfApi, options: "Options", hub: "Hub") -> None:
    name = options.repository
    others = [one for one in api.list_repo_files(name) if one not in _OF_THE_HUB]
    if others and not options.existing:
        raise HubNameTaken(hub.title, name, len(others))


def _sent(
    session: "Session", api: HfApi, name: str, revision: str, files: Sequence[Sent],
    stack: ExitStack,
) -> Iterator[CommitOperationAdd]:  # fmt: skip
    """Send the large ones of the files one after another, and yield what to commit."""
    total, before = sum(one.bytes for one in files), 0
    for one in files:
        session.check_stop()

        def watch(read: int, before: int = before) -> None:
            session.bytes_done(before + read, total)

        file = stack.enter_context(CountedFile(one.path, watch))
        operation = CommitOperationAdd(one.name, file)
        file.begin()
        api.preupload_lfs_files(name, [operation], revision=revision, free_memory=False)
        before += one.bytes
        session.bytes_done(before, total)
        yield operation


@contextmanager
def _meaning(hub: "Hub", repository: str, sending: bool) -> Iterator[None]:
    """Say what a failed request means for the user."""
    try:
        yield
    except (errors.HfHubHTTPError, errors.HFValidationError, errors.OfflineModeIsEnabled) as error:
        raise _told(error, hub, repository) from error
    except (httpx2.HTTPError, RuntimeError, ValueError) as error:
        # The library wraps whatever ends the reading of a file.
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        if isinstance(cause, StopAsked | EasyTuneError):
            raise cause from None
        if isinstance(cause, errors.HfHubHTTPError):
            raise _told(cause, hub, repository) from error
        if isinstance(cause, httpx2.HTTPError):
            raise broken(cause, hub, repository, sending) from error
        raise HubRefused(hub.title, repository, first_line(cause)) from error


def _told(error: Exception, hub: "Hub", repository: str) -> EasyTuneError:
    """Return what an answer of the hub means."""
    if isinstance(error, errors.HFValidationError):
        return HubNameInvalid(hub.title, repository)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubNotReached(hub.title, hubs.address(hub), first_line(error))
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
    if status == _UNKNOWN:
        return HubTokenRefused(hub.title, hub.token_variable)
    if status == _FORBIDDEN or isinstance(error, errors.RepositoryNotFoundError):
        return HubNotAllowed(hub.title, repository, hub.token_variable)
    if status >= 500:
        return HubInterrupted(hub.title, repository, f"HTTP {status}")
    return HubRefused(hub.title, repository, first_line(error))
