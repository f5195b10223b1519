"""Runs the image's real `serve` for the tests, with other apps/, as its own process tree."""

import compileall
import contextlib
import functools
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aws_fence import NOBODYS_AWS
from byoc.runtime.network import free_port
from processes import alive, below, eventually

PROGRAM = Path(__file__).parents[1] / "container" / "custom_algorithm"
APPS = Path(__file__).parent / "fixtures" / "apps"


@functools.cache
def compile_program():
    """Compile the program as its Dockerfile does: else each `serve` of each test would anew."""
    compileall.compile_dir(PROGRAM, quiet=2)


def copy_program(target):
    """Copy the image's program without its apps/."""
    compile_program()
    shutil.copytree(PROGRAM, target, ignore=shutil.ignore_patterns("apps"))


def program_with(apps, target):
    """Copy the image's program to `target`, with `apps` for its apps/."""
    copy_program(target)
    shutil.copytree(apps, target / "apps", ignore=shutil.ignore_patterns("__pycache__", ".temps"))
    return target


def require_nginx(found, environ):
    """Skip the test where nginx is not installed; in CI, which installs it, fail."""
    if found is None:
        give_up = pytest.fail if environ.get("CI") == "true" else pytest.skip
        give_up("nginx is not installed: apt-get install nginx")


class Serve:
    """A running `serve`, on a free port of loopback."""

    def __init__(self, program, base_dir, prefix=(), **variables):
        (base_dir / "model").mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = base_dir / "serve.log"
        environ = {
            **NOBODYS_AWS,
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "TMPDIR": str(base_dir),
            "SAGEMAKER_BASE_DIR": str(base_dir),
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "MODEL_SERVER_HOST": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, str(program / "serve")],
                env=environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=base_dir,
                start_new_session=True,
            )

    def request(self, method, path, body=None, headers=None, timeout_s=60):
        """Return status, parsed JSON body (or text) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            text = response.read().decode()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def ping(self, timeout_s=5):
        return self.request("GET", "/ping", timeout_s=timeout_s)

    def invoke(self, value, timeout_s=60):
        return self.request(
            "POST", "/invocations", json.dumps(value), {"Content-Type": "application/json"}, timeout_s
        )

    def wait_until_ready(self, within_s=30):
        def ready():
            assert self.process.poll() is None, self.lines()[-5:]
            with contextlib.suppress(OSError):
                return self.ping()[0] == 200

        assert eventually(ready, within_s), self.lines()[-5:]
        return self

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(40)

    def children(self, name):
        """Return the pids of nginx's or gunicorn's processes, the master first."""
        commands = {
            pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below(self.process.pid) if alive(pid)
        }
        return sorted((pid for pid, command in commands.items() if name.encode() in command), key=started)

    def lines(self):
        """Return the log's lines, parsed where they are JSON."""
        parsed = []
        for line in self.log.read_text().splitlines():
            try:
                parsed.append(json.loads(line))
            except ValueError:
                parsed.append({"message": line})
        return parsed


def started(pid):
    """Return when a process was started, in the kernel's ticks; ids begin anew after the highest."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@contextlib.contextmanager
def serve(program, base_dir, **variables):
    """Run `serve` and end everything it started, whatever happens."""
    running = Serve(program, base_dir, **variables)
    left = []
    try:
        yield running
    finally:
        left = below(running.process.pid)
        running.process.terminate()  # it then removes its folder in /tmp
        try:
            running.process.wait(3)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
