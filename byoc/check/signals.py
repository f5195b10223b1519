"""Signals to the processes of a container."""

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from byoc.check.verdict import CannotTestError
from byoc.runtime.procfs import Running


def send(processes: Collection[Running], number: int) -> None:
    """Send a signal to processes; some may have ended already.

    Raises:
        CannotTestError: they are another user's.
    """
    for one in processes:
        try:
            os.kill(one.pid, number)
        except ProcessLookupError:
            continue
        except PermissionError as error:
            raise CannotTestError("Its processes are another user's: that takes root.") from error


@contextmanager
def frozen(processes: Collection[Running]) -> Iterator[None]:
    """Let processes stand still until the block ends."""
    try:
        send(processes, signal.SIGSTOP)
        yield
    finally:
        send(processes, signal.SIGCONT)
