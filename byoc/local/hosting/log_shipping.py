"""Carries what programs write to CloudWatch Logs, while they write it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from byoc.local.world import Logs

_CHUNK = 1024 * 1024
_LONGEST_LINE = 200_000  # an event of CloudWatch Logs has 262,144 bytes at most, with 26 of its own
_log = logging.getLogger(__name__)


@dataclass
class Tail:
    """A log that grows, and where it goes; of a line without end only pieces are ever in memory."""

    path: Path
    group: str
    stream: str
    _offset: int = 0
    _rest: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ship(self, logs: Logs, now_s: float, last: bool = False) -> bool:
        """Put the lines of the next chunk; say whether there may be more.

        Args:
            logs: where to.
            now_s: the time of the events, in seconds since 1970.
            last: the program has ended: what it wrote after its last newline is a line too.
        """
        with self._lock:
            chunk = self._read()
            *lines, rest = (self._rest + chunk).split(b"\n")
            if rest and (len(rest) > _LONGEST_LINE or (last and not chunk)):
                lines.append(rest)
                rest = b""
            self._rest = rest
            at_ms = round(now_s * 1000)
            events = [(at_ms, text) for line in lines for text in _pieces(line)]
            if events:
                logs.put(self.group, self.stream, events)
            return bool(chunk)

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as log:
                log.seek(self._offset)
                chunk = log.read(_CHUNK)
        except FileNotFoundError:
            return b""
        self._offset += len(chunk)
        return chunk


def _pieces(line: bytes) -> list[str]:
    """Return the events of one line; CloudWatch Logs takes none that is empty."""
    text = line.rstrip(b"\r")
    cut = [text[at : at + _LONGEST_LINE] for at in range(0, len(text), _LONGEST_LINE)]
    return [piece.decode(errors="replace") for piece in cut]


class LogShipping:
    """One thread that looks at every log each `every_s` seconds; it starts with the first of them."""

    def __init__(self, logs: Logs, clock: Callable[[], float], every_s: float = 0.5) -> None:
        self._logs = logs
        self._clock = clock
        self._every_s = every_s
        self._tails: list[Tail] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, tail: Tail) -> Tail:
        """Ship a log from now on."""
        with self._lock:
            self._tails.append(tail)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-shipping", daemon=True)
                self._thread.start()
        return tail

    def finish(self, tail: Tail) -> None:
        """Ship the rest of a log whose program has ended, and forget it. Safe to repeat."""
        with self._lock:
            if tail not in self._tails:
                return
            self._tails.remove(tail)
        while self._ship(tail, last=True):
            pass

    def close(self) -> None:
        """End the thread; what is left of the logs stays in their files."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(self._every_s):
            with self._lock:
                tails = list(self._tails)
            for tail in tails:
                self._ship(tail)

    def _ship(self, tail: Tail, last: bool = False) -> bool:
        try:
            return tail.ship(self._logs, self._clock(), last)
        except Exception:  # noqa: BLE001 - the outermost of its thread
            _log.exception("%s was not shipped to %s", tail.path, tail.group)
            return False
