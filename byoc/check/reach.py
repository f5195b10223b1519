"""Reaches a server that somebody else has started."""

import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from byoc.check.exchange import BrokenCallError
from byoc.check.question import Address
from byoc.check.serving import Server
from byoc.errors import ByocError
from byoc.runtime.network import dial_port

RUNS_ALREADY_S = 10.0  # what somebody else has started is not waited for as if it had just been
_BETWEEN_LOOKS_S = 0.5
_START_IT = (
    "Start what shall serve there, such as with docker run -p 8080:8080 IMAGE serve, or name its image or "
    "its folder: byoc check starts that itself."
)


def server_at(address: Address) -> Server:
    """Return a server that somebody else has started."""
    return Server(dial_port(address.port, address.host), host=urlsplit(address.url).netloc)


def reach(address: Address, patience_s: float, progress: Callable[[str], None]) -> None:
    """Return when somebody accepts connections at an address.

    Raises:
        ByocError: nobody does in time, or its host has no address.
    """
    began = time.monotonic()
    while True:
        try:
            with server_at(address).line():
                return
        except BrokenCallError as error:
            over = time.monotonic() - began > min(patience_s, RUNS_ALREADY_S)
            if over or isinstance(error.__cause__, socket.gaierror):
                raise ByocError(f"{address.url} cannot be checked: {error}. {_START_IT}") from error
            progress(f"still waiting for {address.url}: {error}")
        time.sleep(_BETWEEN_LOOKS_S)
