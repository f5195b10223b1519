"""Holds ^C and SIGTERM back while something is being made, so that afterwards it is known what exists."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalHeldError(Exception):
    """A signal has arrived, so nothing more is to be begun; it is delivered at the end of the block."""


@contextmanager
def hold() -> Iterator[Callable[[], None]]:
    """Deliver a signal of the block at its end; a second one at once, and at the end again.

    What is raised between a request and its answer leaves nobody knowing whether it was done. And it need not
    arrive: the SageMaker SDK's telemetry returns from a `finally`, which drops a KeyboardInterrupt.

    Yields:
        A check for moments before which nothing is done yet; it raises SignalHeldError if one has arrived.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield lambda: None
        return
    arrived: list[int] = []
    known = {number: signal.getsignal(number) for number in _SIGNALS}
    handlers = {number: handler for number, handler in known.items() if callable(handler)}

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        if len(arrived) > 1:
            handlers[signal.Signals(number)](number, frame)

    def check() -> None:
        if arrived:
            raise SignalHeldError

    for number in handlers:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
