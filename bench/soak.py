"""Whether `serve` lasts: 70 % of its capacity for 10 minutes, with a worker killed every 20 s.

Run it by `make soak`, or `python bench/soak.py [--short]` (1 minute). It needs nginx and wrk; the rest it
installs into bench/.venvs on first use. The exit status is 0 where no more requests failed than the killed
workers held, every one of them came back, no other ended, the memory stayed flat and the load kept its pace;
1 where not; 2 where it could not run. One worker lives through it all: what it leaks shows.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.contest.errors import BenchError
from bench.contest.resources import pss_mb
from bench.contest.results import Results
from bench.contest.run import Run
from bench.contest.running import Started, started, wait_until_quiet
from bench.contest.servers import OURS
from bench.contest.wrk import Load, Shot, load
from bench.serving import IMAGE, require_programs, train

CLIENTS = 16
SHARE = 0.7
PACE_KEPT = 0.85  # of what was to be answered: while a worker starts anew, the other has not the capacity
KILL_EVERY_S = 20
CAPACITY_S = 5
WORKERS = "2"
GROWTH_SHARE, GROWTH_MB = 0.05, 10.0  # of memory, from the first quarter to the last
# What nginx says of a request that it had given to a worker, which then ended.
HELD = "from upstream, client"
MOST_COMPLAINTS = 60  # of nginx for each kill, of other kinds: a restart shall not fill the log


@dataclass
class Watched:
    """What was seen while the load ran.

    Attributes:
        memory_mb: of all processes, once a second; only while all workers were there.
        kills: how many workers were killed.
        killed: their ids.
        seen: the ids of all workers that were there at the last look.
        lost: the ids of those that were gone, and were not killed.
    """

    memory_mb: list[float] = field(default_factory=list)
    kills: int = 0
    killed: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    lost: list[int] = field(default_factory=list)

    def look(self, workers: Sequence[int]) -> None:
        """Note which workers there are now, and which of the last look are gone unkilled."""
        self.lost += sorted(self.seen - set(workers) - self.killed)
        self.seen = set(workers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, tell and return the exit status."""
    asked = _asked(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started ends
    try:
        require_programs()
        with tempfile.TemporaryDirectory(prefix="byoc-soak-") as folder:
            run = Run(IMAGE, Path(folder), CAPACITY_S, 1, Results(), lambda text: print(text, flush=True))
            train(run)
            with started(OURS, run, {"MODEL_SERVER_WORKERS": WORKERS}) as running:
                wait_until_quiet(running)
                return soak(running, run, asked.seconds or (60 if asked.short else 600))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def soak(running: Started, run: Run, seconds: int) -> int:
    """Load a server at its pace while workers are killed; return 0 where it lasted."""
    shot = _shot(running, run)
    load(shot, CLIENTS, 1)
    capacity = load(shot, CLIENTS, CAPACITY_S).per_second
    pace = SHARE * capacity
    run.report(f"capacity {capacity:,.0f} requests/s; {seconds} s at {pace:,.0f}/s")
    watched, stop = Watched(), threading.Event()
    watch = threading.Thread(target=_watch, args=(running, watched, stop, run), daemon=True)
    watch.start()
    try:
        outcome = load(shot, CLIENTS, seconds, pace)
    finally:
        stop.set()
        watch.join()
    wait_until_quiet(running)
    log = running.process.command.log.read_text(errors="replace").splitlines()
    faults = faults_in(outcome, watched, log)
    faults += pace_faults(outcome.per_second, capacity, load(shot, CLIENTS, CAPACITY_S).per_second)
    if len(workers_of(running)) != int(WORKERS):
        faults.append(f"there are {len(workers_of(running))} workers, not {WORKERS}")
    run.report(f"{outcome.per_second:,.0f}/s, p99 {outcome.p99_ms:.1f} ms, {watched.kills} workers killed")
    for fault in faults:
        print(f"falls short: {fault}", flush=True)
    return 1 if faults else 0


def faults_in(outcome: Load, watched: Watched, log: Sequence[str]) -> list[str]:
    """Return what is wrong with a run, in words.

    Args:
        outcome: of the load.
        watched: meanwhile.
        log: of the server.
    """
    complaints = [line for line in log if '"logger": "nginx"' in line]
    held = min(sum(HELD in line for line in complaints), CLIENTS * watched.kills)
    faults = []
    if outcome.failures > held:
        faults.append(f"{outcome.failures} requests failed, and the killed workers held {held}")
    if watched.lost:
        faults.append(f"{len(watched.lost)} workers ended that nobody had killed: {watched.lost[:10]}")
    if len(complaints) - held > MOST_COMPLAINTS * watched.kills:
        faults.append(f"nginx complained {len(complaints)} times: {complaints[-1][:200]}")
    if (growth := growth_in(watched.memory_mb)) is not None:
        faults.append("memory grew from {:.0f} MB to {:.0f} MB".format(*growth))
    if not outcome.per_second:
        faults.append("nothing was answered")
    return faults


def pace_faults(per_second: float, capacity: float, capacity_after: float) -> list[str]:
    """Return, in words, that a load did not keep its pace, that of now where the machine has become slower.

    Args:
        per_second: what was answered.
        capacity: what could be when it began, of which the pace is a share.
        capacity_after: what can be now.
    """
    pace = SHARE * min(capacity, capacity_after)
    if per_second >= PACE_KEPT * pace:
        return []
    capacities = f"capacity was {capacity:,.0f} before, and is {capacity_after:,.0f} now"
    return [f"{per_second:,.0f} requests/s were answered, not {pace:,.0f}: {capacities}"]


def growth_in(memory_mb: Sequence[float]) -> tuple[float, float] | None:
    """Return the medians of the first and the last quarter, where the last is larger than it should be."""
    quarter = max(1, len(memory_mb) // 4)
    if len(memory_mb) < 2:
        return None
    first, last = float(np.median(memory_mb[:quarter])), float(np.median(memory_mb[-quarter:]))
    return (first, last) if last > first * (1 + GROWTH_SHARE) + GROWTH_MB else None


def workers_of(running: Started) -> list[int]:
    """Return the ids of gunicorn's workers, the longest living first: those below its master."""
    ours = {one.pid: one for one in running.family() if "gunicorn" in one.words}
    workers = [one for one in ours.values() if one.parent in ours]
    return [one.pid for one in sorted(workers, key=lambda one: (one.began, one.pid))]


def _watch(running: Started, watched: Watched, stop: threading.Event, run: Run) -> None:
    """Note the memory each second, and kill the youngest worker now and then, by SIGKILL."""
    due_s = time.monotonic() + KILL_EVERY_S
    while not stop.wait(1):
        workers = workers_of(running)
        watched.look(workers)
        if len(workers) == int(WORKERS):
            watched.memory_mb.append(pss_mb(running.family()))
        if time.monotonic() >= due_s and len(workers) == int(WORKERS):
            due_s += KILL_EVERY_S
            with contextlib.suppress(ProcessLookupError):  # it has ended: the next look notes it
                os.kill(workers[-1], signal.SIGKILL)
                watched.killed.add(workers[-1])
                watched.kills += 1
            memory = watched.memory_mb[-1] if watched.memory_mb else 0.0
            run.report(f"killed worker {workers[-1]}; memory {memory:.0f} MB")
    watched.look(workers_of(running))


def _shot(running: Started, run: Run) -> Shot:
    dialect = OURS.dialect
    body = run.work / "soak.body"
    body.write_bytes(dialect.encode(np.load(run.subject / "rows.npy", mmap_mode="r")[:1]))
    return Shot(running.url(dialect.path), body, dialect.content_type)


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    words = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=words)
    parser.add_argument("--short", action="store_true", help="1 minute")
    parser.add_argument("--seconds", type=int, help="of the load")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
