"""Measures what our server takes as it stands: memory with a large model, processor time without requests."""

import time
from dataclasses import replace

import numpy as np

from bench.contest.bodies import JSON
from bench.contest.errors import NotMeasuredError
from bench.contest.resources import cpu_s, pss_mb
from bench.contest.run import Run
from bench.contest.running import Started, started, wait_until_quiet
from bench.contest.servers import OURS
from bench.contest.wrk import Shot, load

REQUESTS = 10_000
IDLE_S = 10.0
CLIENTS = 16
_ROUND_S = 2
_MOST_ROUNDS = 30
_LARGE = replace(
    OURS,
    variables={**OURS.variables, "MODEL_SERVER_PRELOAD": "true", "MODEL_SERVER_WORKERS": "4"},
    prepared=("{work}", "{subject}", "{image}", "big_model.py"),
)


def measure_memory(run: Run) -> None:
    """Measure four workers with one model of 500 MB: before any request, and after 10,000; in MB of PSS."""
    with started(_LARGE, run) as ours:
        wait_until_quiet(ours)
        before = pss_mb(ours.family())
        answered = _ask(ours, run)
        wait_until_quiet(ours)
        after = pss_mb(ours.family())
    run.results.add(OURS.name, "memory_before.mb", before)
    run.results.add(OURS.name, "memory.mb", max(before, after))
    run.report(
        f"memory with a model of 500 MB: {before:.0f} MB, after {answered:,.0f} requests {after:.0f} MB"
    )


def measure_idle(run: Run) -> None:
    """Measure the processor time that our server uses while nobody asks, after it was asked; % of a core."""
    with started(OURS, run) as ours:
        load(_shot(ours, run), CLIENTS, 1)
        wait_until_quiet(ours)
        for _ in range(run.repeats):
            began, before = time.monotonic(), cpu_s(ours.family())
            time.sleep(IDLE_S)
            used = (cpu_s(ours.family()) - before) / (time.monotonic() - began) * 100
            run.results.add(OURS.name, "idle.percent", used)
            run.report(f"idle: {used:.2f} % of a core")


def _ask(ours: Started, run: Run) -> float:
    """Ask at least 10,000 times; return how often it was answered."""
    shot = _shot(ours, run)
    answered = 0.0
    for _ in range(_MOST_ROUNDS):
        outcome = load(shot, CLIENTS, _ROUND_S)
        answered += outcome.per_second * _ROUND_S
        if outcome.failures:
            raise NotMeasuredError(f"{outcome.failures} requests failed with the large model")
        if answered >= REQUESTS:
            return answered
    raise NotMeasuredError(f"only {answered:.0f} requests were answered in {_MOST_ROUNDS * _ROUND_S} s")


def _shot(ours: Started, run: Run) -> Shot:
    body = run.work / "row.body"
    body.write_bytes(JSON.encode(np.load(run.subject / "rows.npy", mmap_mode="r")[:1]))
    return Shot(ours.url(JSON.path), body, JSON.content_type)
