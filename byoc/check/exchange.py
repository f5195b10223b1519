"""One HTTP call to a container, with all that the rules want to see of it."""

import contextlib
import http.client
import re
import select
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from byoc.check.verdict import CannotTestError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

Dial = Callable[[], socket.socket]

CALL_S = 60.0  # what SageMaker waits for an answer to /invocations
_SHOWN = 200
_LOOKED_AT = 4096
_MARKUP = re.compile(r"<head\b.*?</head>|<[^<>]*>", re.DOTALL | re.IGNORECASE)
NAME = "localhost"  # what a container that is started here is called in its calls
_STUCK_S = 1.0  # how long nothing more of a request is taken before an answer that is there is read
_LONGEST_ANSWER = 256 * 1024 * 1024
_HTTP_1_1 = 11


class BrokenCallError(CannotTestError):
    """No whole answer came; the message says what came instead: refused, closed, timed out, not HTTP."""


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    Attributes:
        headers: their names in lower case.
        seconds: from the begin of the request to the end of the answer.
        closes: whether the connection is at its end with it.
        version: 11 for HTTP/1.1, 10 for HTTP/1.0.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    closes: bool = False
    version: int = _HTTP_1_1

    @property
    def is_good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def blames_the_caller(self) -> bool:
        """Whether the status is 4xx."""
        return 400 <= self.status < 500

    def __str__(self) -> str:
        """The status, and the begin of the body on one line, to end a sentence with."""
        text = self.body[:_LOOKED_AT].decode(errors="replace")
        if text.lstrip().startswith("<"):
            text = _MARKUP.sub(" ", text)
        text = " ".join(text.split())
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
        return f"{self.status} {shown}".strip().rstrip(".")


class Wire(socket.socket):
    """A connected socket with one time for all that is sent and received, and one end of what it takes."""

    def allow(self, seconds: float) -> None:
        """Begin a call, which may take so long from now on."""
        self._deadline = time.monotonic() + seconds
        self._received = 0

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """Receive what comes next; TimeoutError when the call's time is over."""
        self.settimeout(self._left_s())
        got = super().recv_into(buffer, nbytes, flags)
        self._received += got
        if self._received > _LONGEST_ANSWER:
            raise OSError(f"the answer had not ended after {_LONGEST_ANSWER >> 20} MiB")
        return got

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """Send all; BrokenPipeError where an answer is there and nothing more is taken."""
        rest = memoryview(data).cast("B")
        while rest:
            while not self._is_ready(select.POLLOUT, min(_STUCK_S, self._left_s())):
                if self._is_ready(select.POLLIN, 0):
                    raise BrokenPipeError("it was answered before all of it was sent")
            self.settimeout(self._left_s())
            rest = rest[self.send(rest, flags) :]

    def _left_s(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _is_ready(self, what: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self, what)
        return bool(poll.poll(seconds * 1000))


class Line:
    """One connection to a container, for one call or for several.

    Args:
        host: what the calls name as their Host.

    Attributes:
        connect_s: how long it took until somebody had accepted.
    """

    def __init__(self, dial: Dial, timeout_s: float = CALL_S, host: str = NAME) -> None:
        """Connect.

        Raises:
            BrokenCallError: nobody listens.
        """
        self._timeout_s, self._host = timeout_s, host
        began = time.monotonic()
        try:
            connected = dial()
        except OSError as error:
            why = "not accepted in time" if isinstance(error, TimeoutError) else _words(error)
            raise BrokenCallError(f"no connection ({why})") from error
        self.connect_s = time.monotonic() - began
        self._wire = Wire(fileno=connected.detach())
        with contextlib.suppress(OSError):  # a small body is to follow its headers at once
            self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = http.client.HTTPConnection(NAME)
        self._connection.auto_open = 0  # a connection that has ended is not made anew, to wherever
        self._connection.sock = self._wire

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the whole answer; a body in pieces is sent chunked.

        Raises:
            BrokenCallError: no whole answer came.
        """
        began = time.monotonic()
        self._wire.allow(self._timeout_s)
        try:
            is_sent = self._send(method, path, body, dict(headers or {}))
            with self._connection.getresponse() as response:
                content = response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:  # that: a chunk of -5 bytes
            took = time.monotonic() - began
            raise BrokenCallError(f"{method} {path}: {_words(error)} after {took:.1f} s") from error
        fields = {name.lower(): value for name, value in response.getheaders()}
        took = time.monotonic() - began
        closes = response.will_close or not is_sent
        return Answer(response.status, fields, content, took, closes, response.version)

    def _send(self, method: str, path: str, body: bytes | Iterable[bytes], headers: dict[str, str]) -> bool:
        """Send a request; return whether all of it was taken: where not, the answer may be there already."""
        headers["Host"] = self._host
        if not isinstance(body, bytes):
            headers["Transfer-Encoding"] = "chunked"
        elif method == "POST":
            headers["Content-Length"] = str(len(body))
        in_pieces = "Transfer-Encoding" in headers
        try:
            self._connection.request(method, path, body or None, headers, encode_chunked=in_pieces)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True


def _words(error: Exception) -> str:
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words
    if isinstance(error, http.client.BadStatusLine | http.client.UnknownProtocol):
        return f"the answer does not begin as HTTP does, but with {str(error)[:40]!r}"
    return str(error) or type(error).__name__


_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((TimeoutError,), "no whole answer"),
    ((ConnectionRefusedError,), "connection refused"),
    (
        (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError),
        "the connection was closed without an answer",
    ),
    ((http.client.IncompleteRead,), "the answer ended in the middle"),
    (
        (http.client.NotConnected, http.client.CannotSendRequest),
        "the connection had ended with the call before",
    ),
)
