"""The sample's model behind `serve`, as a process of its own that is watched."""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from byoc.runtime.network import free_port
from byoc.runtime.process import Command, Process
from byoc.runtime.procfs import family

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "container" / "custom_algorithm"
HOST = "127.0.0.1"
START_S = 120.0
_LOOK_S = 0.1


@dataclass(frozen=True)
class Served:
    """A server that answers, and the workers that it began with."""

    port: int
    process: Process
    work: Path
    workers: frozenset[int]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.port}"

    def dial(self) -> socket.socket:
        """Connect to its port: to nginx."""
        return socket.create_connection((HOST, self.port), timeout=10)

    def dial_worker(self) -> socket.socket:
        """Connect to a worker itself, past nginx."""
        [path, *_] = sorted(self.work.glob("serve-*/worker-*.sock"))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect(str(path))
        return connection

    def trouble(self) -> str:
        """Return what has become of it, "" where it is as it was."""
        if self.process.poll() is not None:
            return f"serve ended:\n{self.process.tail()}"
        if workers_of(self.process) != self.workers:
            return f"a worker was replaced:\n{self.process.tail()}"
        return ""


def train(work: Path) -> Path:
    """Copy the image's program and train the sample in the copy; return the program's folder."""
    program = work / "program"
    shutil.copytree(IMAGE, program, ignore=shutil.ignore_patterns(".temps", "__pycache__"))
    subprocess.run([sys.executable, str(program / "apps" / "main.py")], check=True, capture_output=True)
    return program


@contextmanager
def serving(program: Path, work: Path, door: str) -> Iterator[Served]:
    """Serve the trained sample through a door until the block ends; its schema is enforced."""
    (work / "ml").mkdir(parents=True)
    shutil.copytree(program / "apps" / ".temps" / "model", work / "ml" / "model")
    port = free_port()
    variables = {
        "SAGEMAKER_BASE_DIR": str(work / "ml"),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "MODEL_SERVER_HOST": HOST,
        "MODEL_SERVER_DOOR": door,
        "MODEL_SERVER_SCHEMA": "enforce",
        "MODEL_SERVER_WORKERS": "2",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
        "TMPDIR": str(work),
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SAGEMAKER_", "MODEL_"))}
    command = [sys.executable, str(program / "serve")]
    with Process(
        Command("serve", command, kept | variables, work, work / "log", 10.0, foreign=True)
    ) as process:
        _wait_until_ready(port, process)
        yield Served(port, process, work, workers_of(process))


def workers_of(process: Process) -> frozenset[int]:
    """Return the ids of gunicorn's workers: of its processes, those whose parent is one too."""
    pythons = {one.pid: one for one in family(process.pid) if "gunicorn" in " ".join(one.words)}
    return frozenset(pid for pid, one in pythons.items() if one.parent in pythons)


def _wait_until_ready(port: int, process: Process) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        time.sleep(_LOOK_S)
    raise SystemExit(f"serve does not start:\n{process.tail()}")
