"""Sends a case over a socket, and says what is wrong with what comes back."""

import contextlib
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from fuzz.malformed import Case

Dial = Callable[[], socket.socket]

QUIET_S = 0.1  # after which we say that we send no more
HANG_S = 15.0  # after which a server that neither answers nor closes hangs
_MOST_BYTES = 4_000_000
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_NOT_SERVED = 501  # the one status over 499 that a request may earn by itself
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Heard:
    """What came back.

    Attributes:
        hung: whether the server kept the connection and read no more, or said nothing after our end.
    """

    content: bytes
    hung: bool = False


def send(case: Case, dial: Dial, hang_s: float = HANG_S) -> Heard:
    """Send a case, and listen until the server closes; a connection that breaks is a closed one."""
    heard = bytearray()
    with contextlib.closing(dial()) as connection, contextlib.suppress(OSError):
        if not _send_all(connection, case, time.monotonic() + hang_s):
            return Heard(b"", hung=True)
        if case.resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return Heard(b"")
        connection.settimeout(QUIET_S)
        try:
            while _receive(connection, heard):
                pass
        except TimeoutError:
            connection.shutdown(socket.SHUT_WR)
            if not _listen(connection, heard, time.monotonic() + hang_s):
                return Heard(bytes(heard), hung=True)
    return Heard(bytes(heard))


def fault(case: Case, heard: Heard) -> str:
    """Return what is wrong with what came back, "" where nothing is."""
    if heard.hung:
        return "the server stopped reading, or neither answered nor closed"
    statuses = statuses_of(heard.content)
    if statuses is None:
        return "" if case.may_be_bare else f"what came back is not HTTP: {heard.content[:200]!r}"
    if worst := [status for status in statuses if status >= 500 and status != _NOT_SERVED]:
        return f"the server answered {worst[0]}"
    if sum(200 <= status < 300 for status in statuses) > case.most_good:
        return f"one request was read as several: {statuses}"
    return ""


def statuses_of(content: bytes) -> list[int] | None:
    """Return the statuses of the answers in a stream, interim ones left out; None where it is not HTTP."""
    statuses, at = [], 0
    while at < len(content):
        line = _STATUS.match(content, at)
        if line is None:
            return None
        status, end = int(line[1]), content.find(b"\r\n\r\n", at)
        if end < 0:
            return [*statuses, status]
        length = _LENGTH.search(content, at, end + 2)
        at = end + 4 + (int(length[1]) if length else 0)
        if status >= 200:
            statuses.append(status)
            if length is None:
                break
    return statuses


def _send_all(connection: socket.socket, case: Case, until_s: float) -> bool:
    """Send what there is; return whether the server took it in time."""
    try:
        for piece in case.pieces:
            connection.settimeout(max(until_s - time.monotonic(), 0.001))  # 0 would mean not to wait at all
            connection.sendall(piece)
    except TimeoutError:
        return False
    return True


def _receive(connection: socket.socket, heard: bytearray) -> bool:
    piece = connection.recv(65_536)
    heard += piece
    return bool(piece) and len(heard) < _MOST_BYTES


def _listen(connection: socket.socket, heard: bytearray, until_s: float) -> bool:
    """Take in the rest; return whether the server ended it in time."""
    while (left_s := until_s - time.monotonic()) > 0:
        connection.settimeout(left_s)
        try:
            if not _receive(connection, heard):
                return True
        except TimeoutError:
            return False
    return False
