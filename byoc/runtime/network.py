"""How a program's port 8080 is reached: on a port of this machine, or in a network of its own."""

import fcntl
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from byoc.errors import ProgramError
from byoc.runtime.images import binds_to_port
from byoc.runtime.spec import Landlord, Spec

PORT = 8080  # AWS, "Custom Inference Code with Hosting Services": how containers serve requests
CONNECT_S = 2.0
LISTENER_S = 10.0

Dial = Callable[[], socket.socket]

_ALONE = f"port {PORT} is its own, and so is its network: it reaches this AWS there, and nothing else"
ISOLATION_IS_MISSING = "its network is not isolated here; it has no AWS_* variables"


def network_of(
    spec: Spec, labels: Mapping[str, str], landlord: Landlord, belongings: ExitStack, can_be_own: bool
) -> "Network":
    """Return a process's network: its own if it must not share this machine's, and can have one.

    Raises:
        ProgramError: it needs port 8080 of this machine, which is taken.
    """
    is_fixed = spec.verb == "serve" and not binds_to_port(labels)
    if not can_be_own or not (spec.isolated or is_fixed):
        return network_of_this_machine(spec, labels, landlord, belongings)
    channel = Channel(belongings) if spec.verb == "serve" else None
    aws, note = _aws(spec, landlord), "" if spec.isolated else _ALONE
    if channel is None:
        return Network(dial_nobody, aws, note=note, own=True)
    return Network(channel.dial, aws, note=note, own=True, channel=channel, reach=channel.dial)


def network_of_this_machine(
    spec: Spec, labels: Mapping[str, str], landlord: Landlord, belongings: ExitStack
) -> "Network":
    """Return the network that a program shares with everything here.

    Raises:
        ProgramError: it needs port 8080, which is taken.
    """
    aws = _aws(spec, landlord)
    note = ISOLATION_IS_MISSING if spec.isolated else ""
    if spec.verb == "train":
        return Network(dial_nobody, aws, note=note)
    if binds_to_port(labels):
        port = free_port()
        told = {"SAGEMAKER_BIND_TO_PORT": str(port), "MODEL_SERVER_HOST": "127.0.0.1"}
        return Network(dial_port(port), aws, told, note, port)
    claim_port(belongings)
    fixed = f"port {PORT} is not private here: one such endpoint at a time, and your network may reach it"
    return Network(dial_port(PORT), aws, note="; ".join(filter(None, (note, fixed))), port=PORT)


def _aws(spec: Spec, landlord: Landlord) -> Mapping[str, str]:
    return {} if spec.isolated else landlord.environment(f"http://127.0.0.1:{landlord.port}")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def dial_port(port: int, host: str = "127.0.0.1") -> Dial:
    """Return what connects to a port of this machine."""

    def dial() -> socket.socket:
        connection = socket.create_connection((host, port), CONNECT_S)
        connection.settimeout(None)
        return connection

    return dial


def dial_nobody() -> socket.socket:
    """Refuse, for a program that serves nothing."""
    raise ConnectionRefusedError("this program serves nothing")


def claim_port(belongings: ExitStack) -> None:
    """Take this machine's port 8080 for one program, until `belongings` are closed.

    Raises:
        ProgramError: another program has it, or its lock is not ours.
    """
    file = _lock_file()
    try:
        lock = os.open(file, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ProgramError(
            f"{file}, the lock of port {PORT}, cannot be opened: {error.strerror}. Remove it, or "
            "name another folder with TMPDIR."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", PORT))
    except OSError as error:
        os.close(lock)
        raise ProgramError(
            f"Port {PORT} is taken, and this program listens nowhere else. End what has it: one such "
            "endpoint runs at a time. As root, with bwrap or with Docker each has a network of its own."
        ) from error
    belongings.callback(os.close, lock)


def _lock_file() -> Path:
    return Path(tempfile.gettempdir()) / f"byoc-{os.getuid()}-port-{PORT}"


class Channel:
    """The unix socket to enter.py in a program's own network, over which it hands sockets of that network."""

    def __init__(self, belongings: ExitStack) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.settimeout(CONNECT_S)
        self._asking = threading.Lock()
        belongings.callback(self._ours.close)
        belongings.callback(self._theirs.close)

    @property
    def descriptor(self) -> int:
        """What the program's side inherits; see `inherited`."""
        return self._theirs.fileno()

    def inherited(self) -> None:
        """Give up our copy of the program's side, so that we hear of its end."""
        self._theirs.close()

    def listener(self) -> socket.socket | None:
        """Return the socket that listens in the program's network; None if the program ended before."""
        self._ours.settimeout(LISTENER_S)
        try:
            return self._receive()
        except OSError:
            return None
        finally:
            self._ours.settimeout(CONNECT_S)

    def dial(self, port: int = PORT) -> socket.socket:
        """Return a socket that is connected to a port in the program's network.

        Raises:
            OSError: nobody listens there, or the program has ended.
        """
        with self._asking:
            self._ours.sendall(b"D")
            connection = self._receive()
        try:
            connection.settimeout(CONNECT_S)
            connection.connect(("127.0.0.1", port))
            connection.settimeout(None)
        except OSError:
            connection.close()
            raise
        return connection

    def _receive(self) -> socket.socket:
        _, descriptors, _, _ = socket.recv_fds(self._ours, 1, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        if not descriptors:
            raise ConnectionRefusedError("the program has ended")
        return socket.socket(fileno=descriptors[0])


@dataclass(frozen=True)
class Network:
    """How a program is reached, and reaches its AWS.

    Attributes:
        aws: the AWS_* variables.
        told: where the program has to listen.
        note: what the user should know, or "".
        port: of this machine, where the program is reached.
        own: whether it has a network of its own.
        channel: to that one.
        reach: connects to any port of the program's network.
        is_direct: whether the program itself accepts what is dialled, not a proxy of the engine.
    """

    dial: Dial
    aws: Mapping[str, str]
    told: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    port: int | None = None
    own: bool = False
    channel: Channel | None = None
    reach: Callable[[int], socket.socket] = lambda port: dial_port(port)()
    is_direct: Callable[[], bool] = lambda: True
