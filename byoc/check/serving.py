"""A container that serves, or is about to: its calls, its processes, its log."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from byoc.check.exchange import CALL_S, Answer, BrokenCallError, Line
from byoc.check.question import Address, Sample
from byoc.check.verdict import CannotTestError
from byoc.runtime.container import Container
from byoc.runtime.network import PORT, dial_port
from byoc.runtime.procfs import Running, family, listens_at, network_of
from byoc.runtime.readiness import PING_TIMEOUT_S

_OK = 200
_LOOK_S = 0.05
_LINES = 8
_HIDES_S = 3.0
_LOOPBACK = {"127.0.0.1", "::1"}
# What stands in front of a predictor and holds no interpreter lock.
_PROXIES = {"caddy", "envoy", "haproxy", "httpd", "nginx", "traefik"}
_TRACKER = "resource_tracker"  # Python's, which only cleans up


class NotServingError(CannotTestError):
    """It ended, or did not answer /ping with 200 in time; the message says which, with its last lines."""


class HiddenError(NotServingError):
    """It listens where nobody outside its container reaches it."""


@dataclass(frozen=True)
class Ping:
    """One GET /ping while it starts.

    Attributes:
        at_s: seconds since the start, when it was sent.
        status: 0 where no whole answer came.
        said: the answer, or why there was none.
        connected: whether somebody listened.
    """

    at_s: float
    status: int
    said: str
    seconds: float
    connected: bool


@dataclass
class Server:
    """One run of `serve`, or somebody else's server where `container` is None.

    Attributes:
        pings: until it was ready, one after the other.
        ready_s: seconds from its start to the first 200 on /ping.
    """

    dial: Callable[[], socket.socket]
    container: Container | None = None
    pings: list[Ping] = field(default_factory=list)
    ready_s: float = 0.0

    def line(self, timeout_s: float = CALL_S) -> Line:
        """Return a new connection; BrokenCallError where nobody listens."""
        return Line(self.dial, timeout_s)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = CALL_S,
    ) -> Answer:
        """Make one call on a connection of its own; BrokenCallError where no whole answer comes."""
        with self.line(timeout_s) as line:
            return line.call(method, path, body, headers)

    def ping(self, timeout_s: float = PING_TIMEOUT_S) -> Answer:
        """GET /ping, with SageMaker's patience."""
        return self.ask("GET", "/ping", timeout_s=timeout_s)

    def invoke(
        self, sample: Sample, headers: Mapping[str, str] | None = None, timeout_s: float = CALL_S
    ) -> Answer:
        """POST /invocations with a sample request, and headers over its own."""
        return self.ask("POST", "/invocations", sample.body, {**sample.headers, **(headers or {})}, timeout_s)

    def wait_until_ready(self, patience_s: float, progress: Callable[[str], None]) -> None:
        """Return when /ping answers 200; `pings` has every answer until then.

        Raises:
            NotServingError: it ended, or did not in time.
        """
        began = time.monotonic()
        is_hidden = self._hides()
        while True:
            ping = self._look(time.monotonic() - began)
            self.pings.append(ping)
            if ping.status == _OK:
                self.ready_s = time.monotonic() - began
                return
            status = self.container.process.poll() if self.container else None
            if status is not None:
                raise NotServingError(f"serve ended with status {status} before it was ready{self.tail()}")
            if time.monotonic() - began > patience_s:
                raise NotServingError(
                    f"/ping was not answered with 200 in {patience_s:g} s: {ping.said}{self.tail()}"
                )
            if next(is_hidden):
                raise HiddenError(
                    f"serve listens on 127.0.0.1 alone, port {PORT}: nobody outside its container reaches "
                    f"that{self.tail()}"
                )
            progress(ping.said)
            time.sleep(_LOOK_S)

    def listens_at(self) -> set[str]:
        """Return the addresses on which it listens at port 8080; none where they are not to be seen."""
        main = self.container.main() if self.container else None
        return listens_at(main, PORT) if main is not None else set()

    def is_alive(self) -> bool:
        """Whether it runs, and answers /ping with 200."""
        if self.container is not None and self.container.process.poll() is not None:
            return False
        with suppress(BrokenCallError):
            return self.ping().status == _OK
        return False

    def processes(self) -> list[Running]:
        """Return its processes, the first one first.

        Raises:
            CannotTestError: they are not to be seen from here.
        """
        main = self.running.main()
        found = family(main) if main is not None else []
        if not found:
            raise CannotTestError(
                "Its processes are not to be seen from here: that takes Linux, and for Docker root."
            )
        return found

    def predictors(self) -> list[Running]:
        """Return the processes that answer calls, as far as can be told: those below all others, no proxy."""
        everybody = [one for one in self.processes() if not any(_TRACKER in word for word in one.words)]
        parents = {one.parent for one in everybody}
        return [one for one in everybody if one.pid not in parents and not is_proxy(one)]

    @property
    def running(self) -> Container:
        """What was started.

        Raises:
            CannotTestError: somebody else has.
        """
        if self.container is None:
            raise CannotTestError(
                "Only a container that this check starts itself can be stopped or looked into."
            )
        return self.container

    def log(self) -> str:
        """Return everything that it has written to stdout and stderr."""
        return self.running.process.command.log.read_text(errors="replace")

    def tail(self) -> str:
        """Return ": " and its last lines, to end a sentence with."""
        lines = [line for line in self.log().splitlines() if line.strip()][-_LINES:] if self.container else []
        return ":\n" + "\n".join(f"  {line[:300]}" for line in lines) if lines else "."

    def stop(self, grace_s: float | None = None) -> None:
        """End it. Safe to repeat."""
        if self.container is not None:
            self.container.process.stop(grace_s)

    def _hides(self) -> Iterator[bool]:
        """Yield whether it has listened for a while where only its own container reaches it."""
        looked, hidden = time.monotonic(), 0
        while True:
            if time.monotonic() - looked > _HIDES_S and self.container and self.container.mode == "docker":
                addresses = self.listens_at() if _has_own_network(self.container) else set()
                hidden = hidden + 1 if addresses and addresses <= _LOOPBACK else 0
                looked = time.monotonic()
            yield hidden > 1

    def _look(self, at_s: float) -> Ping:
        connected, began = False, time.monotonic()
        try:
            with self.line(PING_TIMEOUT_S) as line:
                connected = True
                answer = line.call("GET", "/ping")
        except BrokenCallError as error:
            return Ping(at_s, 0, str(error), time.monotonic() - began, connected)
        return Ping(at_s, answer.status, f"/ping answered {answer}", answer.seconds, connected)


def _has_own_network(container: Container) -> bool:
    """Whether a program is known to have a network of its own."""
    main = container.main()
    network = network_of(main) if main is not None else None
    return network is not None and network != network_of(os.getpid())


def is_proxy(process: Running) -> bool:
    """Whether it passes calls on, and so holds no interpreter lock."""
    return process.name in _PROXIES


def server_at(address: Address) -> Server:
    """Return a server that somebody else has started."""
    return Server(dial_port(address.port, address.host))
