"""Looks at real processes for the tests: which are alive, and waiting until something is so."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be collected does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no /proc here, or it ended just now
        return not Path("/proc/self").exists()
    return state != "Z"


def processes_with(text: str) -> list[int]:
    """Return the ids of the processes that have `text` in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in told:
                found.append(int(entry.name))
    return [pid for pid in found if alive(pid)]


def below(pid: int) -> list[int]:
    """Return the ids of all that descends from a process."""
    found, frontier = [], [pid]
    while frontier:
        for thread in Path(f"/proc/{frontier.pop()}/task").glob("*/children"):
            try:
                children = [int(child) for child in thread.read_text().split()]
            except OSError:  # it has ended just now
                continue
            frontier += children
            found += children
    return found


def eventually(truth: Callable[[], object], within_s: float = 5.0) -> bool:
    """Whether `truth` becomes true in time."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if truth():
            return True
        time.sleep(0.02)
    return bool(truth())
