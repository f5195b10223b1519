"""One served program as the data plane sees it: its pool of connections, and how many calls are in flight."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress

from byoc.local.hosting.connection import Answer, Connection

MOST_BYTES = 25 * 1024 * 1024  # AWS, "SageMaker hosting FAQs": payload limits of real-time endpoints
_MOST_IDLE = 128


class UnreachableError(Exception):
    """The program takes no connection, so that nothing of the request has reached it."""


class Upstream:
    """A program and its connections; all but `in_flight` and `close` belongs to the event loop.

    Args:
        name: the instance, as in its log stream.
        dial: returns a connected socket, or raises OSError; it may block, and runs in a thread.
        dialers: those threads; None takes the event loop's own.

    Attributes:
        in_flight: how many calls it has; Routes counts.
    """

    def __init__(self, name: str, dial: Callable[[], socket.socket], dialers: Executor | None = None) -> None:
        self.name = name
        self.in_flight = 0
        self._dial = dial
        self._dialers = dialers
        self._idle: list[Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def exchange(self, head: bytes, body: bytes, timeout_s: float) -> Answer:
        """Send one request, once, and return its answer.

        It is never sent again, not even where a connection of the pool breaks before an answer: a request
        that ends its program shall not end the next one too. Connections that the program has closed while
        they were idle are seen to be so, and not used.

        Raises:
            UnreachableError: it takes no connection.
            TimeoutError, BrokenError, TooLargeError: as Connection.exchange.
        """
        self._loop = asyncio.get_running_loop()
        give_up = self._loop.time() + timeout_s
        while self._idle:
            pooled = self._idle.pop()
            if pooled.reusable and not pooled.stirs:
                return await self._exchange_on(pooled, head, body, timeout_s)
            pooled.close()
        fresh = await self._connect(timeout_s)
        return await self._exchange_on(fresh, head, body, give_up - self._loop.time())

    def close(self) -> None:
        """Keep no idle connection any more; calls go on. For any thread; safe to repeat."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # that loop has ended, and they with it
                self._loop.call_soon_threadsafe(self._close_idle)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _exchange_on(
        self, connection: Connection, head: bytes, body: bytes, timeout_s: float
    ) -> Answer:
        answer = await connection.exchange(head, body, timeout_s)
        if connection.reusable and not self._closed and len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def _connect(self, timeout_s: float) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                connected = await loop.run_in_executor(self._dialers, self._dial)
            _, connection = await loop.create_connection(lambda: Connection(MOST_BYTES), sock=connected)
        except TimeoutError:
            raise UnreachableError("it accepted no connection in time") from None
        except OSError as error:
            raise UnreachableError(str(error) or type(error).__name__) from error
        return connection
