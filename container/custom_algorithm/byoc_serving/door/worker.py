"""gunicorn's worker of the fast door: one event loop that reads, predicts and answers in turn.

A prediction runs in the loop itself. What arrives meanwhile waits in the sockets, is read at once when the
loop comes back, and is predicted together where rows may be: batches grow with the load, nobody waits.
"""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop
from gunicorn.workers.base import Worker

from byoc_serving.door.behind import Door
from byoc_serving.door.turns import Aside, Turns

HEARTBEAT_S = 1.0  # how often a worker that is not at work says that it lives
_QUIET_S = 75.0  # how long a connection may say nothing
_STALLED_S = 5.0  # how long a request that comes in may pause once the worker is to end
_LOOK_S = 0.02
_HAND_OVER_S = 1.0
_BACKLOG = 2048


def aside_of(loop: asyncio.AbstractEventLoop) -> Aside:
    """Return what does a thing in a thread of its own, and the rest of it in the loop.

    No pool: a load that waits for another would keep an unload waiting. Nobody waits for them at the end.
    """

    def run(act: Callable[[], Callable[[], None]]) -> None:
        then = act()
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the connections
            loop.call_soon_threadsafe(then)

    return lambda act: threading.Thread(target=run, args=(act,), name="aside", daemon=True).start()


class DoorWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves one application of ours from one process.

    Attributes:
        number: from 0; no two workers that live have the same.
        own_socket: listened at beside gunicorn's socket, so that nginx can choose among the workers.
        door: what stands behind its requests.
        is_ready: is called when requests are taken.
        look: is called every second, unless something keeps the loop longer.
        has_outgrown: says whether this process has more memory than it may; another then takes its place.
    """

    loop: asyncio.AbstractEventLoop
    number: int = 0
    own_socket: Path | None = None
    door: Door
    is_ready: Callable[[], None]
    look: Callable[[], None]
    has_outgrown: Callable[[], bool]
    _hands_over = False
    _said_s = 0.0

    def init_process(self) -> None:
        """Make the loop, then do as every worker does."""
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self._stopping = asyncio.Event()
        super().init_process()

    def init_signals(self) -> None:
        """End at once on every signal that asks for it: there is no request yet that could be finished."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda *_: os._exit(0))
        for number in (signal.SIGUSR1, signal.SIGWINCH):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGABRT, self.handle_abort)  # a request has overrun: in the middle of its code

    def run(self) -> None:
        """Serve until told to stop, or until gunicorn's master has gone."""
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        self.loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        turns = Turns(self.door, self.loop.call_soon, self.loop.call_later, aside_of(self.loop))
        servers = [
            await self.loop.create_server(turns.connection, sock=listener.sock) for listener in self.sockets
        ]
        if self.own_socket:
            self.own_socket.unlink(missing_ok=True)
            own = await self.loop.create_unix_server(turns.connection, str(self.own_socket), backlog=_BACKLOG)
            servers.append(own)
        self.is_ready()
        self._beat(turns)
        await self._stopping.wait()
        if self._hands_over:
            await self._hand_over(turns, servers)
            return
        for server in servers:
            server.close()
        await finish(turns, self.cfg.graceful_timeout, self.notify)

    def lives(self) -> None:
        """Say that this worker lives, where that was not said lately."""
        now_s = time.monotonic()
        if now_s - self._said_s >= HEARTBEAT_S:
            self._said_s = now_s
            self.notify()

    def _beat(self, turns: Turns) -> None:
        """Say that this worker lives, and look whether it shall.

        A timer's own callback, which comes before the next turn; a task that one wakes would come after it.
        """
        if self._stopping.is_set():
            return
        self.notify()
        self.look()
        turns.close_quiet_connections(_QUIET_S)
        self._hands_over = self.has_outgrown()
        if self._hands_over or self.ppid != os.getppid():
            self._stopping.set()
        else:
            self.loop.call_later(HEARTBEAT_S, self._beat, turns)

    async def _hand_over(self, turns: Turns, servers: Sequence[asyncio.Server]) -> None:
        """End while nginx goes on: it shall lose no request by that, as it repeats none."""
        if self.own_socket:
            self.own_socket.unlink(missing_ok=True)  # nginx then takes another worker's
        turns.finish()
        await asyncio.sleep(_HAND_OVER_S)  # who has connected before is accepted
        for server in servers:
            server.close()
        await finish(turns, self.cfg.graceful_timeout, self.notify, idle_s=_HAND_OVER_S)


async def finish(
    turns: Turns,
    patience_s: float,
    notify: Callable[[], None],
    stalled_s: float = _STALLED_S,
    idle_s: float = 0.0,
) -> None:
    """Answer what has come in, and what has begun to; then close every connection.

    Args:
        turns: of a worker that accepts no more.
        patience_s: for all of it.
        notify: is called all the while.
        stalled_s: how long a request that comes in may pause.
        idle_s: how long a connection without a request stays, for one that is on its way.
    """
    turns.finish()
    give_up = time.monotonic() + patience_s
    while time.monotonic() < give_up:
        notify()
        await asyncio.sleep(_LOOK_S)  # first: what lies in the sockets is read
        turns.close_quiet_connections(idle_s, stalled_s)
        if not turns.connections:
            return
