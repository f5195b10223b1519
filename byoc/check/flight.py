"""Calls that a container is about to answer, and cannot: the processes that predict are frozen."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from byoc.check.exchange import BrokenCallError
from byoc.check.load import Load
from byoc.check.question import Sample
from byoc.check.serving import Server, is_proxy
from byoc.check.signals import frozen, send
from byoc.check.verdict import CannotTestError
from byoc.runtime.network import PORT
from byoc.runtime.procfs import Running, accepted, family, is_busy, is_pending, listens_at

_WARM_S = 30.0
_LOOK_S = 0.01
_SETTLE_S = 0.2  # in which whoever still can accepts the calls of all clients
_BUSY_S = 15.0  # in which a program comes to rest, however busy the machine is
_REST_LOOKS, _REST_LOOK_S = 3, 0.02
# In which a program does something about SIGTERM: one that looks for it now and then does so each second or
# more often, and one that accepts no more has begun.
_HEARD_S, _BEGUN_S = 1.2, 0.3
_TRIES_S = 20.0
_ANSWERED_S = 1.0  # a call that is answered at all is answered in this time, or in that times the usual
_TIMES = 3
_REFUSALS = (429, 503)


@dataclass(frozen=True)
class Flight:
    """Calls under way.

    Attributes:
        accepted: how many of them the container had accepted when the last was made; the others wait in
            the kernel's queue. 0 too where that did not come to rest.
        answered_before: how many answers had come when what is looked at began; those with 2xx among them
            are no calls under way.
        counted_before: the same for other answers, which a signal may have caused before it is acted on.
        may_refuse: whether a call may have been refused as it came, and so was never under way.
    """

    load: Load
    predictors: tuple[Running, ...]
    accepted: int
    answered_before: int
    counted_before: int
    broken_before: int
    may_refuse: bool = False

    @property
    def losses(self) -> list[str]:
        """Why calls were not answered with 2xx since: nobody makes them again, whatever the status."""
        broken = [reason for reason, _ in self.load.broken[self.broken_before :]]
        bad = [answer for answer in self.load.answers[self.counted_before :] if not answer.is_good]
        refused = _REFUSALS if self.may_refuse else ()
        return [*broken, *(f"it was answered {answer}" for answer in bad if answer.status not in refused)]

    @property
    def kept(self) -> int:
        """How many were answered with 2xx since."""
        return sum(answer.is_good for answer in self.load.answers[self.answered_before :])


def flight_of(load: Load, predictors: tuple[Running, ...] = (), taken: int = 0) -> Flight:
    """Return the calls of a load that are under way now."""
    came = len(load.answers)
    return Flight(load, predictors, taken, came, came, len(load.broken))


def predictors_of(server: Server, sample: Sample | None) -> list[Running]:
    """Return the processes without which no call is answered; without a sample, those that look like it.

    Raises:
        CannotTestError: its processes are not to be seen.
    """
    likely = server.predictors()
    if sample is None or not likely:
        return likely or server.processes()
    usual = server.invoke(sample).seconds
    with frozen(likely):
        try:
            server.invoke(sample, timeout_s=max(_ANSWERED_S, _TIMES * usual))
        except BrokenCallError:
            return likely
    return [one for one in server.processes() if not is_proxy(one)]


@contextmanager
def calls_in_flight(server: Server, sample: Sample, clients: int, timeout_s: float) -> Iterator[Flight]:
    """Give one call of each client, none answered; after the block they have all ended, well or not.

    Raises:
        CannotTestError: its processes are not to be seen, or it does not answer the sample.
    """
    main, predictors = server.processes()[0].pid, tuple(predictors_of(server, sample))
    with calls_without_pause(server, sample, clients, timeout_s) as load:
        give_up = time.monotonic() + _TRIES_S
        while True:
            with frozen(predictors):
                taken = _taken(main, server.running.port or PORT, load)
                if taken or time.monotonic() > give_up:
                    load.call_no_more()
                    yield replace(flight_of(load, predictors, taken), may_refuse=not taken)
                    break
            time.sleep(_LOOK_S)


def terminated(server: Server, main: Running, flight: Flight) -> Flight:
    """Send a container's first process SIGTERM; return the calls that are under way when it has acted on it.

    That is seen, and not only waited for: on a busy machine it may be late, and calls that are answered
    before it are none that a SIGTERM meets; those that it answers otherwise than with 2xx from its SIGTERM on
    are lost by that. Where it is frozen itself it finds the signal when it goes on.

    Raises:
        CannotTestError: it is not seen.
    """
    found = flight_of(flight.load, flight.predictors, flight.accepted)
    send([main], signal.SIGTERM)
    is_frozen = any(one.pid == main.pid for one in flight.predictors)
    if not is_frozen and not _has_acted(main.pid, server.running.port or PORT):
        raise CannotTestError(
            f"What it does about SIGTERM was not over {_BUSY_S:g} s later. Test it where less else is done."
        )
    return replace(found, answered_before=len(flight.load.answers))


@contextmanager
def calls_without_pause(server: Server, sample: Sample, clients: int, timeout_s: float) -> Iterator[Load]:
    """Give calls by several clients, each of which has been answered before.

    Raises:
        CannotTestError: it does not answer the sample.
    """
    process = server.running.process
    with Load(lambda: server.invoke(sample, timeout_s=timeout_s), clients) as load:
        wait_until(lambda: len(load.answers) >= clients or process.poll() is not None, _WARM_S)
        if process.poll() is not None:
            raise CannotTestError(f"It ended when processes of it were frozen{server.tail()}")
        if not load.answers or not load.answers[-1].is_good:
            raise CannotTestError("It does not answer the request with 2xx.")
        yield load


def _taken(main: int, port: int, load: Load) -> int:
    """Return how many calls a container has accepted, once nothing about that changes any more; else 0."""

    def found() -> tuple[int, int, int]:
        return accepted(main, port), len(load.answers), len(load.broken)

    seen, began = found(), time.monotonic()

    def settled() -> bool:
        nonlocal seen
        before, seen = seen, found()
        return seen == before and time.monotonic() - began >= _SETTLE_S

    return seen[0] if _comes_to_rest(main, settled) else 0


def _has_acted(main: int, port: int) -> bool:
    """Whether a container's first process has got its SIGTERM, and all that it does at once is done."""
    began = time.monotonic()

    def acted() -> bool:
        seconds = time.monotonic() - began
        is_enough = seconds >= _HEARD_S or (seconds >= _BEGUN_S and not listens_at(main, port))
        return is_enough and not is_pending(main, signal.SIGTERM)

    return _comes_to_rest(main, acted)


def _comes_to_rest(main: int, is_so: Callable[[], bool]) -> bool:
    """Wait until no process does anything, several times since something is true, or the first has ended.

    One that has something to do, and no processor to do it on, is busy; a frozen one is not.
    """
    give_up, looks = time.monotonic() + _BUSY_S, 0
    while everybody := family(main):
        if not is_so():
            looks = 0
        elif not any(is_busy(one.pid) for one in everybody):
            looks += 1
        if looks == _REST_LOOKS:
            return True
        if time.monotonic() > give_up:
            return False
        time.sleep(_REST_LOOK_S)
    return True


def wait_until(truth: Callable[[], bool], within_s: float) -> bool:
    """Whether something becomes true in time."""
    give_up = time.monotonic() + within_s
    while not truth():
        if time.monotonic() > give_up:
            return False
        time.sleep(_LOOK_S)
    return True
