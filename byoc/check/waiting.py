"""Why the first 200 on /ping does not come, and when it is clear that it never will."""

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from byoc.check.verdict import CannotTestError
from byoc.runtime.procfs import Running

IDLE_S = 25.0  # of one wrong answer, for a program that is seen to do nothing
_UNSEEN_S = 60.0  # the same where it cannot be seen what a program does
_BETWEEN_LOOKS_S = 5.0
_BUSY = 0.1  # of one processor; to answer /ping takes less
_BUSY_BYTES_PER_S = 1e6
_LOADING = (0, 200, 503)  # no answer at all, such as of a server that does not listen yet; and "not yet"
_SERVER_ERROR = 500
_MOVES = ("rchar", "wchar", "read_bytes")  # by read(2), by write(2), and by touching a mapped file
_HEAD_LINES = 2  # of /proc/PID/net/dev
# What a program writes that would have started with a writable model, or with a larger /dev/shm.
_DENIED = re.compile(
    r"read-only file system|EROFS|errno 30\b|permission denied|EACCES|no space left|ENOSPC|bus error|SIGBUS"
    r"|shared memory",
    re.IGNORECASE,
)


class NotServingError(CannotTestError):
    """It ended, or did not answer /ping with 200 in time; the message says which, with its last lines.

    Attributes:
        ended: whether it ended by itself.
        log: what it had written.
        listened: the addresses on which it listened at port 8080 when that was given up.
    """

    def __init__(
        self, message: str, *, ended: bool = False, log: str = "", listened: Collection[str] = ()
    ) -> None:
        super().__init__(message)
        self.ended = ended
        self.log = log
        self.listened = frozenset(listened)

    @property
    def lacks_something(self) -> bool:
        """Whether it may start where it is given more than SageMaker gives: it ended, or wrote so."""
        return self.ended or _DENIED.search(self.log) is not None


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

    @property
    def brief(self) -> str:
        """The status, or why there is none."""
        return str(self.status) if self.status else self.said

    def is_as(self, other: "Ping") -> bool:
        """Whether it was answered alike; an error of the server's own may tell of progress in its words."""
        return self.status == other.status and (self.status < _SERVER_ERROR or self.said == other.said)


@dataclass(frozen=True)
class Work:
    """What the processes of a program have done so far.

    Attributes:
        moved_bytes: read and written, and received by the network in which they are.
    """

    pids: frozenset[int]
    cpu_s: float
    moved_bytes: int

    def is_much_since(self, before: "Work", seconds: float) -> bool:
        """Whether it did more in these seconds than answer /ping: computed, moved bytes, began a process."""
        return (
            self.pids != before.pids
            or self.cpu_s - before.cpu_s > _BUSY * seconds
            or self.moved_bytes - before.moved_bytes > _BUSY_BYTES_PER_S * seconds
        )


@dataclass
class Standstill:
    """Finds out that a server answers /ping the same wrong thing all the time, and does nothing meanwhile.

    One that loads is told from it: it answers 503, or nothing, or something new, or it does something.

    Args:
        work: what its processes have done so far, None where that cannot be seen.
    """

    work: Callable[[], Work | None]
    _first: Ping | None = None
    _idle_from_s: float = 0.0
    _looked_s: float = 0.0
    _done: Work | None = None

    def began_with(self, ping: Ping) -> Ping | None:
        """Take one more ping; return the first of those that were answered alike, if these are enough."""
        if ping.status in _LOADING:
            self._first = None
            return None
        if self._first is None or not ping.is_as(self._first):
            self._first = ping
            self._begin(ping.at_s)
        elif ping.at_s - self._looked_s > _BETWEEN_LOOKS_S:
            self._look(ping.at_s)
        enough_s = _UNSEEN_S if self._done is None else IDLE_S
        return self._first if ping.at_s - self._idle_from_s >= enough_s else None

    def _begin(self, at_s: float) -> None:
        self._idle_from_s = self._looked_s = at_s
        self._done = self.work()

    def _look(self, at_s: float) -> None:
        before, after = self._done, self.work()
        if before and after and after.is_much_since(before, at_s - self._looked_s):
            self._idle_from_s = at_s
        self._looked_s, self._done = at_s, after


def work_of(processes: Iterable[Running]) -> Work | None:
    """Return what processes have done so far, None where there are none to be seen."""
    everybody = list(processes)
    if not everybody:
        return None
    return Work(
        frozenset(one.pid for one in everybody),
        sum(one.cpu_s for one in everybody),
        sum(_moved_bytes(one.pid) for one in everybody) + _received_bytes(everybody[0].pid),
    )


def _moved_bytes(pid: int) -> int:
    with suppress(OSError):  # it has ended, or is another user's
        fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return sum(int(fields[name]) for name in _MOVES)
    return 0


def _received_bytes(pid: int) -> int:
    """Return what has come into a process's network: what recv(2) gives a process counts as read nowhere."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[_HEAD_LINES:]
        return sum(int(line.partition(":")[2].split()[0]) for line in lines)
    return 0
