"""Whether calls are answered as soon as /ping is: many at once, right after the first 200."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from byoc.check.exchange import BrokenCallError
from byoc.check.load import at_once
from byoc.check.number import counted
from byoc.check.question import Sample
from byoc.check.serving import Server

_CALLERS = 16
_BURST_S = 5.0  # that a burst may take of a single process, one call after the other
_QUICK_S = 0.3  # a first call that takes longer may have had something to load, and is asked again
_COLD_S = 20.0  # one that takes even longer is slow, and not only cold
_PAUSE_S = 0.1
# How long calls may go wrong: another worker takes about as long as the one that was ready after `ready_s`.
_LATER_S, _START_TIMES = 15.0, 2.0
_NONE_S = 10.0  # the same where none has been answered yet, and perhaps none ever is
_OFTEN = 0.1  # of the calls, or no worker was loading, but there is an error now and then
_BURSTS, _BURSTS_AFTER = 2, 3  # that have to go well for all to be well, and after some that did not
_SERVER_ERROR = 500


@dataclass(frozen=True)
class FirstCalls:
    """What became of calls right after the first 200.

    Attributes:
        made, bad: how many there were until the last one that was not answered, and how many were not.
        bad_s: when that was, in seconds after the first.
        said: what came instead of the first answer that was missing, "" where none was.
        settled: whether all were answered afterwards.
    """

    made: int = 0
    bad: int = 0
    bad_s: float = 0.0
    said: str = ""
    settled: bool = False

    @property
    def are_early(self) -> bool:
        """Whether /ping was answered 200 before calls could be."""
        return self.settled and self.bad > max(1, _OFTEN * self.made)

    def __str__(self) -> str:
        """What was seen, as a sentence."""
        return (
            f"/ping answered 200, and in the {self.bad_s:.1f} s after that {self.bad} of "
            f"{counted(self.made, 'call')} failed: {self.said}. Later all were answered: something of "
            "it was still loading."
        )


@dataclass
class _Calls:
    """Calls to one server, with what went wrong with each, and when; "" where nothing did."""

    server: Server
    sample: Sample
    began: float = field(default_factory=time.monotonic)
    made: list[tuple[str, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Since the first 200."""
        return time.monotonic() - self.began

    def make(self) -> None:
        """Make one on a connection of its own."""
        wrong = _wrong_with(self.server, self.sample)
        self.made.append((wrong, self.seconds))

    def found(self, clients: int) -> FirstCalls:
        """Return what they come to, of so many at once."""
        bad = [number for number, (wrong, _) in enumerate(self.made, 1) if wrong]
        if not bad:
            return FirstCalls(settled=len(self.made) > _BURSTS * clients)
        well = len(self.made) - bad[-1]
        enough = max(_BURSTS_AFTER * clients, bad[-1] // 2)
        return FirstCalls(
            bad[-1], len(bad), self.made[bad[-1] - 1][1], self.made[bad[0] - 1][0], settled=well >= enough
        )

    def are_hopeless(self, clients: int, patience_s: float) -> bool:
        """Whether they still go wrong when they should not any more."""
        is_some = any(not wrong for wrong, _ in self.made)
        longest_s = _LATER_S + _START_TIMES * self.server.ready_s if is_some else _NONE_S
        still = any(wrong for wrong, _ in self.made[-clients:])
        return still and self.seconds > min(patience_s, longest_s)


def first_calls(
    server: Server, sample: Sample, patience_s: float, progress: Callable[[str], None] = lambda _text: None
) -> FirstCalls:
    """Call a server that has just become ready until all calls are answered, or for as long as may be.

    Where a call takes more than 2.5 s only two are made, one after the other.
    """
    calls = _Calls(server, sample)
    clients = _alone(calls)
    while clients > 1:
        at_once(calls.make, clients)
        found = calls.found(clients)
        if found.settled or server.is_gone() or calls.are_hopeless(clients, patience_s):
            return found
        if found.bad:
            progress(f"not all calls are answered yet: {found.said}")
            time.sleep(_PAUSE_S)
    return calls.found(clients)


def _alone(calls: _Calls) -> int:
    """Make the first calls, each alone; return how many are to be made at once."""
    seconds = _BURST_S
    for _ in range(2):
        began = calls.seconds
        calls.make()
        took = calls.seconds - began
        seconds = min(seconds, took)
        if not _QUICK_S < took < _COLD_S:
            break
    return min(_CALLERS, int(_BURST_S / max(seconds, 0.001)))


def _wrong_with(server: Server, sample: Sample) -> str:
    """Return what came instead of an answer, "" for one; one that comes late is none that is missing."""
    try:
        answer = server.invoke(sample)
    except BrokenCallError as error:
        return "" if isinstance(error.__cause__, TimeoutError) else str(error)
    return f"{answer}" if answer.status >= _SERVER_ERROR else ""
