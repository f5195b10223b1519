"""One keep-alive HTTP/1.1 connection to a served program: a request goes out, its answer comes back whole."""

import asyncio
import select
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools

MOST_HEAD_BYTES = 64 * 1024  # of an answer's headers, together
_MOST_HEADERS = 500


@dataclass(frozen=True)
class Answer:
    """What a program answered; `headers` by lower-case name, of a repeated one the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BrokenError(Exception):
    """The connection ended before the answer was whole.

    Args:
        reason: what happened, for the caller.
        begun: whether anything of the answer had come.
    """

    def __init__(self, reason: str, begun: bool) -> None:
        super().__init__(reason)
        self.begun = begun


class TooLargeError(Exception):
    """The answer is larger than an endpoint may answer."""


class Connection(asyncio.Protocol):
    """Carries one exchange after another; `reusable` says whether it may carry one more.

    Args:
        most_bytes: the largest answer that is taken.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._begun = False
        self._complete = False
        self._status = 0
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._size = self._head_bytes = 0
        self._waiting_bytes = 0  # since the body last grew: the parser keeps a header that does not end

    @property
    def reusable(self) -> bool:
        """Whether it is open and idle."""
        return self._answered is None and self._transport is not None and not self._transport.is_closing()

    @property
    def stirs(self) -> bool:
        """Whether the kernel has something of an idle connection: its end, or bytes that nobody asked for.

        The event loop may not have come to it yet.
        """
        if self._transport is None:
            return True
        look = select.poll()
        look.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(look.poll(0))

    async def exchange(self, head: bytes, body: bytes, timeout_s: float) -> Answer:
        """Send one request and return its answer.

        Raises:
            TimeoutError: the answer was not whole in time.
            BrokenError: the connection ended first, or what came is not HTTP.
            TooLargeError: the answer is larger than `most_bytes`.
        """
        if not self.reusable or self._transport is None:
            raise BrokenError("the connection was closed", begun=False)
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self._answered = answered
        timer = self._loop.call_later(timeout_s, self._fail, TimeoutError())
        try:
            self._transport.write(head + body)
            return await answered
        finally:
            timer.cancel()
            self._answered = None
            if not self._complete or self._transport is None or self._transport.get_write_buffer_size():
                self.close()
            self._complete = False

    def close(self) -> None:
        """End it at once, whatever is under way. Safe to repeat."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Parse the next bytes; any that nobody asked for end the connection."""
        if self._answered is None:
            self.close()
            return
        self._begun = True
        self._waiting_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if self._waiting_bytes > MOST_HEAD_BYTES:
                self._refuse_head()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BrokenError(f"the answer is not HTTP/1.1: {error}", begun=True))

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange: well, where the end of the connection is the end of the body."""
        self._transport = None
        if self._answered is None or self._answered.done():
            return
        if exc is None and self._until_the_end():
            self._finish()
        elif self._begun:
            self._fail(BrokenError("the answer was cut short", begun=True))
        else:
            self._fail(BrokenError(str(exc or "the connection was closed"), begun=False))

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Forget the answer before; one that nobody asked for ends the connection."""
        if self._answered is None or self._answered.done():
            self.close()
        self._status = 0
        self._headers = {}
        self._pieces = []
        self._size = self._head_bytes = self._waiting_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header, unless there are too many."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MOST_HEAD_BYTES or len(self._headers) >= _MOST_HEADERS:
            self._refuse_head()
        else:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the status."""
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Keep one piece of the body."""
        self._waiting_bytes = 0
        self._size += len(body)
        if self._size > self._most_bytes:
            self._fail(TooLargeError(f"the answer is over {self._most_bytes} bytes"))
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over; 100 Continue and its like only announce it."""
        if self._status >= 200:
            self._finish()

    def _refuse_head(self) -> None:
        most = f"{MOST_HEAD_BYTES} bytes or {_MOST_HEADERS} headers"
        self._fail(BrokenError(f"the answer is not HTTP/1.1: its head has more than {most}", begun=True))

    def _until_the_end(self) -> bool:
        framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        return self._status >= 200 and not framed

    def _finish(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._complete = self._transport is not None and self._parser.should_keep_alive()
            self._answered.set_result(Answer(self._status, self._headers, b"".join(self._pieces)))
            self._pieces = []
            self._begun = False

    def _fail(self, error: Exception) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)
            self.close()
