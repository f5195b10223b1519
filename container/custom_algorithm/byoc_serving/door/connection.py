"""One connection of the fast door: bytes become requests, responses become bytes, one after the other."""

import asyncio
import logging
import time
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from typing import Protocol

from gunicorn_h1c import H1CProtocol

from byoc_serving.calls import Response, error_response, refusal
from byoc_serving.door.head import BadHeadError, Head, head_of
from byoc_serving.errors import ClientDisconnectedError, PayloadTooLargeError
from byoc_serving.messages import too_large_message
from byoc_serving.settings import MEGABYTE
from byoc_serving.streams import close

log = logging.getLogger("connection")

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BROKEN_OFF = "The body is shorter than its headers say. Send all of it."
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
# Chunks have lines of their own, which may say more than a length: within bounds.
_MOST_BESIDE_CHUNKS, _MOST_PER_BYTE = 65_536, 16
_HEAD_BEFORE_CHUNKS = b"POST / HTTP/1.1\r\nHost: -\r\nTransfer-Encoding: chunked\r\n\r\n"
# They have no body, whatever their headers say (RFC 9112, 6.3).
_WITHOUT_BODY = {204, 304}
_UNREAD_AT_MOST = 256 * MEGABYTE
_UNREAD_OF_A_HEAD = MEGABYTE
_REFUSED_S = 70.0  # how much sooner than others a refused connection is taken for quiet
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Received(Protocol):
    """Takes a whole request, and answers it by the connection's `send`, now or later."""

    def __call__(self, connection: "Connection", head: Head, body: bytes) -> None:
        """Take it."""


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a proxy or a plain client speaks it; the next request waits for the last answer.

    Args:
        received: is given each request.
        connections: all that are open; this one is in it as long as it is.
        most_bytes: of a body; None for any number.
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_connections",
        "_data",
        "_filled",
        "_head",
        "_is_full",
        "_is_last",
        "_is_refused",
        "_most_bytes",
        "_received",
        "_stream",
        "_transport",
        "_unread",
        "is_busy",
        "quiet_since_s",
    )

    def __init__(
        self, received: Received, connections: "set[Connection]", most_bytes: int | None = None
    ) -> None:
        self._received = received
        self._connections = connections
        self._most_bytes = most_bytes
        self._transport: asyncio.Transport
        self._data = b""  # not looked at yet
        self._head: Head | None = None
        self._body: bytearray | None = None  # of the length told, filled as it comes
        self._filled = 0
        self._chunks: _Chunks | None = None  # instead, where no length was told
        self._stream: Iterator[bytes] | None = None
        self._is_full = False
        self._unread = 0
        self._is_refused = False
        self._is_last = False  # the client sends no more
        self.is_busy = False  # a request is being answered
        self.quiet_since_s = time.monotonic()

    @property
    def is_receiving(self) -> bool:
        """Whether a request has begun to come in and is not whole."""
        return not self.is_busy and (self._body is not None or self._chunks is not None or bool(self._data))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]  # asyncio tells no more
        # Each answer is written at once, and not when the loop has been around: a turn may lie between.
        self._transport.set_write_buffer_limits(high=0)
        self._connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection; an answer that is being made is dropped when it comes."""
        self._connections.discard(self)
        self._end_stream()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, and hand on a request when it is whole."""
        if self._is_refused:
            self._drop(len(data))
        elif self.is_busy:
            self._data += data
            self._transport.pause_reading()
        elif self._body is not None:
            self.quiet_since_s = time.monotonic()
            self._fill(data)
        elif self._chunks is not None:
            self.quiet_since_s = time.monotonic()
            self._add_chunks(data)
        elif self._data:
            self._read_head(self._data + data, goes_on=True)
        else:
            self._read_head(data)

    def eof_received(self) -> bool:
        """Go on with what is whole, refuse what breaks off; return whether an answer is still to come."""
        if self._body is not None or self._chunks is not None:
            self._break_off()
        self._is_last = True
        if self._data and not self.is_busy:
            asyncio.get_running_loop().call_soon(self._read_on)
        return self.is_busy or bool(self._data)

    def pause_writing(self) -> None:
        """Hold a stream back until the client has read."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Go on with a stream."""
        self._is_full = False
        if self._stream is not None:
            asyncio.get_running_loop().call_soon(self._stream_on)

    def send(self, response: Response) -> None:
        """Answer the request that was handed on last."""
        head = self._head
        if head is None or self._transport.is_closing():
            close(response.body)
            return
        is_whole = isinstance(response.body, bytes)
        if response.status in _WITHOUT_BODY or (head.method == b"HEAD" and not is_whole):
            self._transport.write(_head_bytes(response, b"", head.closes))
            try:
                close(response.body)
            finally:
                self._next(head)
        elif isinstance(response.body, bytes):
            body = b"" if head.method == b"HEAD" else response.body
            self._transport.write(_head_bytes(response, _told(response.body), head.closes) + body)
            self._next(head)
        else:
            head.closes |= head.is_1_0  # which knows no chunks: its stream ends with the connection
            framing = b"" if head.is_1_0 else _CHUNKED
            self._transport.write(_head_bytes(response, framing, head.closes))
            self._stream = response.body
            self._stream_on()

    def close(self) -> None:
        """Close, after what has been written."""
        self._transport.close()

    def _read_head(self, data: bytes, goes_on: bool = False) -> None:
        self._data = b""
        try:
            head = head_of(data)
        except BadHeadError as error:
            self._refuse(error_response(error.status, _code(error.status), str(error)))
            return
        if head is None:
            self._data = data
            if not goes_on:  # else a head could come in for ever, byte by byte
                self.quiet_since_s = time.monotonic()
            if self._is_last:
                self._transport.close()
            return
        self._head = head
        rest = data[head.size :]
        if head.length is None:
            self._chunks = _Chunks()
            self._add_chunks(rest)
        elif len(rest) >= head.length:
            self._data = rest[head.length :]
            self._hand_on(head, rest[: head.length])
        elif self._most_bytes is not None and head.length > self._most_bytes:
            self._refuse_too_large(head.length - len(rest))
        else:
            self._body, self._filled = bytearray(head.length), 0
            self._fill(rest)
        if self._body is None and self._chunks is None:
            return
        if self._is_last:
            self._break_off()
            return
        self.quiet_since_s = time.monotonic()
        self._encourage(head)

    def _break_off(self) -> None:
        """Refuse a body of which no more will come."""
        self._body = self._chunks = None
        self._refuse(refusal(ClientDisconnectedError(_BROKEN_OFF)))

    def _encourage(self, head: Head) -> None:
        if not head.is_1_0 and (head.text(b"expect") or "").lower() == "100-continue":
            self._transport.write(_CONTINUE)

    def _fill(self, data: bytes) -> None:
        body, head = self._body, self._head
        if body is None or head is None:
            return
        until = self._filled + len(data)
        if until < len(body):
            body[self._filled : until] = data
            self._filled = until
            return
        missing = len(body) - self._filled
        body[self._filled :] = data[:missing]
        self._body = None
        self._data = data[missing:]
        self._hand_on(head, bytes(body))

    def _add_chunks(self, data: bytes) -> None:
        chunks, head = self._chunks, self._head
        if chunks is None or head is None:
            return
        try:
            is_whole = chunks.feed(data)
        except ValueError as error:
            self._chunks = None
            self._refuse(error_response(400, "BadRequest", f"{error}."))
            return
        if self._most_bytes is not None and chunks.size > self._most_bytes:
            self._chunks = None
            self._refuse_too_large(_UNREAD_AT_MOST)
        elif is_whole:
            self._chunks = None
            self._data = chunks.rest
            self._hand_on(head, b"".join(chunks.pieces))

    def _hand_on(self, head: Head, body: bytes) -> None:
        if self._most_bytes is not None and len(body) > self._most_bytes:
            self._refuse_too_large(0)
            return
        self.is_busy = True
        self._received(self, head, body)

    def _refuse_too_large(self, unread: int) -> None:
        limit = self._most_bytes or 0
        error = PayloadTooLargeError(too_large_message(limit // MEGABYTE), limit_bytes=limit)
        self._refuse(refusal(error), unread)

    def _refuse(self, response: Response, unread: int = _UNREAD_OF_A_HEAD) -> None:
        """Answer what is no request of ours, and close: where the next one begins is not known.

        What the client is still sending is read, within bounds: else it would not see the answer.
        """
        body = response.body if isinstance(response.body, bytes) else b""
        self._transport.write(_head_bytes(response, _told(body), closes=True) + body)
        self._head = None
        self._is_refused = True
        self._unread = min(unread, _UNREAD_AT_MOST)
        self.quiet_since_s = time.monotonic() - _REFUSED_S
        if not self._unread or self._is_last:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()

    def _drop(self, size: int) -> None:
        self._unread -= size
        if self._unread <= 0:
            self._transport.close()

    def _next(self, head: Head) -> None:
        """Be ready for the next request, which may be here already."""
        self._head = None
        self.is_busy = False
        self.quiet_since_s = time.monotonic()
        if head.closes or (self._is_last and not self._data):
            self._transport.close()
        elif self._data:  # by the loop: thousands may lie here, each answered at once
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        """Go on with what came behind the last request."""
        if not self.is_busy and not self._is_refused and self._data:
            self._transport.resume_reading()
            data, self._data = self._data, b""
            self._read_head(data)

    def _stream_on(self) -> None:
        """Send the next chunk, and let others have their turn before the one after."""
        stream, head = self._stream, self._head
        if stream is None or head is None or self._is_full:
            return
        try:
            chunk = next(stream, None)
        except BaseException:
            log.exception("a streamed answer broke off")
            self._end_stream()
            self._transport.abort()  # so that the client sees that the rest is missing
            return
        if chunk is None:
            self._stream = None
            if not head.is_1_0:
                self._transport.write(_LAST_CHUNK)
            self._next(head)
            return
        if chunk:
            self._transport.write(chunk if head.is_1_0 else b"%x\r\n%b\r\n" % (len(chunk), chunk))
        asyncio.get_running_loop().call_soon(self._stream_on)

    def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        close(stream)


class _Chunks:
    """A chunked body as it comes in."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self._taken = 0
        self._parser = H1CProtocol(on_body=self._add)
        self._parser.feed(_HEAD_BEFORE_CHUNKS)

    def feed(self, data: bytes) -> bool:
        """Take bytes in; return whether the body is whole (ValueError: it is broken, or hardly a body)."""
        self._taken += len(data)
        self._parser.feed(data)
        if self._parser.is_complete:
            return True
        if self._taken > _MOST_BESIDE_CHUNKS + _MOST_PER_BYTE * self.size:
            raise ValueError("the lines of the chunks are far longer than the chunks")
        return False

    @property
    def rest(self) -> bytes:
        """What came after the body."""
        return bytes(self._parser.remaining() or b"")

    def _add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.size += len(piece)


def _told(body: bytes) -> bytes:
    """Return the header that tells how long a body is."""
    return b"Content-Length: %d\r\n" % len(body)


def _head_bytes(response: Response, framing: bytes, closes: bool) -> bytes:
    """Return the status line and headers of a response.

    Args:
        framing: the header that tells where the body ends; none where there is no body, or it ends with
            the connection.
        closes: whether the connection does.
    """
    begin = _BEGINNINGS.get((response.status, response.content_type)) or _beginning(response)
    if response.headers:
        said = chain(response.headers.items(), response.repeated)
        begin += "".join(f"{name}: {value}\r\n" for name, value in said).encode("latin-1")
    return begin + framing + (b"Connection: close\r\n\r\n" if closes else b"\r\n")


def _beginning(response: Response) -> bytes:
    status = int(response.status)
    phrase = _PHRASES.get(status, "Unknown")
    begin = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {response.content_type}\r\n".encode("latin-1")
    if len(_BEGINNINGS) < _MOST_BEGINNINGS:
        _BEGINNINGS[status, response.content_type] = begin
    return begin


_BEGINNINGS: dict[tuple[int, str], bytes] = {}
_MOST_BEGINNINGS = 64


def _code(status: int) -> str:
    return HTTPStatus(status).phrase.replace("-", "").title().replace(" ", "")
