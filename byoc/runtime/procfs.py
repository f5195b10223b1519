"""What the kernel tells of the processes of a program: who they are, what they use (proc(5), Linux)."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_OURS = ("keeper.py", "enter.py")
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


@dataclass(frozen=True)
class Running:
    """A process.

    Attributes:
        name: of its executable, such as "nginx".
        words: its command line.
        cpu_s: seconds of processor time that it has used.
    """

    pid: int
    parent: int
    name: str
    words: tuple[str, ...]
    cpu_s: float


def processes() -> Iterator[Running]:
    """Yield every process of this machine that has not ended."""
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if entry.name.isdigit() and (found := _running(int(entry.name))):
            yield found


def family(pid: int) -> list[Running]:
    """Return a process and all that descends from it, parents before their children."""
    everybody = list(processes())
    found = [one for one in everybody if one.pid == pid]
    for parent in found:
        found += [one for one in everybody if one.parent == parent.pid]
    return found


def program_below(keeper: int) -> int | None:
    """Return the process id of the program that a keeper keeps; None where it has ended."""
    for one in processes():
        if one.parent == keeper and not any(word.endswith(_OURS) for word in one.words[:5]):
            return program_below(one.pid) if one.name == "bwrap" else one.pid
    return None


def is_in_container(pid: int, container: str) -> bool:
    """Whether a process of this machine is in the Docker container with that id, and not a namesake of it."""
    try:
        environment = (_PROC / str(pid) / "environ").read_text(errors="replace")
    except OSError:
        return False
    return f"HOSTNAME={container[:12]}" in environment.split("\0")


def memory_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes, what they share counted once (their proportional set sizes)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * _KIB
    return total


def _running(pid: int) -> Running | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
        words = (_PROC / str(pid) / "cmdline").read_text(errors="replace")
    except OSError:  # it ended while we looked
        return None
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    state, parent, *rest = stat[stat.rindex(")") + 2 :].split()
    if state in "ZX":
        return None
    cpu_s = (int(rest[9]) + int(rest[10])) / _TICKS
    return Running(pid, int(parent), name, tuple(words.split("\0")[:-1]), cpu_s)
