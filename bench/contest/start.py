"""Measures how long a start takes, beside a process that does only what has to be done."""

import subprocess
import time
from pathlib import Path

from bench.contest.environments import PROGRAMS, environment
from bench.contest.errors import NotMeasuredError
from bench.contest.run import Run
from bench.contest.running import START_S, complaint, environ_for, started
from bench.contest.servers import OURS

LEAST = "importing, verifying, loading"


def measure_start(run: Run) -> None:
    """Alternate between our start up to the first 200 on /ping, and the least that a start takes; in s."""
    for number in range(run.repeats + 1):
        with started(OURS, run) as ours:
            folder = Path(ours.process.command.cwd)
        least_s = _least_s(run, folder)
        if number:  # the first round fills the page cache, and compiles the modules
            run.results.add(OURS.name, "start.s", ours.start_s)
            run.results.add(LEAST, "start.s", least_s)
            run.report(f"start {number}/{run.repeats}  ours {ours.start_s:.2f} s, {LEAST} {least_s:.2f} s")


def _least_s(run: Run, folder: Path) -> float:
    python = environment(OURS.program, run.report)
    command = [
        python,
        PROGRAMS / "ours" / "own_start.py",
        folder / "program" / "apps",
        folder / "ml" / "model",
    ]
    began = time.monotonic()
    environ = environ_for(python, folder, {})
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=START_S, check=False)
    took_s = time.monotonic() - began
    if done.returncode:
        raise NotMeasuredError(f"own_start.py failed: {complaint(done.stderr.splitlines())}")
    return took_s
