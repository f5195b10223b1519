"""The workers of one container tell each other that a model is gone, and wait until all have dropped it."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("models")

_PREFIX = "models-"


class Peers:
    """One worker among those that share a folder.

    Args:
        folder: where each has a socket.
        number: of this one; no two workers that live have the same.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._own = folder / f"{_PREFIX}{number}.sock"

    def listen(self, act: Callable[[], object]) -> None:
        """Act whenever another asks for it, in a thread of its own: while a prediction runs, too."""
        self._own.unlink(missing_ok=True)  # of a worker that has ended
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._own))
        listener.listen()
        threading.Thread(target=_act_for_all, args=(listener, act), name="peers", daemon=True).start()

    def ask(self, patience_s: float) -> bool:
        """Have all others act; return whether each has, or has ended, within so many seconds."""
        give_up = time.monotonic() + patience_s
        asked = [peer for path in self._folder.glob(f"{_PREFIX}*.sock") if (peer := self._called(path))]
        have_all = True
        for peer in asked:
            with peer:
                have_all &= _has_ended(peer, give_up)
        return have_all

    def _called(self, path: Path) -> socket.socket | None:
        if path == self._own:
            return None
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.connect(str(path))
        except OSError:  # it has ended, and its memory with it
            peer.close()
            return None
        return peer


def _act_for_all(listener: socket.socket, act: Callable[[], object]) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                act()
            except Exception:
                log.exception("a model could not be dropped")


def _has_ended(peer: socket.socket, give_up: float) -> bool:
    """Wait until the other side closes: it has acted then, or its process has ended."""
    peer.settimeout(max(0.001, give_up - time.monotonic()))
    with contextlib.suppress(ConnectionError):
        try:
            peer.recv(1)
        except TimeoutError:
            return False
    return True
