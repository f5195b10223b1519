"""What each worker is doing, in files that the workers map and the supervisor reads: a score costs no call.

A slot is one file per worker process, named by its pid. The worker alone writes it; the supervisor reads
it when somebody asks for /ping, gunicorn's master when the worker has ended. So a worker that is stuck,
killed or holds the interpreter lock is seen all the same.
"""

import mmap
import os
import signal
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Since when it is loading or ready, since when it has been at work without a pause (0: it is not), both in
# monotonic seconds; on how many requests; how many are in flight without a place; its number; whether ready.
_STATE = struct.Struct("<ddIIH?5x")
_SINCE = struct.Struct("<d")
_WORK = struct.Struct("<dI")
_COUNT = struct.Struct("<I")
_WORK_AT, _TOGETHER_AT, _PLACELESS_AT = 8, 16, 20  # in the state
# Since when in flight (0: the place is free; < 0: passed by), its ids, whether its answer has begun.
_REQUEST = struct.Struct("<d64s64s?7x")
_ANSWERED_AT = 136
_PLACES = 512
_MOST_WORKERS = 1024
_SIZE = _STATE.size + _PLACES * _REQUEST.size


@dataclass(frozen=True)
class InFlight:
    """A request that a worker has not answered yet."""

    request_id: str
    inference_id: str | None
    since_s: float
    is_answered: bool = False  # in part: the rest is being sent

    @property
    def ids(self) -> dict[str, str | None]:
        """Both ids, by the names that they have in every line of the log."""
        return {"request_id": self.request_id, "inference_id": self.inference_id}


@dataclass(frozen=True)
class Score:
    """What one worker is doing; times are of the monotonic clock, in seconds."""

    pid: int
    ready: bool
    since_s: float
    works_since_s: float | None = None
    in_flight: Sequence[InFlight] = ()  # in the order of their coming, last those that others pass by
    number: int = 0
    works_on: int = 0  # how many of them
    placeless: int = 0  # in flight beside them, and not known by their ids

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn, and not for the rest of a stream."""
        unseen = max(0, self.placeless - max(0, self.works_on - len(self.in_flight)))
        return unseen + sum(not request.is_answered for request in self.in_flight[self.works_on :])


class Slot:
    """One worker's own score, written by that worker only."""

    def __init__(
        self, path: Path, at_work: mmap.mmap, number: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Create the slot, or raise OSError where its folder is gone or full."""
        self._at_work = at_work
        self._number = min(number, len(at_work) - 1)
        self._placeless = 0
        self._clock = clock
        path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
        self._free = list(range(_PLACES - 1, -1, -1))
        _STATE.pack_into(self._map, 0, clock(), 0.0, 0, 0, number, False)

    def ready(self) -> None:
        """Say that the model is loaded and requests are taken."""
        _STATE.pack_into(self._map, 0, self._clock(), 0.0, 0, self._placeless, self._number, True)

    def work(self) -> None:
        """Note that work on a request begins now."""
        self._at_work[self._number] = 1
        _WORK.pack_into(self._map, _WORK_AT, self._clock(), 1)

    def work_on(self, many: int) -> None:
        """Note on how many requests it is."""
        _COUNT.pack_into(self._map, _TOGETHER_AT, many)

    def rest(self) -> None:
        """Note that this work has ended."""
        _WORK.pack_into(self._map, _WORK_AT, 0.0, 0)
        self._at_work[self._number] = 0

    def begin(self, request_id: str, inference_id: str | None = None) -> int:
        """Note a request and return its place, for end(); -1 where no place is left for it."""
        if not self._free:
            self._count_placeless(1)
            return -1
        place = self._free.pop()
        inference = inference_id.encode() if inference_id else b""
        at = _STATE.size + place * _REQUEST.size
        # It cuts the ids off where they are too long.
        _REQUEST.pack_into(self._map, at, self._clock(), request_id.encode(), inference, False)
        return place

    def end(self, place: int) -> None:
        """Note that the request at this place is answered."""
        if place >= 0:
            _SINCE.pack_into(self._map, _STATE.size + place * _REQUEST.size, 0.0)
            self._free.append(place)
        else:
            self._count_placeless(-1)

    def answered(self, place: int) -> None:
        """Note that the request at a place has the beginning of its answer; the rest is a stream."""
        if place >= 0:
            self._map[_STATE.size + place * _REQUEST.size + _ANSWERED_AT] = 1

    def pass_by(self, place: int, passed: bool) -> None:
        """Note whether others are answered before the request at a place: its model is loaded first."""
        if place >= 0:
            at = _STATE.size + place * _REQUEST.size
            since_s = abs(_SINCE.unpack_from(self._map, at)[0])
            _SINCE.pack_into(self._map, at, -since_s if passed else since_s)

    def _count_placeless(self, more: int) -> None:
        self._placeless += more
        _COUNT.pack_into(self._map, _PLACELESS_AT, self._placeless)


class Scoreboard:
    """All slots of one `serve`, its failure if it has one, and the supervisor that is told of both."""

    def __init__(self, run_dir: Path, supervisor_pid: int) -> None:
        self._slots = run_dir / "workers"
        self._failure = run_dir / "failure"
        self._supervisor_pid = supervisor_pid
        self._at_work = mmap.mmap(-1, _MOST_WORKERS)  # workers that are forked later share it
        self._slots.mkdir(exist_ok=True)

    def slot(self, pid: int, number: int = 0) -> Slot:
        """Return a new slot for a worker that has just been forked; its number is no living one's."""
        return Slot(self._slots / str(pid), self._at_work, number)

    def at_work(self, besides: int) -> int:
        """Return how many workers besides one are at work now."""
        return sum(self._at_work[:]) - self._at_work[besides]

    def score(self, pid: int) -> Score | None:
        """Return what a worker did last, or None where it never had a slot."""
        return _score_in(self._slots / str(pid))

    def scores(self) -> list[Score]:
        """Return what every worker is doing."""
        return scores_in(self._slots.parent)

    def clear(self, pid: int, number: int = 0) -> None:
        """Forget a worker that has ended."""
        self._at_work[number] = 0
        (self._slots / str(pid)).unlink(missing_ok=True)

    def fail(self, reason: str) -> None:
        """Record why serving cannot go on; the first reason stays. The supervisor is told."""
        handle, written = tempfile.mkstemp(dir=self._failure.parent)
        with os.fdopen(handle, "w") as file:
            file.write(reason)
        try:
            os.link(written, self._failure)  # whole or not at all, and only once
        except FileExistsError:
            pass
        finally:
            Path(written).unlink()
        self.tell_supervisor()

    def failure(self) -> str | None:
        """Return why serving cannot go on, or None."""
        try:
            return self._failure.read_text()
        except FileNotFoundError:
            return None

    def tell_supervisor(self) -> None:
        """Make the supervisor look at the scoreboard now."""
        os.kill(self._supervisor_pid, signal.SIGUSR1)


def scores_in(run_dir: Path) -> list[Score]:
    """Return what every worker of the `serve` with that folder is doing, for whoever has no scoreboard."""
    found = (_score_in(entry) for entry in (run_dir / "workers").iterdir())
    return [score for score in found if score]


def _score_in(path: Path) -> Score | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return _score(int(path.name), content) if len(content) == _SIZE else None


def _score(pid: int, content: bytes) -> Score:
    since_s, works_since_s, works_on, placeless, number, ready = _STATE.unpack_from(content)
    places = (_REQUEST.unpack_from(content, _STATE.size + place * _REQUEST.size) for place in range(_PLACES))
    taken = sorted((place for place in places if place[0]), key=lambda place: (place[0] < 0, abs(place[0])))
    in_flight = [
        InFlight(_string(request_id), _string(inference_id) or None, abs(began_s), is_answered)
        for began_s, request_id, inference_id, is_answered in taken
    ]
    return Score(pid, ready, since_s, works_since_s or None, in_flight, number, works_on, placeless)


def _string(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
