"""Passes on what a program writes while it writes it, in batches."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

Events = Sequence[tuple[int, str]]
_LARGEST_EVENT = 200_000  # characters; CloudWatch Logs takes 256 KB
_LARGEST_BATCH = 1_000  # events
_log = logging.getLogger(__name__)


class Relay:
    """Takes lines and puts them on, at most `every_s` seconds late; never more than one batch is held.

    Args:
        put: takes events, each with its milliseconds since 1970. What it raises is logged, and the events
            are lost: a job does not fail for its log.
        hear: is told each line and its seconds since 1970, in order.
        clock: seconds since 1970.
        every_s: how long a line may wait.
    """

    def __init__(
        self,
        put: Callable[[Events], None],
        hear: Callable[[str, float], None],
        clock: Callable[[], float],
        every_s: float = 0.5,
    ) -> None:
        self._put = put
        self._hear = hear
        self._clock = clock
        self._every_s = every_s
        self._batch: list[tuple[int, str]] = []
        self._lock = threading.Lock()
        self._read_all = threading.Event()
        self._threads: list[threading.Thread] = []

    def follow(self, lines: Iterable[str]) -> None:
        """Begin to read the lines, until there are no more."""
        self._threads = [
            threading.Thread(target=self._read, args=(lines,), name="reads a log", daemon=True),
            threading.Thread(target=self._pump, name="relays a log", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Return when the last line has been passed on."""
        for thread in self._threads:
            thread.join()

    def _read(self, lines: Iterable[str]) -> None:
        try:
            for line in lines:
                self._take(line)
        except Exception:  # noqa: BLE001 - the outermost of a thread; the job goes on
            _log.exception("a log cannot be read on")
        finally:
            self._read_all.set()

    def _take(self, line: str) -> None:
        at = self._clock()
        try:
            self._hear(line, at)
        except Exception:  # noqa: BLE001 - such as a metric that is refused; the log goes on
            _log.exception("a line of a log was not understood")
        pieces = [line[i : i + _LARGEST_EVENT] for i in range(0, len(line), _LARGEST_EVENT)] or [""]
        with self._lock:
            self._batch += [(int(at * 1000), piece) for piece in pieces]
            full = len(self._batch) >= _LARGEST_BATCH
        if full:
            self._flush()

    def _pump(self) -> None:
        while not self._read_all.wait(self._every_s):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        # Held while the events are put: they stay in order, and a program that writes faster waits.
        with self._lock:
            batch, self._batch = self._batch, []
            if batch:
                try:
                    self._put(batch)
                except Exception:  # noqa: BLE001 - whatever fails there, the program goes on
                    _log.exception("%d lines of a log are lost", len(batch))
