"""A small process between byoc and one program: it ends with everything that the program started.

It runs as a script of its own (`python -I -S keeper.py GRACE ABANDONED_GRACE PROGRAM [ARGUMENT]...`) on
the standard library alone. Its standard input is a pipe that only its parent can write to:

    b"S"         SIGTERM to the program; SIGKILL when GRACE seconds have passed
    b"K"         SIGKILL to the program
    end of file  the parent is gone, however it died: as b"S", with ABANDONED_GRACE seconds

Its exit status is the program's, a death by signal included; 126 or 127 where the program cannot be
started, as a shell and `docker run` have it. A container's kernel kills what is left when process 1 ends
(pid_namespaces(7)); the keeper does the same, also to daemons: on Linux it is their reaper
(PR_SET_CHILD_SUBREAPER). Keepers of containers (docker_keeper.py) that the program started may first end
theirs, which nobody else would: where the program is byoc's own, the last word of BYOC_KEEPERS in the
environment of its keeper is a secret, and they are known by having it too. Elsewhere than on Linux the keeper
ends the program's process group. Should the keeper itself be killed with SIGKILL, the kernel of Linux kills
the program (PR_SET_PDEATHSIG), but nothing that the program started.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CANNOT_RUN = 126
NOT_FOUND = 127
SWEEP_S = 10.0
SPARED_S = 60.0
OF_CONTAINERS = str(Path(__file__).with_name("docker_keeper.py"))
SECRETS = "BYOC_KEEPERS"
HEARD = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
# Perhaps ignored by Python itself, or by whoever started byoc; exec keeps that.
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGQUIT)


def tell_kernel(option: int, value: int) -> None:
    """Set an attribute of this process by prctl(2) (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def start(argv: list[str]) -> int:
    """Start the program in a session of its own and return its process id."""
    keeper = os.getpid()
    # Until its exec the program has our handlers, which would swallow a signal: one that comes waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        return pid
    status = CANNOT_RUN
    try:
        become(argv, keeper)
    except OSError as error:
        status = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        print(f"{argv[0]} cannot be started: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def become(argv: list[str], keeper: int) -> None:
    """Replace this process by the program, with the signals of a fresh shell and nothing to read."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    tell_kernel(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it died before the kernel was told
        return
    signal.set_wakeup_fd(-1)
    for number in (*HEARD, *IGNORED):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


def descendants(ancestor: int) -> list[int]:
    """Return the process ids of all that descends from `ancestor`, read from /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_bytes()
            except OSError:
                continue  # it ended while we looked
            parent = int(stat.rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    ahead = [ancestor]
    while ahead:
        born = children.get(ahead.pop(), [])
        found += born
        ahead += born
    return found


def addressee(program: int, argv: list[str]) -> int:
    """Return who gets the program's SIGTERM: bwrap passes none on, so what it has started does instead."""
    inside = descendants(program)[:1] if Path(argv[0]).name == "bwrap" else []
    return inside[0] if inside else program


def kill(pid: int, number: int) -> None:
    """Send a signal to a process, or to a group where `pid` is negative, that may have ended already."""
    # PermissionError: macOS says so of a group of which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def reap(program: int) -> int | None:
    """Collect every child that has ended; return the program's wait status if it was among them."""
    status = None
    while True:
        try:
            pid, ended_with = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == program:
            status = ended_with


def keepers_of_containers(pids: list[int]) -> set[int]:
    """Return those that keep a container, and all that they have started."""
    secret = os.environ.get(SECRETS, "").split()[-1:]
    found: set[int] = set()
    for pid in pids if secret else ():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            variables = Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
            told = [text.split("=")[1].split() for text in variables if text.startswith(f"{SECRETS}=")]
            if words[3:4] == [OF_CONTAINERS] and told and secret[0] in told[0]:  # -I -S stand before it
                found.update([pid, *descendants(pid)])
    return found


def sweep(program: int) -> None:
    """Kill whatever the program left behind; what keeps a container may end that first."""
    kill(-program, signal.SIGKILL)
    began = time.monotonic()
    give_up = began + SWEEP_S
    while sys.platform == "linux" and (left := descendants(os.getpid())):
        spared = keepers_of_containers(left) if time.monotonic() < began + SPARED_S else set()
        for pid in set(left) - spared:
            kill(pid, signal.SIGKILL)
        reap(program)
        if spared:
            give_up = time.monotonic() + SWEEP_S
        elif time.monotonic() > give_up:
            print(f"these processes cannot be killed: {left}", file=sys.stderr, flush=True)
            return
        time.sleep(0.05 if spared else 0.005)


def keep(program: int, argv: list[str], graces_s: tuple[float, float], wakeup: int) -> int:
    """Obey the parent until the program has ended; return the program's wait status."""
    grace_s, abandoned_grace_s = graces_s
    orders = [0]
    deadline: float | None = None
    while (status := reap(program)) is None:
        patience = None if deadline is None else max(0.0, deadline - time.monotonic())
        if patience == 0.0:
            kill(program, signal.SIGKILL)
            deadline, patience = None, None
        ready, _, _ = select.select([*orders, wakeup], [], [], patience)
        asked = b""
        if wakeup in ready and set(os.read(wakeup, 512)) & {signal.SIGTERM, signal.SIGINT}:
            asked = b"S"
        if 0 in ready:
            order = os.read(0, 1)
            asked = order or b"S"
            if not order:
                orders, grace_s = [], abandoned_grace_s
                deadline = None
        if asked == b"K":
            kill(program, signal.SIGKILL)
        elif asked == b"S" and deadline is None:
            kill(addressee(program, argv), signal.SIGTERM)
            deadline = time.monotonic() + grace_s
    return status


def end_like(status: int) -> None:
    """End this process as the program ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program has dumped its core already
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def main(arguments: list[str]) -> None:
    """Run the program named by the arguments; see the top of this file."""
    grace_s, abandoned_grace_s, *argv = arguments
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in HEARD:
        signal.signal(number, lambda *_: None)
    tell_kernel(PR_SET_CHILD_SUBREAPER, 1)
    program = start(argv)
    status = keep(program, argv, (float(grace_s), float(abandoned_grace_s)), woken)
    sweep(program)
    end_like(status)


if __name__ == "__main__":
    main(sys.argv[1:])
