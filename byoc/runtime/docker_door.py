"""How a Docker container is reached: at its own address where the engine's network is this machine's."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from byoc.runtime.network import PORT, dial_port
from byoc.runtime.procfs import is_in_container, is_running, network_of, parent_of

# Each network's own: engines from version 29 on know no other place of the address.
_ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
_LOOKS = 20  # the first process is known by its environment, which it has only a moment after its start
_GONE = "the container is not running"


@dataclass(frozen=True)
class _Way:
    """Where port 8080 is reached, and the first process, without which nobody is there; 0: not to be seen."""

    host: str
    port: int
    pid: int = 0


class Door:
    """What connects to one container.

    Its own address is preferred: at a published port it is the engine's proxy that accepts connections,
    before the container does, and even where that listens nowhere.

    Args:
        name: of the container.
        ask: returns what the docker command says; None where it fails.
    """

    def __init__(self, name: str, ask: Callable[..., str | None]) -> None:
        self._name = name
        self._ask = ask
        self._way: _Way | None = None
        self._looks = 0

    def dial(self) -> socket.socket:
        """Return a socket that is connected to port 8080.

        Raises:
            OSError: the container has not started, or has ended, or nobody listens there; at a published port
                that is known by an end of the connection instead.
        """
        way = self._known()
        if way.pid and not is_running(way.pid):
            raise ConnectionRefusedError(_GONE)
        return dial_port(way.port, way.host)()

    def is_direct(self) -> bool:
        """Whether the container itself accepts what is dialled; False too where it does not run."""
        try:
            return bool(self._known().pid)
        except OSError:
            return False

    def reach(self, port: int) -> socket.socket:
        """Return a socket that is connected to any of its ports; on Linux alone, its address is here.

        Raises:
            OSError: as `dial` does.
        """
        said = (self._ask("inspect", "--format", _ADDRESS, self._name) or "").split()
        if not said:
            raise ConnectionRefusedError("the container is not running, or has no address")
        return dial_port(port, said[0])()

    def first_process(self) -> int | None:
        """Return the process id of its first process, where the engine runs on this machine."""
        said = self._ask("inspect", "--format", "{{.State.Pid}} {{.Id}}", self._name)
        pid, _, container = (said or "0 ").partition(" ")
        return int(pid) if is_in_container(int(pid), container) else None

    def _known(self) -> _Way:
        way = self._way
        if way is None or (not way.pid and self._looks < _LOOKS):
            self._looks += 1
            way = self._way = self._direct() or way or self._published()
        return way

    def _direct(self) -> _Way | None:
        """Return its own address, if the engine's process above it, and so its bridge, is in our network."""
        pid = self.first_process()
        above = parent_of(pid) if pid is not None else None
        if pid is None or above is None or network_of(above) != network_of(os.getpid()):
            return None
        said = (self._ask("inspect", "--format", _ADDRESS, self._name) or "").split()
        return _Way(said[0], PORT, pid) if said else None

    def _published(self) -> _Way:
        """Return the port of this machine that the engine has chosen."""
        said = self._ask("port", self._name, f"{PORT}/tcp")
        if not said:
            raise ConnectionRefusedError(_GONE)
        return _Way("127.0.0.1", int(said.split()[0].rpartition(":")[2]))
