"""Calls that a container is about to answer, and cannot: the processes that predict are frozen."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.load import Load
from byoc.check.question import Sample
from byoc.check.serving import Server, is_proxy
from byoc.check.signals import frozen
from byoc.check.verdict import CannotTestError
from byoc.runtime.network import PORT
from byoc.runtime.procfs import Running, accepted

_WARM_S = 30.0
_LOOK_S = 0.01
_SETTLE_S = 0.2  # in which whoever still can accepts the calls of all clients
_TRIES = 20
_ANSWERED_S = 1.0  # a call that is answered at all is answered in this time, or in that times the usual
_TIMES = 3
_LATER = (429, 503)


@dataclass(frozen=True)
class Flight:
    """Calls under way.

    Attributes:
        accepted: how many of them the container had accepted when the last was made; the others wait in
            the kernel's queue.
    """

    load: Load
    predictors: tuple[Running, ...]
    accepted: int
    answered_before: int
    broken_before: int

    @property
    def answers(self) -> list[Answer]:
        """Those that have come since."""
        return self.load.answers[self.answered_before :]

    @property
    def losses(self) -> list[str]:
        """Why calls were not answered with 2xx since; one that was told to come again is not lost."""
        broken = [reason for reason, _ in self.load.broken[self.broken_before :]]
        bad = [answer for answer in self.answers if not answer.is_good and answer.status not in _LATER]
        return [*broken, *(f"it was answered {answer}" for answer in bad)]

    @property
    def kept(self) -> int:
        """How many were answered with 2xx since."""
        return sum(answer.is_good for answer in self.answers)


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
    port = server.running.port or PORT
    with calls_without_pause(server, sample, clients, timeout_s) as load:
        for tries_left in reversed(range(_TRIES)):
            with frozen(predictors):
                time.sleep(_SETTLE_S)
                taken = accepted(main, port)
                if taken or not tries_left:
                    load.call_no_more()
                    yield Flight(load, predictors, taken, len(load.answers), len(load.broken))
                    break
            time.sleep(_LOOK_S)


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


def wait_until(truth: Callable[[], bool], within_s: float) -> bool:
    """Whether something becomes true in time."""
    give_up = time.monotonic() + within_s
    while not truth():
        if time.monotonic() > give_up:
            return False
        time.sleep(_LOOK_S)
    return True
