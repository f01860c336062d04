"""The hubs that models are pushed to: their names, and where their tokens stand.

A token is read from the environment at the moment it is needed. It is never written to a file, a
configuration, an event or a log.
"""

import os
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Hub:
    """One hub."""

    title: str
    token_variable: str
    address_variable: str
    address: str


HUBS = {
    "huggingface": Hub("Hugging Face", "HF_TOKEN", "HF_ENDPOINT", "https://huggingface.co"),
    "modelscope": Hub(
        "ModelScope", "MODELSCOPE_API_TOKEN", "MODELSCOPE_ENDPOINT", "https://modelscope.cn"
    ),
}
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def token(hub: Hub) -> str:
    """Return the token for a hub; "" without one."""
    return os.environ.get(hub.token_variable, "").strip()


def address(hub: Hub) -> str:
    """Return where a hub is reached: the company's own server where the environment names one."""
    return os.environ.get(hub.address_variable, "").strip().rstrip("/") or hub.address


def is_repository(name: str) -> bool:
    """Tell whether a name is `owner/name`, as hubs want it."""
    plain = "--" not in name and ".." not in name
    return plain and _REPOSITORY.fullmatch(name) is not None
