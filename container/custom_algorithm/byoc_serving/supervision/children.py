"""The programs that `serve` starts: each in a process group of its own, none outliving `serve`."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from byoc_serving.settings import PROGRAM_DIR

_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass
class Child:
    """A program that `serve` started, in a process group of its own."""

    name: str
    process: subprocess.Popen[bytes]
    status: int | None = None  # as in waitpid, once it has ended

    @property
    def ended(self) -> bool:
        """Whether it has been collected."""
        return self.status is not None

    def signal_all(self, number: signal.Signals) -> None:
        """Signal the program and all that it started; nothing happens where none is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end_gently(self) -> None:
        """Ask for an end after what is in flight, in the program's own way."""
        with contextlib.suppress(ProcessLookupError):  # not Popen.send_signal: it may reap behind our back
            os.kill(self.process.pid, signal.SIGQUIT if self.name == "nginx" else signal.SIGTERM)


def start(
    name: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    last_signal: signal.Signals,
    stderr: int | None = None,
) -> Child:
    """Start a program in its own process group; it gets `last_signal` should this process be killed.

    Args:
        stderr: a descriptor, where its stderr is not to be ours.
    """
    process = subprocess.Popen(
        command,
        env=environ,
        cwd=PROGRAM_DIR,
        stdin=subprocess.DEVNULL,
        stderr=stderr,
        process_group=0,
        preexec_fn=_preparation(os.getpid(), last_signal),  # noqa: PLW1509 - no thread runs here yet
    )
    return Child(name, process)


def reap(children: Sequence[Child]) -> None:
    """Collect every process that has ended; process 1 of a container is also given the orphans."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            for child in children:
                if child.process.pid == pid:
                    child.status = status
                    child.process.returncode = os.waitstatus_to_exitcode(status)


def exit_reason(child: Child) -> tuple[str, int]:
    """Return what became of a child that nobody asked to end, and the exit status that tells of it."""
    code = os.waitstatus_to_exitcode(child.status or 0)
    if code < 0:
        return f"{child.name} was killed by {signal.Signals(-code).name}.", 128 - code
    return f"{child.name} ended with exit status {code}, unasked.", code or 1


def _preparation(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """Return what a child does before it becomes its program (Linux only).

    It is signalled when its parent ends, even by SIGKILL. And it does not interrupt others when it wakes up,
    nor does what it starts (SCHED_BATCH, sched(7); docs/adr/0014).
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    policy = os.SCHED_BATCH, os.sched_param(0)

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it was killed in between
            os._exit(1)
        with contextlib.suppress(OSError):  # a sandbox may forbid it, and it only saves time
            os.sched_setscheduler(0, *policy)

    return prepare
