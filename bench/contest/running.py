"""Runs one server as a process of its own, with all that it starts, until the block ends."""

import http.client
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.contest.environments import PROGRAMS, environment
from bench.contest.errors import NotMeasuredError
from bench.contest.resources import cores
from bench.contest.run import Run
from bench.contest.servers import Server
from byoc.runtime.network import free_port
from byoc.runtime.process import Command, Process
from byoc.runtime.procfs import Running, family

HOST = "127.0.0.1"
START_S = 120.0
STOP_S = 10.0
ANSWER_S = 60.0
QUIET = 0.1  # cores in use, below which a server has finished starting
_LOOK_S = 0.01
_LONGEST = 300  # characters of a complaint
_ERROR = re.compile(r"\w*(Error|Exception)\b|\bERROR\b")
_QUIET_LOOK_S = 0.25


@dataclass(frozen=True)
class Started:
    """A server that answers.

    Attributes:
        start_s: from its start to the first 200 of its health check.
    """

    server: Server
    port: int
    process: Process
    start_s: float

    def family(self) -> list[Running]:
        """Return the processes of the server, without the keeper above them."""
        return family(self.process.pid)[1:]

    def url(self, path: str) -> str:
        """Return where something of it is."""
        return f"http://{HOST}:{self.port}{path}"

    def post(self, path: str, body: bytes, content_type: str) -> bytes:
        """Post once, on a connection of its own; return the body of the answer.

        Raises:
            NotMeasuredError: it is not answered with 200.
        """
        status, answer = _exchange(self.port, path, body, {"Content-Type": content_type})
        if status != 200:
            raise NotMeasuredError(f"{self.server.name} answers {status}: {answer[:200]!r}")
        return answer


@contextmanager
def started(server: Server, run: Run, more: Mapping[str, str] | None = None) -> Iterator[Started]:
    """Run a server until the block ends; it ends with this process too, however that dies.

    Args:
        more: further variables of its environment.

    Raises:
        NotMeasuredError: it cannot be installed, or does not start.
    """
    python = environment(server.program, run.report)
    folder = Path(tempfile.mkdtemp(prefix=f"{server.name}-", dir=run.work))
    port = free_port()
    places = {
        "python": python,
        "programs": PROGRAMS,
        "program": PROGRAMS / server.program,
        "image": run.image,
        "subject": run.subject,
        "work": folder,
        "port": port,
        "workers": cores(),
    }
    given = {**server.variables, **(more or {})}
    environ = environ_for(python, folder, {name: value.format(**places) for name, value in given.items()})
    if server.prepared is not None:
        prepare(server, [python, *(word.format(**places) for word in server.prepared)], environ)
    argv = [word.format(**places) for word in server.command]
    with launched(server.name, argv, environ, folder) as process:
        yield Started(server, port, process, _seconds_until_ready(server, port, process))


def environ_for(python: Path, folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server: this one's but for what bounds threads, its own Python first."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_NUM_THREADS")
        and not name.startswith(("SAGEMAKER_", "MODEL_", "AWS_", "GUNICORN_", "PYTHON", "VIRTUAL_ENV"))
    }
    path = os.pathsep.join([str(python.parent), kept.get("PATH", ""), "/usr/sbin"])
    return {**kept, "PATH": path, "TMPDIR": str(folder), "HOME": str(folder), **variables}


def prepare(server: Server, words: Sequence[str | Path], environ: Mapping[str, str]) -> None:
    """Run a program's prepare.py, with a Python and arguments.

    Raises:
        NotMeasuredError: it fails.
    """
    python, *arguments = words
    command = [python, PROGRAMS / server.program / "prepare.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    if done.returncode:
        raise NotMeasuredError(f"{server.program}/prepare.py failed: {complaint(done.stderr.splitlines())}")


def complaint(lines: Sequence[str]) -> str:
    """Return the line of a log that most likely says why its program ended, "" for an empty log."""
    told = [line for line in lines if line.strip()]
    errors = [line for line in told if _ERROR.search(line)]
    return (errors or told or [""])[-1].strip()[:_LONGEST]


@contextmanager
def launched(name: str, argv: Sequence[str], environ: Mapping[str, str], folder: Path) -> Iterator[Process]:
    """Run a program with its log in a folder, and end it and all that it started."""
    with Process(
        Command(name, argv, environ, folder, folder / "log", STOP_S, STOP_S, foreign=True)
    ) as process:
        yield process


def wait_until_quiet(running: Started, within_s: float = 20.0) -> None:
    """Wait until all its workers have started: until it uses the processor no more, or time is up."""
    give_up = time.monotonic() + within_s
    before = sum(one.cpu_s for one in running.family())
    while time.monotonic() < give_up:
        time.sleep(_QUIET_LOOK_S)
        now = sum(one.cpu_s for one in running.family())
        if now - before < QUIET * _QUIET_LOOK_S:
            return
        before = now


def _seconds_until_ready(server: Server, port: int, process: Process) -> float:
    began = time.monotonic()
    while (now := time.monotonic()) < began + START_S:
        with suppress(OSError, http.client.HTTPException):
            if _exchange(port, server.ready, None, {})[0] == 200:
                return time.monotonic() - began
        if process.poll() is not None:
            raise NotMeasuredError(
                f"{server.name} ended while it started: {complaint(process.last_lines(50))}"
            )
        time.sleep(max(0.0, _LOOK_S - (time.monotonic() - now)))
    raise NotMeasuredError(f"{server.name} did not answer {server.ready} within {START_S:g} s")


def _exchange(port: int, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_S)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
