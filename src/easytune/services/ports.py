"""Which ports of this machine are free to listen on."""

import ipaddress
import os
import socket
from collections.abc import Collection

TRIED = 100


def next_free(host: str, first: int, but: Collection[int] = ()) -> int | None:
    """Return the first port from `first` on that nobody listens to; None when all are taken.

    Those in `but` count as taken. Looks at `TRIED` ports.
    """
    tried = range(first, min(first + TRIED, 65_536))
    return next((port for port in tried if port not in but and is_free(host, port)), None)


def is_free(host: str, port: int) -> bool:
    """Tell whether we could listen there now."""
    try:
        probe(host, port)
    except OSError:
        return False
    return True


def probe(host: str, port: int) -> None:
    """Listen there for a moment. Raises OSError, which says why that cannot be."""
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        if os.name == "posix":
            # A port whose last connections are still closing is free to us.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind((name, port))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens on `host`."""
    name = host.strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def reached_at(host: str, port: int) -> str:
    """Return the address at which this machine reaches what listens there: `http://…:8000`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
