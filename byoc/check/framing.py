"""Reads an answer byte by byte, to see whether it ends where it says."""

import time

from byoc.check.exchange import NAME, Dial
from byoc.check.number import counted
from byoc.check.question import Sample

_QUIET_S = 2.0  # after a whole answer: nothing more comes of who does not close the connection as it is asked
_PIECE = 65536


class FramingError(Exception):
    """An answer does not end where it says; the message says how."""


class UnfinishedError(FramingError):
    """There is less of it than it says: more may come."""


def bytes_of_answer(dial: Dial, sample: Sample, timeout_s: float, host: str = NAME) -> bytes:
    """Send a sample as the last request of a connection; return all that comes until its end.

    Args:
        timeout_s: for all of it.

    Raises:
        OSError: nobody listens, or nothing came in time.
    """
    fields = {"Host": host, "Content-Length": str(len(sample.body)), "Connection": "close"}
    lines = [f"{name}: {value}" for name, value in {**sample.headers, **fields}.items()]
    head = "\r\n".join(["POST /invocations HTTP/1.1", *lines, "", ""])
    came, give_up = bytearray(), time.monotonic() + timeout_s
    with dial() as wire:
        wire.settimeout(timeout_s)
        wire.sendall(head.encode() + sample.body)
        came += wire.recv(_PIECE)
        wire.settimeout(_QUIET_S)
        while time.monotonic() < give_up:
            try:
                piece = wire.recv(_PIECE)
            except TimeoutError:
                if _goes_on(bytes(came)):
                    continue
                break
            except ConnectionResetError:
                break
            if not piece:
                break
            came += piece
    return bytes(came)


def length_told(raw: bytes) -> str:
    """Return how an answer tells its end: "Content-Length", "chunks", or "" where the connection's end does.

    Raises:
        FramingError: there is less than it says, or more.
    """
    head, blank, body = raw.partition(b"\r\n\r\n")
    if not blank:
        raise UnfinishedError("its headers do not end")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "chunked" in fields.get("transfer-encoding", "").lower():
        _check_chunks(body)
        return "chunks"
    if "content-length" not in fields:
        return "Content-Length" if " 204" in status[:13] else ""
    told = fields["content-length"]
    if told != str(len(body)):
        kind = UnfinishedError if told.isdecimal() and int(told) > len(body) else FramingError
        raise kind(f"its Content-Length is {told}, and it has {counted(len(body), 'byte')}")
    return "Content-Length"


def is_old(raw: bytes) -> bool:
    """Whether an answer is HTTP/1.0's."""
    return raw.startswith(b"HTTP/1.0")


def _goes_on(raw: bytes) -> bool:
    """Whether more of an answer is to come before it is whole, or only the connection's end ends it."""
    try:
        return not length_told(raw)
    except UnfinishedError:
        return True
    except FramingError:
        return False


def _check_chunks(body: bytes) -> None:
    rest = body
    while True:
        line, end, rest = rest.partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            kind = FramingError if end else UnfinishedError
            raise kind(f"where a chunk's size should be is {line[:40]!r}") from None
        if not end or size < 0 or (size and rest[size : size + 2] != b"\r\n"):
            kind = UnfinishedError if not end or len(rest) < size + 2 else FramingError
            raise kind(f"a chunk of {counted(size, 'byte')} does not end there")
        if not size:
            break
        rest = rest[size + 2 :]
    _, end, after = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if not end:
        raise UnfinishedError("no empty line follows its last chunk")
    if after:
        raise FramingError(f"its last chunk is followed by {counted(len(after), 'byte')}")
