"""The web server: uvicorn on sockets that are listening already, more of which may come while it runs."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from byoc.runtime.docker import end_pulls

# Longer than clients keep a connection that they may use again: the server never closes it under them.
_KEEP_ALIVE_S = 75
_GRACE_S = 2
_THREADS = 32
_PATIENCE_S = 10.0


class Web(uvicorn.Server):
    """Serves an ASGI application until SIGTERM or SIGINT.

    Args:
        application: ASGI 3.
        ready: called in a thread of its own as soon as requests are answered.
    """

    def __init__(self, application: Any, ready: Callable[[], None]) -> None:  # noqa: ANN401 - ASGI's type is wide
        super().__init__(
            uvicorn.Config(
                application,
                http="httptools",
                loop="uvloop",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._ready = ready
        self._more: dict[socket.socket, asyncio.AbstractServer] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve_until_told(self, listener: socket.socket) -> None:
        """Serve; return when a signal has come and what was being answered is answered."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises the signal again when it has ended; what remains to be done is ours.
            # One that comes before it listens for them counts too.
            signal.signal(number, self.handle_exit)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, self.handle_exit)
        self.run(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell that it is so."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_THREADS, "operation"))
        threading.Thread(target=self._ready, name="ready", daemon=True).start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; whoever waits for an image to be pulled does not hold it up."""
        end_pulls()
        await super().shutdown(sockets)

    def listen(self, listener: socket.socket) -> None:
        """Accept on one more socket, from another thread than the server's."""
        if self._loop is None:
            raise RuntimeError("the web server has not started")
        asyncio.run_coroutine_threadsafe(self._listen(listener), self._loop).result(_PATIENCE_S)

    def forget(self, listener: socket.socket) -> None:
        """Accept on such a socket no more, and close it, from another thread. Safe to repeat."""
        server = self._more.pop(listener, None)
        if server is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._forget, server)
        else:
            listener.close()

    def _forget(self, server: asyncio.AbstractServer) -> None:
        server.close()
        if server in self.servers:
            self.servers.remove(server)

    async def _listen(self, listener: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state={}
            )
            return made

        server = await asyncio.get_running_loop().create_server(protocol, sock=listener)
        self._more[listener] = server
        self.servers.append(server)
