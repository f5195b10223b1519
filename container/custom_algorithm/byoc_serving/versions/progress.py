"""Counts bytes done by several threads, and reports them one call at a time."""

import threading
from collections.abc import Callable

Report = Callable[[int, int], None]


def report_nothing(_done: int, _total: int) -> None:
    """Take a report of bytes done and their total, and do nothing with it."""


class Progress:
    """How many bytes of a total are done."""

    def __init__(self, total: int, report: Report) -> None:
        self._total = total
        self._report = report
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count bytes, fewer than none where they have to come again, and report."""
        with self._lock:
            self._done += count
            self._report(self._done, self._total)
