"""Loads a server by wrk, and reads what wrk says of it."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.contest.errors import BenchError

SCRIPT = Path(__file__).with_name("wrk.lua")
PACED = Path(__file__).with_name("paced.lua")
_LATE_S = 30.0  # beyond the run itself; wrk waits 2 s for a late answer


@dataclass(frozen=True)
class Shot:
    """What is posted, again and again.

    Attributes:
        url: of the server, with the path.
        body: the file that holds the body.
        content_type: of the body.
        headers: further ones.
    """

    url: str
    body: Path
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """One run's outcome.

    Attributes:
        per_second: answers of status 2xx or 3xx in a second.
        failures: answers of another status, and connections or requests that came to nothing.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    failures: int


def load(shot: Shot, connections: int, seconds: int, pace: float | None = None) -> Load:
    """Post over so many connections, by one thread of wrk, for so many seconds.

    Args:
        pace: requests a second, where it is not to be as many as come back.

    Raises:
        BenchError: wrk is not installed, or does not work.
    """
    variables = {
        "BODY": str(shot.body),
        "BASE": str(SCRIPT),
        "PACE": str(pace),
        "HEADERS": "".join(
            f"{name}: {value}\n"
            for name, value in {"Content-Type": shot.content_type, **shot.headers}.items()
        ),
    }
    command = [wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    try:
        done = subprocess.run(
            [*command, "-s", str(PACED if pace else SCRIPT), shot.url],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=seconds + _LATE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"wrk did not end within {seconds + _LATE_S:g} s: {shot.url}") from None
    if done.returncode:
        raise BenchError(f"wrk failed at {shot.url}: {(done.stderr or done.stdout).strip()}")
    return load_from(done.stdout)


def wrk() -> str:
    """Return the program.

    Raises:
        BenchError: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise BenchError("wrk, the load generator, is not installed. Install it: apt-get install wrk")
    return found


def load_from(told: str) -> Load:
    """Return what a run's output says: its last line is wrk.lua's.

    Raises:
        BenchError: that line is missing.
    """
    try:
        said = json.loads(told.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise BenchError(f"this is not what wrk says with {SCRIPT.name}:\n{told}") from None
    seconds = said["duration_us"] / 1e6
    wrong = said["status"]  # wrk counts those among the requests, too
    return Load(
        per_second=(said["requests"] - wrong) / seconds,
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
        failures=wrong + said["connect"] + said["read"] + said["write"] + said["timeout"],
    )
