"""What stands behind the requests of one worker, and where others see what it is doing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from byoc_serving.calls import Call
from byoc_serving.door.flask_side import Application
from byoc_serving.invocation import Invocations
from byoc_serving.metrics.meter import Meter
from byoc_serving.models.models import Models
from byoc_serving.streams import close


class Slot(Protocol):
    """Where a worker notes what it is doing, for others to see."""

    def begin(self, request_id: str, inference_id: str | None = None) -> int:
        """Note a request; return its place."""

    def end(self, place: int) -> None:
        """Note that the request at a place is answered."""

    def pass_by(self, place: int, passed: bool) -> None:
        """Note whether others are answered before the request at a place."""

    def work(self) -> None:
        """Note that work on a request begins now."""

    def work_on(self, many: int) -> None:
        """Note on how many requests it is."""

    def rest(self) -> None:
        """Note that it has ended."""

    def answered(self, place: int) -> None:
        """Note that the request at a place has the beginning of its answer."""


@dataclass(frozen=True)
class Door:
    """What stands behind the requests of one worker.

    Attributes:
        invocations: answer /invocations; None where the application is to do that itself.
        application: answers everything else.
        slot: of this worker.
        meter: counts each call of /invocations.
        note: is told of it.
        after: is called after each turn.
        lives: is called whenever the user's code may have taken long.
        most_waiting: requests, streams that are sent among them; a further one is told to come again later.
        most_bytes: of a body; None for any number.
        wait_s: how long the first request of several that may join waits for others.
        address: where we listen.
        models: where there are several; then each answers its own calls, and `invocations` none.
    """

    invocations: Invocations | None
    application: Application
    slot: Slot
    meter: Meter
    note: Callable[[Call], None]
    after: Callable[[], None]
    lives: Callable[[], None]
    most_waiting: int
    most_bytes: int | None
    wait_s: float
    address: tuple[str, int]
    models: Models | None = None


class Watched(Iterator[bytes]):
    """The pieces of a stream, each of which is work of the worker on the request at a place."""

    def __init__(self, pieces: Iterator[bytes], door: Door, place: int) -> None:
        self._pieces = pieces
        self._door = door
        self._place = place

    def __next__(self) -> bytes:
        slot = self._door.slot
        slot.pass_by(self._place, passed=False)
        slot.work()
        try:
            return next(self._pieces)
        finally:
            slot.rest()
            slot.pass_by(self._place, passed=True)
            self._door.lives()

    def close(self) -> None:
        """Drop the pieces that are left."""
        close(self._pieces)
