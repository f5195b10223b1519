"""All instances of one deployment of an endpoint, brought up, resized, drained and ended together."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from byoc.local.hosting.instance import Workshop
from byoc.local.hosting.plan import Plan, VariantPlan
from byoc.local.hosting.seat import Seat
from byoc.local.hosting.tempo import Tempo
from byoc.local.hosting.upstream import Upstream


class Fleet:
    """The programs of one plan.

    Args:
        workshop: what instances are made with.
        plan: what shall run.
        tempo: how patient it is.
        changed: hears of a program that no longer answers, or answers again; called by any thread.
    """

    def __init__(
        self, workshop: Workshop, plan: Plan, tempo: Tempo, changed: Callable[["Fleet"], None]
    ) -> None:
        self._workshop = workshop
        self._tempo = tempo
        self._changed = changed
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.plan = plan
        self._seats = {
            variant.name: [self._seat(variant) for _ in range(variant.count)] for variant in plan.variants
        }

    def bring_up(self) -> None:
        """Start every program and return when all are healthy.

        Raises:
            StartError: one does not come up; `stop` ends the others.
            StoppedError: `stop` was called.
        """
        self._bring_up(self._all())

    def resize(self, plan: Plan) -> None:
        """Come up to the counts of a plan with the same variants; the old ones answer on until the new do.

        Raises:
            StartError, StoppedError: as `bring_up`; then nothing has changed.
        """
        more = {
            variant.name: [self._seat(variant) for _ in range(variant.count - len(self._seats[variant.name]))]
            for variant in plan.variants
        }
        try:
            self._bring_up([seat for seats in more.values() for seat in seats])
        except BaseException:
            _each(lambda seat: seat.stop(self._tempo.close_grace_s), _flat(more))
            raise
        leaving = []
        with self._lock:
            for variant in plan.variants:
                seats = [*self._seats[variant.name], *more[variant.name]]
                self._seats[variant.name] = seats[: variant.count]
                leaving += seats[variant.count :]
            self.plan = plan
        upstreams = [seat.upstream for seat in leaving]
        self._changed(self)
        self._drain(upstreams)
        _each(Seat.stop, leaving)

    def routes(self) -> dict[str, tuple[float, Sequence[Upstream]]]:
        """Return the programs that answer, by variant, with its weight."""
        with self._lock:
            return {
                variant.name: (
                    variant.weight,
                    [upstream for seat in self._seats[variant.name] if (upstream := seat.upstream)],
                )
                for variant in self.plan.variants
            }

    def drain(self) -> None:
        """Return when no call is under way, or `drain_s` has passed; nothing may be routed here any more."""
        self._drain([seat.upstream for seat in self._all()])

    def stop(self, grace_s: float | None = None) -> None:
        """End every program, whatever is under way, all at the same time. Safe to repeat."""
        self._stopped.set()
        _each(lambda seat: seat.stop(grace_s), self._all())

    def _seat(self, variant: VariantPlan) -> Seat:
        return Seat(self._workshop, variant, self._tempo, lambda: self._changed(self))

    def _all(self) -> list[Seat]:
        with self._lock:
            return _flat(self._seats)

    def _bring_up(self, seats: Sequence[Seat]) -> None:
        """Bring seats up side by side; the first that fails ends the wait for the others."""
        failed: list[Exception] = []

        def bring_up(seat: Seat) -> None:
            try:
                seat.bring_up()
            except Exception as error:  # noqa: BLE001 - raised below, by the thread that waits
                if not failed:
                    failed.append(error)
                    _each(lambda other: other.stop(self._tempo.close_grace_s), seats)

        _each(bring_up, seats)
        if failed:
            raise failed[0]
        for seat in seats:
            seat.watch()

    def _drain(self, upstreams: Iterable[Upstream | None]) -> None:
        give_up = time.monotonic() + self._tempo.drain_s
        busy = [upstream for upstream in upstreams if upstream]
        while any(upstream.in_flight for upstream in busy) and time.monotonic() < give_up:
            if self._stopped.wait(self._tempo.look_s):
                return


def _flat(seats: Mapping[str, Sequence[Seat]]) -> list[Seat]:
    return [seat for some in seats.values() for seat in some]


def _each(act: Callable[[Seat], None], seats: Sequence[Seat]) -> None:
    """Do the same to every seat at the same time, and return when all is done; raise the first error."""
    if not seats:
        return
    with ThreadPoolExecutor(len(seats), thread_name_prefix="seat") as threads:
        for done in [threads.submit(act, seat) for seat in seats]:
            done.result()
