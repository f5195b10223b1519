"""One place of a variant: there is always an instance on it, another one when the one before has failed."""

import logging
import threading
import time
from collections.abc import Callable

from byoc.local.hosting.instance import Instance, StartError, StoppedError, Workshop
from byoc.local.hosting.plan import VariantPlan
from byoc.local.hosting.tempo import Tempo
from byoc.local.hosting.upstream import Upstream

_OK = 200
_log = logging.getLogger(__name__)


class Seat:
    """Starts an instance, looks after it and replaces it.

    Args:
        workshop: what instances are made with.
        plan: the variant.
        tempo: how patient it is.
        changed: hears, from the seat's thread, when the instance answers no longer, and when another does.
    """

    def __init__(
        self, workshop: Workshop, plan: VariantPlan, tempo: Tempo, changed: Callable[[], None]
    ) -> None:
        self._workshop = workshop
        self._plan = plan
        self._tempo = tempo
        self._changed = changed
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._instance: Instance | None = None
        self._answers = False
        self._thread: threading.Thread | None = None

    @property
    def upstream(self) -> Upstream | None:
        """The way to its instance, None while that does not answer."""
        with self._lock:
            return self._instance.upstream if self._instance and self._answers else None

    def bring_up(self) -> None:
        """Start an instance and return when it is healthy.

        Raises:
            StartError: it does not come up; nothing of it is left.
            StoppedError: `stop` was called.
        """
        instance = Instance(self._workshop, self._plan)
        with self._lock:
            if self._stopping.is_set():
                raise StoppedError
            self._instance = instance
        try:
            instance.prepare()
            instance.start()
            instance.wait_until_healthy()
        except BaseException:
            instance.stop(self._tempo.close_grace_s)
            raise
        with self._lock:
            self._answers = True

    def watch(self) -> None:
        """Look after the instance from now on, in a thread of its own."""
        name = f"seat-{self._workshop.endpoint}-{self._plan.name}"
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)
        self._thread.start()

    def stop(self, grace_s: float | None = None) -> None:
        """End the instance and its replacing, whatever is under way. Safe to repeat."""
        self._stopping.set()
        with self._lock:
            instance, self._answers = self._instance, False
        if instance is not None:
            instance.stop(grace_s)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        row = 0
        while (failed := self._wait_for_a_failure()) is not None:
            instance, reason, lived_s = failed
            row = 0 if lived_s > self._tempo.settled_s else row
            _log.warning("endpoint %s: %s %s; it is replaced", self._workshop.endpoint, instance.id, reason)
            self._stand_up(instance)
            while not self._replaced(row):
                row += 1
            row += 1

    def _wait_for_a_failure(self) -> tuple[Instance, str, float] | None:
        """Return the instance, what is wrong with it, and its age in seconds; None when told to stop."""
        with self._lock:
            instance = self._instance
        if instance is None:
            return None
        born = time.monotonic()
        next_ping, answered, failures, wrong = born, born, 0, ""
        while not self._stopping.wait(self._tempo.watch_s):
            now = time.monotonic()
            if (status := instance.ended_with()) is not None:
                return instance, f"ended with status {status}", now - born
            if now >= next_ping:
                status, wrong = _what_is_wrong(instance)
                answered = time.monotonic() if status else answered
                if not status and instance.upstream.in_flight and now - answered < self._tempo.busy_s:
                    wrong = ""  # it may be too busy with calls to answer
                failures = failures + 1 if wrong else 0
                next_ping = time.monotonic() + self._tempo.ping_s
            if failures >= self._tempo.failures:
                return instance, wrong, now - born
        return None

    def _stand_up(self, instance: Instance) -> None:
        """Take a failed instance away; calls that it still has end with it."""
        with self._lock:
            self._answers = False
        self._changed()
        instance.stop()

    def _replaced(self, row: int) -> bool:
        """Try to start another one, the later the more have failed in a row; say whether that is settled."""
        delay_s = min(self._tempo.back_off_s * 2 ** (row - 1), self._tempo.most_back_off_s) if row else 0.0
        if self._stopping.wait(delay_s):
            return True
        try:
            self.bring_up()
        except StoppedError:
            return True
        except StartError as error:
            _log.warning("endpoint %s: no replacement yet: %s", self._workshop.endpoint, error)
            return False
        self._changed()
        return True


def _what_is_wrong(instance: Instance) -> tuple[int, str]:
    """Return the status of a ping, 0 where none came, and why the instance is unhealthy, if it is."""
    status, body = instance.ping()
    if status == _OK:
        return status, ""
    return (
        status,
        f"answered /ping with {status} {body}".strip() if status else f"did not answer /ping ({body})",
    )
