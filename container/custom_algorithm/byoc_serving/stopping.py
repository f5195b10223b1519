"""A signal that asks the program to end: recorded when it comes, acted upon where it is safe."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Check = Callable[[], None]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StoppedError(BaseException):
    """The program was asked to end. Not an Exception: user code that catches those must not swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_status = 128 + signum


def carry_on() -> None:
    """Ask for nothing: the check of whoever cannot be stopped."""


class StopRequest:
    """Remembers the first of the STOP_SIGNALS that comes; `check` raises it as a StoppedError."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._signum = int(signal.SIGTERM)
        self._interrupts = False

    def listen(self) -> None:
        """Take the STOP_SIGNALS over, from the main thread."""
        for signum in STOP_SIGNALS:
            signal.signal(signum, self._record)

    def check(self) -> None:
        """Raise StoppedError if the program has been asked to end."""
        if self._asked.is_set():
            raise StoppedError(self._signum)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within, a signal raises StoppedError at once, for code that cannot ask (the user's training)."""
        self._interrupts = True
        try:
            self.check()
            yield
        finally:
            self._interrupts = False

    def _record(self, signum: int, _frame: FrameType | None) -> None:
        if not self._asked.is_set():
            self._signum = signum
            self._asked.set()
        if self._interrupts:
            self._interrupts = False
            self.check()
