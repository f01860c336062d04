"""Files sent to ModelScope in one commit, with what the hub has already left out.

`modelscope` is optional, and found only when it is asked for. Its own upload of folders cannot be
stopped in the midst of a file, so its client is used a layer below.
"""

import base64
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from easytune import hubs
from easytune.engine.exporting.hub_files import CountedFile, Done, Sent, broken
from easytune.engine.failures import first_line
from easytune.hub_errors import (
    HubNameTaken,
    HubNotAllowed,
    HubRefused,
    HubTokenMissing,
    HubTokenRefused,
)

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.exporters.hub import Options
    from easytune.hubs import Hub

_MODEL, _MAIN = "model", "master"
_OF_THE_HUB = (".gitattributes", "configuration.json", "README.md")
_ALWAYS_LARGE = (".safetensors", ".bin", ".onnx", ".gguf", ".model")
# Above this the hub wants a file on its own.
_LARGE_BYTES = 64 * 1024


def look(options: "Options", hub: "Hub") -> None:
    """Find out before gigabytes are merged whether they would be taken.

    Raises errors of `hub_errors`.
    """
    api = _api(hub)
    with _meaning(hub, options.repository, sending=False):
        if api.repo_exists(options.repository, _MODEL):
            _refuse_taken(api, options, hub)


def push(session: "Session", options: "Options", hub: "Hub", files: Sequence[Sent]) -> Done:
    """Send files as one commit and return what the hub has then. Raises errors of `hub_errors`."""
    api = _api(hub)
    name, revision = options.repository, options.revision or _MAIN
    with _meaning(hub, name, sending=False):
        private = _open(api, options, hub)
    with _meaning(hub, name, sending=True):
        actions = list(_sent(session, api, name, files))
        message = options.message or "Export by EasyTune"
        done = api.legacy.create_commit(name, _MODEL, actions, message, revision)
        listed = api.list_repo_files(name, _MODEL, revision=revision)
    found = {one.path: one.sha256 or one.blob_id or "" for one in listed}
    commit = str(done.get("oid") or done.get("CommitId") or "") if isinstance(done, dict) else ""
    return Done(f"{hubs.address(hub)}/models/{name}", revision, commit, private, found)


def _api(hub: "Hub") -> Any:
    token = hubs.token(hub)
    if not token:
        raise HubTokenMissing(hub.title, hub.token_variable)
    found: Any = importlib.import_module("modelscope_hub")
    return found.HubApi(token=token, endpoint=hubs.address(hub))


def _open(api: Any, options: "Options", hub: "Hub") -> bool:
    """Make the repository, or find it; return whether it is private."""
    name = options.repository
    if api.repo_exists(name, _MODEL):
        _refuse_taken(api, options, hub)
        return "public" not in str(api.get_repo(name, _MODEL).visibility).lower()
    api.create_repo(name, _MODEL, visibility="private" if options.private else "public")
    return options.private


def _refuse_taken(api: Any, options: "Options", hub: "Hub") -> None:
    name = options.repository
    listed = api.list_repo_files(name, _MODEL)
    others = [one for one in listed if one.type == "blob" and one.path not in _OF_THE_HUB]
    if others and not options.existing:
        raise HubNameTaken(hub.title, name, len(others))


def _sent(
    session: "Session", api: Any, name: str, files: Sequence[Sent]
) -> Iterator[dict[str, Any]]:
    """Send the large ones of the files one after another, and yield what to commit."""
    total, before = sum(one.bytes for one in files), 0
    for one in files:
        session.check_stop()
        is_large = one.bytes > _LARGE_BYTES or one.name.endswith(_ALWAYS_LARGE)
        if is_large:
            _send_large(session, api, name, one, before, total)
        before += one.bytes
        session.bytes_done(before, total)
        yield _action(one, is_large)


def _send_large(
    session: "Session", api: Any, name: str, one: Sent, before: int, total: int
) -> None:
    objects = [{"oid": one.sha256, "size": one.bytes}]
    place = api.legacy.validate_blobs(name, _MODEL, objects).get(one.sha256)
    if place is None:
        # The hub has a file with this hash already.
        return
    with CountedFile(one.path, lambda read: session.bytes_done(before + read, total)) as file:
        file.begin()
        api.legacy.upload_blob(place, file, one.bytes)


def _action(one: Sent, is_large: bool) -> dict[str, Any]:
    content = "" if is_large else base64.b64encode(one.path.read_bytes()).decode()
    return {
        "action": "create",
        "path": one.name,
        "type": "lfs" if is_large else "normal",
        "size": one.bytes,
        "sha256": one.sha256 if is_large else "",
        "content": content,
        "encoding": "" if is_large else "base64",
    }


@contextmanager
def _meaning(hub: "Hub", repository: str, sending: bool) -> Iterator[None]:
    """Say what a failed request means for the user."""
    errors: Any = importlib.import_module("modelscope_hub.errors")
    requests: Any = importlib.import_module("requests")
    try:
        yield
    except errors.AuthenticationError as error:
        raise HubTokenRefused(hub.title, hub.token_variable) from error
    except (errors.PermissionDeniedError, errors.NotExistError) as error:
        raise HubNotAllowed(hub.title, repository, hub.token_variable) from error
    except (errors.NetworkError, errors.ServerError, requests.RequestException) as error:
        raise broken(error, hub, repository, sending) from error
    except errors.HubError as error:
        raise HubRefused(hub.title, repository, first_line(error)) from error
