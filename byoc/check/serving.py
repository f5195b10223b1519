"""A container that serves, or is about to: its calls, its processes, its log."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from byoc.check.exchange import CALL_S, NAME, Answer, BrokenCallError, Line
from byoc.check.question import Sample
from byoc.check.verdict import CannotTestError
from byoc.check.waiting import HiddenError, NotServingError, Ping, Standstill, Work, work_of
from byoc.runtime.container import Container
from byoc.runtime.network import PORT
from byoc.runtime.procfs import Running, family, listens_at, network_of, ports_of
from byoc.runtime.readiness import PING_TIMEOUT_S
from byoc.runtime.words import SHELLS

_OK = 200
_LOOK_S, _LONGEST_LOOK_S = 0.05, 0.5
_LOOKS = 20  # in the time since the start: who takes long is not asked as often
_LINES = 8
_ASKED = "/ping"  # in its log, by which it says nothing
_NUMBER = re.compile(r"\d+")  # in which lines differ that say the same
_HIDES_S = 3.0
_LOOPBACK = {"127.0.0.1", "::1"}
# What stands in front of a predictor and holds no interpreter lock.
_PROXIES = {"caddy", "envoy", "haproxy", "httpd", "nginx", "traefik"}
_HIDDEN = f"serve listens on 127.0.0.1 alone, port {PORT}: nobody outside its container reaches that"
_TRACKER = "resource_tracker"  # Python's, which only cleans up


@dataclass
class Server:
    """One run of `serve`, or somebody else's server where `container` is None.

    Attributes:
        model: its /opt/ml/model, on this machine.
        pings: until it was ready, one after the other.
        ready_s: seconds from its start to the first 200 on /ping.
        host: what calls name as their Host: some servers answer to no name but their own.
    """

    dial: Callable[[], socket.socket]
    container: Container | None = None
    model: Path | None = None
    pings: list[Ping] = field(default_factory=list)
    ready_s: float = 0.0
    host: str = NAME

    def line(self, timeout_s: float = CALL_S) -> Line:
        """Return a new connection; BrokenCallError where nobody listens."""
        return Line(self.dial, timeout_s, self.host)

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

    def wait_until_ready(
        self, patience_s: float, progress: Callable[[str], None], *, hurries: bool = False
    ) -> None:
        """Return when /ping answers 200; `pings` has every answer until then.

        Args:
            hurries: whether the wait ends as soon as it is clear that no 200 will come (`Standstill`).

        Raises:
            NotServingError: it ended, or did not in time.
        """
        began = time.monotonic()
        is_hidden, standstill = self._hides(), Standstill(self._work)
        while True:
            ping = self._look(time.monotonic() - began)
            self.pings.append(ping)
            if ping.status == _OK:
                self.ready_s = time.monotonic() - began
                return
            self._give_up_if_ended()
            if time.monotonic() - began > patience_s:
                said = f"/ping was not answered with 200 in {patience_s:g} s: {ping.said}"
                raise self._never(f"{said}{self._elsewhere()}")
            if next(is_hidden):
                raise self._never(_HIDDEN, HiddenError)
            first = standstill.began_with(ping) if hurries else None
            if first is not None:
                raise self._never(_unchanged(first, ping))
            where = "" if ping.connected else self._elsewhere()
            progress(f"still waiting for /ping: {ping.brief}, {ping.at_s:.0f} s of {patience_s:.0f} s{where}")
            time.sleep(min(_LONGEST_LOOK_S, max(_LOOK_S, ping.at_s / _LOOKS)))

    def is_gone(self) -> bool:
        """Whether it was started here, and has ended."""
        return self.container is not None and self.container.process.poll() is not None

    def listens_at(self) -> set[str]:
        """Return the addresses on which it listens at port 8080; none where they are not to be seen."""
        main = self.container.main() if self.container else None
        return listens_at(main, PORT) if main is not None else set()

    def is_alive(self) -> bool:
        """Whether it runs, and answers /ping with 200."""
        if self.is_gone():
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
        """Return the processes that answer calls, as far as can be told: those below all others, no proxy.

        Where there are proxies alone, or below a shell, they predict themselves: httpd with Python in it.
        """
        everybody = [one for one in self.processes() if not any(_TRACKER in word for word in one.words)]
        able = [one for one in everybody if not is_proxy(one) and one.name not in SHELLS] or everybody
        parents = {one.parent for one in able}
        return [one for one in able if one.pid not in parents]

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
        """Return ": " and its last lines, to end a sentence with: each once, and none of its pings."""
        written = self.log().splitlines() if self.container else []
        said = [line for line in written if line.strip() and _ASKED not in line]
        lines = list({_NUMBER.sub("", line): line for line in said}.values())[-_LINES:]
        return ":\n" + "\n".join(f"  {line[:300]}" for line in lines) if lines else "."

    def stop(self, grace_s: float | None = None) -> None:
        """End it. Safe to repeat."""
        if self.container is not None:
            self.container.process.stop(grace_s)

    def _give_up_if_ended(self) -> None:
        if self.is_gone():
            status = self.running.process.poll()
            raise self._never(f"serve ended with status {status} before it was ready")

    def _never(self, why: str, kind: type[NotServingError] = NotServingError) -> NotServingError:
        """Return the error that says why it is given up, with all that is known of it now."""
        log = self.log() if self.container else ""
        ended = self.is_gone()
        return kind(f"{why}{self.tail()}", ended=ended, log=log, listened=() if ended else self.listens_at())

    def _elsewhere(self) -> str:
        """Return that it listens at other ports alone, "" where it does not, or where that is not known."""
        if self.container is None or not _has_own_network(self.container):
            return ""
        main = self.container.main()
        ports = sorted(ports_of(main)) if main is not None else []
        if not ports or PORT in ports:
            return ""
        return f"; it listens on port {' and '.join(map(str, ports))}, and not on {PORT}"

    def _work(self) -> Work | None:
        main = self.container.main() if self.container else None
        return work_of(family(main)) if main is not None else None

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


def _unchanged(first: Ping, last: Ping) -> str:
    return (
        f"/ping is answered {first.status} since {first.at_s:.1f} s after the start, and serve does nothing "
        f"meanwhile: it was waited for {last.at_s:.0f} s (--patience 480 waits longer). SageMaker waits 8 "
        f"minutes for a 200, and then fails with `did not pass the ping health check`. {first.said}"
    )


def is_proxy(process: Running) -> bool:
    """Whether it passes calls on, and so holds no interpreter lock."""
    return process.name in _PROXIES
