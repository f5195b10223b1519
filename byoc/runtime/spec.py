"""What is asked of a run, who asks, and what comes of it: what byoc.runtime.container starts with."""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from byoc.runtime.images import Image
from byoc.runtime.process import Process
from byoc.runtime.program import Place


def _refuse(port: int) -> socket.socket:
    raise ConnectionRefusedError(f"port {port} cannot be reached")


def _close(listener: socket.socket) -> None:
    listener.close()


@dataclass(frozen=True)
class Landlord:
    """The AWS that a program may call.

    Attributes:
        port: where it listens, on 127.0.0.1.
        listen: hears of one more listening socket, of a network that the port cannot be reached from: it
            accepts on it too, from then on.
        environment: the AWS_* variables for a program that sees this AWS at the URL given.
        forget: hears of such a socket when its program has ended; it closes it.
    """

    port: int
    listen: Callable[[socket.socket], None]
    environment: Callable[[str], Mapping[str, str]]
    forget: Callable[[socket.socket], None] = _close


@dataclass(frozen=True)
class Confinement:
    """What a run is to do without, for whoever wants to know whether it can.

    Attributes:
        uid: the user and group that it runs as; None: as root in Docker, as who runs byoc elsewhere.
        read_only: whether it can write to /tmp and /dev alone: for `serve`, as `train` has a model to leave.
        shm_bytes: the size of /dev/shm; None: 64 MiB in Docker, the machine's elsewhere.
    """

    uid: int | None = None
    read_only: bool = False
    shm_bytes: int | None = None

    @property
    def is_tight(self) -> bool:
        """Whether it has no HOME of its own."""
        return self.uid is not None or self.read_only


UNCONFINED = Confinement()


@dataclass(frozen=True)
class Spec:
    """One run of a container.

    Attributes:
        name: as messages call it.
        entrypoint, arguments: ContainerEntrypoint and ContainerArguments; see `byoc.runtime.command`.
        environment: of the request, on top of what the container has by itself.
        place: what it has to itself; its opt_ml is laid out already.
        read_only_model: whether /opt/ml/model may not be written to, as for `serve`.
        isolated: EnableNetworkIsolation: no network, no AWS_* variables.
        confinement: what else it is to do without.
        layered: whether what it writes into its folder is to end with it, as with a container: that takes
            root and a kernel that has overlayfs.
    """

    name: str
    image: Image
    verb: Literal["train", "serve"]
    place: Place
    entrypoint: Sequence[str] = ()
    arguments: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    read_only_model: bool = False
    isolated: bool = False
    confinement: Confinement = UNCONFINED
    layered: bool = False


@dataclass(frozen=True)
class Container:
    """A running program; its process ends it, and what belongs to it.

    Attributes:
        dial: returns a connected stream socket to its port 8080, or raises OSError.
        mode: "docker", "private" (its own /opt/ml and /opt/program) or "re-rooted" (SAGEMAKER_BASE_DIR).
        note: what the user should know, or "".
        port: the port of this machine where it is reached, if there is one.
        reach: as `dial`, for any port of its network.
        main: returns the process id that its first process has on this machine; None where that has ended, or
            is not to be seen from here.
        is_direct: returns whether the program itself accepts what is dialled, and not a proxy of the engine.
    """

    process: Process
    dial: Callable[[], socket.socket]
    mode: str
    note: str = ""
    port: int | None = None
    reach: Callable[[int], socket.socket] = _refuse
    main: Callable[[], int | None] = lambda: None
    is_direct: Callable[[], bool] = lambda: True
