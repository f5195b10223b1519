"""How much memory this container may use, and how much this process uses."""

import os
from collections.abc import Iterable
from pathlib import Path

from byoc_serving.supervision.cores import cgroups_of

_KILOBYTE = 1024  # the unit of proc(5)


def available_memory(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the bytes that all processes here may use: the machine's, bounded by the cgroup's (v2 or v1)."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_limits(cgroups, own)])


def anonymous_memory(status: Path = Path("/proc/self/status")) -> int:
    """Return the bytes of this process that are no file's, which the kernel could take back by itself.

    Those of files count too where the kernel does not tell them apart; 0 where it tells nothing (no Linux).
    """
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    told = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon:", "VmRSS:")))
    size = told.get("RssAnon") or told.get("VmRSS") or "0"
    return int(size.split()[0]) * _KILOBYTE


def _limits(cgroups: Path, own: Path) -> Iterable[int]:
    files = [folder / "memory.max" for folder in cgroups_of(cgroups, own)]
    for file in (*files, cgroups / "memory" / "memory.limit_in_bytes"):
        try:
            yield int(file.read_text())
        except (OSError, ValueError):  # there is none here, or it says "max"
            continue
