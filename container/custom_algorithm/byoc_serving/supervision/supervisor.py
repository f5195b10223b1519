"""`serve`: nginx and gunicorn live and die together, and /ping is answered beside them.

A signal handler only wakes the loop; the loop decides. It is a plain `select`: asyncio alone would take a
third of the 250 ms that SageMaker gives to start listening. What SageMaker expects of `serve` is section B of
its hosting contract (your-algorithms-inference-code): accept within 250 ms, /ping within 2 s, end within 30 s
of SIGTERM.
"""

import contextlib
import errno
import json
import logging
import math
import os
import re
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from byoc_serving.errors import ServingError, SettingsError
from byoc_serving.logs import log_to_stdout
from byoc_serving.settings import (
    DRAIN_S,
    RUN_DIR_VARIABLE,
    Settings,
    settings_from,
)
from byoc_serving.supervision.children import Child, exit_reason, reap, start
from byoc_serving.supervision.cores import available_cores, share_cores, thread_limits
from byoc_serving.supervision.health import Health, State, health
from byoc_serving.supervision.nginx import find_nginx, write_configuration
from byoc_serving.supervision.nginx_log import NginxLog
from byoc_serving.supervision.scoreboard import InFlight, Scoreboard

if TYPE_CHECKING:
    from byoc_serving.metrics.emf import Reports

log = logging.getLogger("serve")

PING_SOCKET = "ping.sock"
GUNICORN_SOCKET = "gunicorn.sock"
_LONGEST_RUN_DIR = 80

# How long a failed container keeps saying why on /ping before it ends.
LINGER_S = 1.0
# How long workers without a request get to end by themselves.
IDLE_S = 2.0

FAILED = 1  # the exit status when the model cannot be served

# nginx sends a ping whole and at once; nobody else can reach the socket.
_PING_PATIENCE_S = 0.2


def main(environ: Mapping[str, str]) -> int:
    """Serve until told to stop, and return the exit status: 0 after SIGTERM, else what went wrong."""
    started_s = time.monotonic()
    run_dir = _make_run_dir()
    try:
        settings = replace(settings_from(environ), run_dir=run_dir)
        log_to_stdout(settings.log_level)
        _refuse_what_cannot_be_served(settings)
        return Supervisor(settings, run_dir, environ, started_s).run()
    except ServingError as error:
        log_to_stdout(logging.INFO)
        log.error(str(error))  # noqa: TRY400 - for the person who runs the container, who can mend it
        return FAILED
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)


class Supervisor:
    """One run of `serve`."""

    def __init__(
        self, settings: Settings, run_dir: Path, environ: Mapping[str, str], started_s: float
    ) -> None:
        self._settings = settings
        self._run_dir = run_dir
        self._environ = environ
        self._started_s = started_s
        self._scoreboard = Scoreboard(run_dir, os.getpid())
        self._selector = selectors.DefaultSelector()
        self._children: list[Child] = []
        self._stop_signal: signal.Signals | None = None
        self._reports = _reports(settings, run_dir)
        self._was_ready = False
        self._final_health: Health | None = None  # what /ping says from now on, whatever the workers do

    def run(self) -> int:
        """Start everything, keep watch, end everything; return the exit status."""
        self._listen_to_signals()
        self._listen_to_pings()
        try:
            self._start_children()
            return self._watch()
        finally:
            for child in self._children:
                child.signal_all(signal.SIGKILL)

    def health(self) -> Health:
        """Return what /ping says now."""
        if self._final_health:
            return self._final_health
        if reason := self._scoreboard.failure():
            return Health(State.FAILED, reason)
        return health(self._scoreboard.scores(), time.monotonic(), self._started_s, self._settings.timeout_s)

    def _listen_to_signals(self) -> None:
        woken, self._wakeup = socket.socketpair()  # kept: a signal is written to it
        woken.setblocking(False)
        self._wakeup.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ, lambda: woken.recv(4096))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves SIGHUP
                signal.signal(number, self._record_stop)
        for number in (signal.SIGCHLD, signal.SIGUSR1):  # a child has ended; a worker has news
            signal.signal(number, lambda *_: None)

    def _record_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stop_signal = signal.Signals(number)

    def _listen_to_pings(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._run_dir / PING_SOCKET))
        listener.listen(128)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._answer(listener))

    def _answer(self, listener: socket.socket) -> None:
        """Answer what nginx asks: it passes on only /ping and /metrics, whole and without a body."""
        with contextlib.suppress(OSError):  # nginx gave up on it; it will ask again
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_PING_PATIENCE_S)
                asked = connection.recv(65536)
                is_scrape = asked.partition(b" ")[2].startswith(b"/metrics")
                connection.sendall(_metrics(self._run_dir) if is_scrape else _ping(self.health()))

    def _start_children(self) -> None:
        cores = available_cores()
        shares = share_cores(cores, self._settings.workers, self._settings.preload)
        limits = thread_limits(self._environ, shares.threads, self._settings.preload)
        address = f"{self._settings.host}:{self._settings.port}"
        bind = address
        if nginx := find_nginx(self._environ.get("PATH")):
            configuration = write_configuration(self._settings, self._run_dir, cores, shares.workers)
            command = [nginx, "-e", "stderr", "-p", str(self._run_dir), "-c", str(configuration)]
            self._children.append(self._start_nginx(command))
            bind = f"unix:{self._run_dir / GUNICORN_SOCKET}"
        else:
            log.warning(
                "nginx is not installed: gunicorn serves alone, and /ping waits while workers load or work"
            )
        command = [sys.executable, "-m", "gunicorn", "-c", "python:byoc_serving.door.gunicorn_conf"]
        command += ["--bind", bind, "--workers", str(shares.workers), "wsgi:app"]
        variables = {**self._environ, **limits, RUN_DIR_VARIABLE: str(self._run_dir)}
        self._children.append(start("gunicorn", command, variables, signal.SIGQUIT))
        log.info(
            f"listening on {address}, loading the model in {shares.workers} worker(s)",
            extra={"workers": shares.workers, "threads_each": shares.threads, "cores": cores},
        )

    def _start_nginx(self, command: list[str]) -> Child:
        """Start nginx, whose stderr is read beside the pings."""
        pipe, stderr = os.pipe()
        os.set_blocking(pipe, False)
        try:
            child = start("nginx", command, self._environ, signal.SIGTERM, stderr)
        finally:
            os.close(stderr)
        written = NginxLog(pipe)
        self._selector.register(pipe, selectors.EVENT_READ, lambda: self._hear(pipe, written))
        return child

    def _hear(self, pipe: int, written: NginxLog) -> None:
        if not written.read():
            self._selector.unregister(pipe)
            os.close(pipe)

    def _watch(self) -> int:
        """Wait for the first thing that ends this container, and end it."""
        deadline_s = self._started_s + self._settings.startup_timeout_s
        while True:
            self._attend(None if self._was_ready else deadline_s)
            now = self.health()
            if self._stop_signal:
                return self._drain(self._stop_signal)
            if now.state is State.FAILED:
                return self._fail(now.reason, FAILED)
            if ended := next((child for child in self._children if child.ended), None):
                return self._fail(*exit_reason(ended))
            if self._was_ready:
                continue
            if now.state is State.READY:
                self._was_ready = True
                log.info(f"ready after {time.monotonic() - self._started_s:.1f} s")
            elif time.monotonic() >= deadline_s:
                return self._fail(
                    f"The model was not loaded within {self._settings.startup_timeout_s:g} s. "
                    "If it needs longer, raise SAGEMAKER_STARTUP_TIMEOUT.",
                    FAILED,
                )

    def _attend(self, deadline_s: float | None) -> None:
        """Answer pings and collect ended children, until something may have changed or time is up."""
        timeout_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
        if self._reports:
            timeout_s = min(self._reports.wait_s, math.inf if timeout_s is None else timeout_s)
        for key, _ in self._selector.select(timeout_s):
            key.data()
        reap(self._children)
        if self._reports:
            self._reports.tick()

    def _fail(self, reason: str, status: int) -> int:
        """Say why on /ping for a moment, end what is left; the reason is the last line of the log."""
        self._final_health = Health(State.FAILED, reason)
        if not self._was_ready:
            self._attend_until(lambda: False, time.monotonic() + LINGER_S)
        for child in self._children:
            child.signal_all(signal.SIGKILL)
        self._attend_until(lambda: all(child.ended for child in self._children), time.monotonic() + LINGER_S)
        self._report()
        log.error(reason)
        return status

    def _drain(self, number: signal.Signals) -> int:
        """Finish what was accepted, the front door first: while nginx waits for answers, gunicorn goes on."""
        patience_s = DRAIN_S if self._was_ready else 0  # before it was ready nothing can have been accepted
        log.info(f"{number.name}: finishing what is in flight, for up to {patience_s} s")
        self._final_health = Health(State.DRAINING, "The container is stopping.")
        deadline_s = time.monotonic() + patience_s
        for child in self._children:  # nginx, where there is one, comes before gunicorn
            child.end_gently()
            if (
                child.name == "gunicorn" and not self._in_flight()
            ):  # a worker may be loading: that is for nobody
                deadline_s = min(deadline_s, time.monotonic() + IDLE_S)
            self._attend_until(lambda child=child: child.ended, deadline_s)  # type: ignore[misc]
        for request in self._in_flight():
            log.error("given up: not answered in time", extra=request.ids)
        self._report()
        log.info("stopped")
        return 0

    def _report(self) -> None:
        if self._reports:
            self._reports.report()

    def _in_flight(self) -> list[InFlight]:
        return [request for score in self._scoreboard.scores() for request in score.in_flight]

    def _attend_until(self, condition: Callable[[], bool], deadline_s: float) -> None:
        while not condition() and time.monotonic() < deadline_s:
            self._attend(deadline_s)


def _reports(settings: Settings, run_dir: Path) -> "Reports | None":
    if settings.metrics != "emf":
        return None
    from byoc_serving.metrics.emf import Reports
    from byoc_serving.supervision.standing import families_of

    return Reports(lambda: families_of(run_dir), settings.metrics_namespace, lambda line: os.write(1, line))


def _ping(now: Health) -> bytes:
    body = json.dumps({"status": now.state, **({"reason": now.reason} if now.reason else {})}).encode()
    return _http(now.status, "application/json", body)


def _metrics(run_dir: Path) -> bytes:
    # Not sooner: what tells metrics would take a tenth of the time that there is to start listening.
    from byoc_serving.metrics.page import CONTENT_TYPE, page
    from byoc_serving.supervision.standing import families_of

    return _http(HTTPStatus.OK, CONTENT_TYPE, page(families_of(run_dir)))


def _http(status: HTTPStatus, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _make_run_dir() -> Path:
    """Return a new folder for sockets and nginx's files: in TMPDIR where its name is fit for both, or /tmp.

    A socket's path may have 107 bytes (unix(7)); nginx reads some characters as its own syntax.
    """
    path = tempfile.mkdtemp(prefix="serve-")
    if len(path) > _LONGEST_RUN_DIR or not re.fullmatch(r"[\w./-]+", path, re.ASCII):
        Path(path).rmdir()
        path = tempfile.mkdtemp(prefix="serve-", dir="/tmp")
    return Path(path)


def _refuse_what_cannot_be_served(settings: Settings) -> None:
    if settings.multi_model and settings.manifest_sha256:
        raise SettingsError(
            "MODEL_MANIFEST_SHA256 is that of one model, and SAGEMAKER_MULTI_MODEL is on. Leave it out; "
            "MODEL_MANIFEST_REQUIRED holds each model to a manifest."
        )
    address = f"{settings.host}:{settings.port}"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            remedy = (
                "Set SAGEMAKER_BIND_TO_PORT to a free port, or end what uses this one."
                if error.errno in {errno.EADDRINUSE, errno.EACCES}
                else "Set MODEL_SERVER_HOST to an IPv4 address of this machine."
            )
            raise SettingsError(f"Cannot listen on {address}: {error.strerror}. {remedy}") from error
