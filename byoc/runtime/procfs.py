"""What the kernel tells of the processes of a program: who they are, what they use (proc(5), Linux)."""

import contextlib
import ipaddress
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_PROC = Path("/proc")
_KEEPER, _ENTER = (str(Path(__file__).with_name(name)) for name in ("keeper.py", "enter.py"))
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_BWRAP = "bwrap"
_DOCKERS_DNS = "127.0.0.11"
_ESTABLISHED, _LISTENS = "01", "0A"  # as include/net/tcp_states.h has them


@dataclass(frozen=True)
class Running:
    """A process.

    Attributes:
        name: of its executable, such as "nginx".
        words: its command line.
        cpu_s: seconds of processor time that it has used.
        began: when it was started, in ticks of the kernel's clock.
    """

    pid: int
    parent: int
    name: str
    words: tuple[str, ...]
    cpu_s: float
    began: int = 0


def family(pid: int) -> list[Running]:
    """Return a process and all that descends from it, parents before their children.

    What has lost its parent, such as a daemon, becomes a child of a container's first process. Of a folder's
    program it becomes one of the keeper's: here it is told of as a child of the program all the same.
    """
    children = _children()
    first = _running(pid)
    found = [first, *_inherited(first, children)] if first else []
    for parent in found:
        found += _known(children.get(parent.pid, ()))
    return found


def program_below(keeper: int) -> int | None:
    """Return the process id of the program that a keeper keeps; None where it has ended."""
    born = [one for one in _known(_children().get(keeper, ())) if not _is_ours(one)]
    first = min(born, key=lambda one: (one.began, one.pid), default=None)  # the others came as orphans
    if first is None:
        return None
    return program_below(first.pid) if first.name == _BWRAP else first.pid


def _inherited(program: Running, children: Mapping[int, Sequence[int]]) -> list[Running]:
    """Return what a program's keeper has inherited from it; nothing where there is no keeper above it."""
    child, above = program, _running(program.parent)
    if above and above.name == _BWRAP:
        child, above = above, _running(above.parent)
    if not above or _script(above) != _KEEPER:
        return []
    orphans = _known(pid for pid in children.get(above.pid, ()) if pid != child.pid)
    return [replace(one, parent=program.pid) for one in orphans if not _is_ours(one)]


def _known(pids: Iterable[int]) -> list[Running]:
    """Return those that have not ended."""
    return [one for one in map(_running, pids) if one is not None]


def _is_ours(one: Running) -> bool:
    return _script(one) in (_KEEPER, _ENTER)


def _script(one: Running) -> str:
    """Return the script that a process runs as ours are: `python -I -S SCRIPT`."""
    return next(iter(one.words[3:4]), "") if one.words[1:3] == ("-I", "-S") else ""


def is_in_container(pid: int, container: str) -> bool:
    """Whether a process of this machine is in the Docker container with that id, and not a namesake of it."""
    try:
        environment = (_PROC / str(pid) / "environ").read_text(errors="replace")
    except OSError:
        return False
    return f"HOSTNAME={container[:12]}" in environment.split("\0")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    return _running(pid) is not None


def parent_of(pid: int) -> int | None:
    """Return the process id of a process's parent; None where it has ended."""
    one = _running(pid)
    return one.parent if one else None


def network_of(pid: int) -> int | None:
    """Return the number that the kernel gives a process's network; None where that is not to be seen."""
    try:
        return (_PROC / str(pid) / "ns" / "net").stat().st_ino
    except OSError:
        return None


def memory_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes, what they share counted once (their proportional set sizes)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * _KIB
    return total


def hears(pid: int, number: int) -> bool:
    """Whether a process does something about a signal: has a handler, or waits for it with sigwait(3).

    A container's first process is not even ended by a SIGTERM of which it does not hear (pid_namespaces(7)).
    Of one that has ended meanwhile it is not known any more: it counts as one that would have.
    """
    fields = _status(_PROC / str(pid))
    if fields.get("State", "Z")[0] in "ZX":
        return True
    return any(int(fields[mask], 16) >> (number - 1) & 1 for mask in ("SigBlk", "SigCgt"))


def is_pending(pid: int, number: int) -> bool:
    """Whether a signal was sent to a process and has not come to it; to one that has ended none comes."""
    fields = _status(_PROC / str(pid))
    return any(int(fields.get(mask, "0"), 16) >> (number - 1) & 1 for mask in ("SigPnd", "ShdPnd"))


def is_busy(pid: int) -> bool:
    """Whether a thread of a process runs, or waits for a processor or for a disk: it has something to do."""
    with contextlib.suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            if _status(thread).get("State", "Z")[0] in "RD":
                return True
    return False


def executable(pid: int) -> str:
    """Return the name of the file that a process executes, whatever it calls itself; "" where unknown."""
    try:
        return (_PROC / str(pid) / "exe").readlink().name
    except OSError:  # it has ended, or is another user's
        return ""


def listens_at(pid: int, port: int) -> set[str]:
    """Return the addresses on which a port is listened at in the network of a process, such as "0.0.0.0"."""
    return {address for address, at, state, _ in _sockets(pid) if at == port and state == _LISTENS}


def ports_of(pid: int) -> set[int]:
    """Return the ports that are listened at in the network of a process, but for Docker's own DNS."""
    return {at for address, at, state, _ in _sockets(pid) if state == _LISTENS and address != _DOCKERS_DNS}


def has_listener(pid: int, port: int) -> bool:
    """Whether a process itself has a socket that listens at a port."""
    held = {f"socket:[{inode}]" for _, at, state, inode in _sockets(pid) if at == port and state == _LISTENS}
    with contextlib.suppress(OSError):  # it has ended, or is another user's
        for descriptor in (_PROC / str(pid) / "fd").iterdir() if held else ():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) in held:
                    return True
    return False


def accepted(pid: int, port: int) -> int:
    """Return how many connections to a port, in a process's network, a program has accepted and not ended.

    Those that only the kernel has accepted so far belong to no file.
    """
    return sum(
        1 for _, at, state, inode in _sockets(pid) if at == port and state == _ESTABLISHED and inode != "0"
    )


def writes_to(pid: int) -> set[str]:
    """Return the regular files that a process has open for writing, as it sees their paths."""
    found = set()
    folder = _PROC / str(pid)
    with contextlib.suppress(OSError):
        for descriptor in (folder / "fd").iterdir():
            flags = [
                int(line.split()[1], 8)
                for line in _lines(folder / "fdinfo" / descriptor.name)
                if line.startswith("flags:")
            ]
            with contextlib.suppress(OSError):
                if any(flag & os.O_ACCMODE != os.O_RDONLY for flag in flags) and descriptor.is_file():
                    found.add(str(descriptor.readlink()))
    return found


def _sockets(pid: int) -> Iterator[tuple[str, int, str, str]]:
    """Yield the local address and port, the state and the inode of each TCP socket in a process's network."""
    for name in ("tcp", "tcp6"):
        for line in _lines(_PROC / str(pid) / "net" / name)[1:]:
            words = line.split()
            address, _, port = words[1].partition(":")
            yield _address(address), int(port, 16), words[3], words[9]


def _address(text: str) -> str:
    """Return an address that the kernel writes as words of 32 bits in its own byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _status(folder: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in _lines(folder / "status") if ":\t" in line)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:  # it ended while we looked, or is another user's
        return []


def _children() -> dict[int, list[int]]:
    """Return the children of every process; who looks often reads no more of the others than that."""
    found: dict[int, list[int]] = {}
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended while we looked
                stat = (entry / "stat").read_bytes()
                found.setdefault(int(stat[stat.rindex(b")") + 2 :].split()[1]), []).append(int(entry.name))
    return found


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
    return Running(pid, int(parent), name, tuple(words.split("\0")[:-1]), cpu_s, int(rest[17]))
