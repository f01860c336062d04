"""The keys that open a server: read from its folder, again whenever they change."""

import hashlib
import hmac
from datetime import UTC, datetime

from pydantic import ValidationError

from easytune import records
from easytune.deployment_files import DeploymentFolder, KeyHash, Keys


class KeyFile:
    """The hashes in `keys.json`. Whoever may write that file may take keys back at once."""

    def __init__(self, folder: DeploymentFolder) -> None:
        """Look at the keys of a deployment."""
        self._path = folder.keys
        self._mark = ""
        self._keys: tuple[KeyHash, ...] = ()

    def check(self, secret: str) -> KeyHash | None:
        """Return the key a secret belongs to; None when there is none, or no more."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        # Every key is compared, and each in constant time: how long it takes tells nothing.
        matching = [key for key in self._read() if hmac.compare_digest(key.digest, digest)]
        now = datetime.now(UTC)
        return next((k for k in matching if k.expires is None or k.expires > now), None)

    def _read(self) -> tuple[KeyHash, ...]:
        mark = records.mark(self._path)
        if mark != self._mark:
            try:
                self._keys = Keys.model_validate(records.read(self._path) or {}).keys
            except ValidationError:
                self._keys = ()
            self._mark = mark
        return self._keys
