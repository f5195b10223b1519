"""What a program takes of the machine: cores, memory, processor time."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from byoc.runtime.procfs import Running, memory_bytes


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return what the processor calls itself; "unknown" where nothing tells."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else "unknown"


def pss_mb(family: Iterable[Running]) -> float:
    """Return the memory of processes in MB, what they share counted once."""
    return memory_bytes(one.pid for one in family) / 1e6


def cpu_s(family: Iterable[Running]) -> float:
    """Return the seconds of processor time that processes have used so far."""
    return sum(one.cpu_s for one in family)


def peak_mb(family: Iterable[Running]) -> float:
    """Return the most memory that each process has had so far, summed, in MB (VmHWM of proc(5))."""
    total_kb = 0
    for one in family:
        with suppress(OSError):
            for line in Path(f"/proc/{one.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total_kb += int(line.split()[1])
    return total_kb * 1024 / 1e6
