"""Runs jobs on threads that a stalled connection cannot keep alive, and counts what they have done."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from byoc_serving.stopping import Check, carry_on

Job = TypeVar("Job")
Report = Callable[[int, int], None]

_LOOK_UP_EVERY_S = 0.1


def report_nothing(_done: int, _total: int) -> None:
    """Take a report of bytes done and their total, and do nothing with it."""


class Progress:
    """How many bytes of a total are done; reported one call at a time, whichever thread counts."""

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


class _AbandonedError(BaseException):
    """Another job failed, or the program ends: what this one does is no longer wanted."""


def run_all(
    work: Callable[[Job, Check], object],
    jobs: Iterable[Job],
    *,
    threads: int,
    check: Check = carry_on,
    grace_s: float = 0.5,
) -> None:
    """Call work(job, alive) for every job; the first failure ends the rest and is raised.

    The threads are daemons, which ThreadPoolExecutor's are not: the interpreter would wait for one that
    hangs in a read long after SIGTERM.

    Args:
        work: calls `alive` often; it raises once the job is no longer wanted.
        jobs: what to do, in order of their start.
        threads: how many jobs run at once.
        check: called every 0.1 s from the calling thread; raises to cancel everything.
        grace_s: how long, after a failure, to wait for jobs to notice.
    """
    pool = _Pool(work, list(jobs), threads)
    try:
        pool.work_through(check)
    finally:
        pool.stop(grace_s)


class _Pool(Generic[Job]):
    """The threads of one run, the jobs that wait for them, and what became of those done."""

    def __init__(self, work: Callable[[Job, Check], object], jobs: list[Job], threads: int) -> None:
        self._work = work
        self._count = len(jobs)
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        for job in jobs:
            self._waiting.put(job)
        size = min(threads, self._count)
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(size)]

    def work_through(self, check: Check) -> None:
        """Start the threads, and return when all jobs are done; raise the first failure."""
        for thread in self._threads:
            thread.start()
        for _ in range(self._count):
            if (failure := self._next_outcome(check)) is not None:
                raise failure

    def stop(self, grace_s: float) -> None:
        """Let no further job begin, and give those under way some time to notice."""
        self._stopped.set()
        deadline = time.monotonic() + grace_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _next_outcome(self, check: Check) -> BaseException | None:
        while True:
            check()
            try:
                return self._outcomes.get(timeout=_LOOK_UP_EVERY_S)
            except queue.Empty:
                continue

    def _alive(self) -> None:
        if self._stopped.is_set():
            raise _AbandonedError

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._work(job, self._alive)
            except BaseException as error:  # noqa: BLE001 - the thread that waits raises it again
                self._outcomes.put(error)
                return
            self._outcomes.put(None)
