"""Measures servers under many requests at once: all of them up, one loaded at a time, in turns."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.contest.answers import check
from bench.contest.bodies import Table
from bench.contest.errors import NotMeasuredError
from bench.contest.resources import pss_mb
from bench.contest.run import Run
from bench.contest.running import Started, started, wait_until_quiet
from bench.contest.servers import Server
from bench.contest.wrk import Shot, load

WARM_UP_S = 1
_CHECKED = 200  # rows that every server must predict as the model does, besides the single ones


@dataclass(frozen=True)
class Cell:
    """One load: so many rows in each request, so many clients that each wait for their answer."""

    name: str
    rows: int
    clients: int


CELLS = (
    Cell("row_16", 1, 16),
    Cell("row_1", 1, 1),
    Cell("rows100_16", 100, 16),
    Cell("row_64", 1, 64),
)


def measure_loads(servers: Sequence[Server], run: Run) -> None:
    """Start the servers, check their answers, and load them in turns."""
    with ExitStack() as running:
        up: list[Started] = []
        for server in servers:
            run.report(f"starting {server.name}")
            try:
                one = running.enter_context(started(server, run))
                check_answers(one, run.subject)
            except NotMeasuredError as error:
                run.results.reasons[server.name] = str(error)
                run.report(f"not measured: {error}")
            else:
                up.append(one)
        for one in up:
            wait_until_quiet(one)
        for cell in CELLS:
            _measure(cell, up, run)
        for one in up:
            run.results.add(one.server.name, "start_beside.s", one.start_s)
            run.results.add(one.server.name, "pss.mb", pss_mb(one.family()))


def check_answers(running: Started, subject: Path) -> None:
    """See that a server predicts what the model does, for single rows and for many.

    Raises:
        NotMeasuredError: it does not, or does not answer.
    """
    if not running.server.predicts:
        return
    rows: Table = np.load(subject / "rows.npy", mmap_mode="r")
    expected: Table = np.load(subject / "predictions.npy")
    dialect = running.server.dialect
    for part in (slice(0, 1), slice(1, 2), slice(0, _CHECKED)):
        answer = running.post(dialect.path, dialect.encode(rows[part]), dialect.content_type)
        check(answer, dialect.read, expected[part])


def _measure(cell: Cell, up: Sequence[Started], run: Run) -> None:
    rows: Table = np.load(run.subject / "rows.npy", mmap_mode="r")[: cell.rows]
    shots = {
        one.server.name: _shot(one, rows, run.work / f"{one.server.name}-{cell.name}.body")
        for one in up
        if one.server.predicts or cell.rows == 1
    }
    for shot in shots.values():
        load(shot, cell.clients, WARM_UP_S)
    for number in range(run.repeats):
        for name, shot in shots.items():
            outcome = load(shot, cell.clients, run.seconds)
            run.results.add(name, f"{cell.name}.per_s", outcome.per_second, outcome.failures)
            run.results.add(name, f"{cell.name}.p50_ms", outcome.p50_ms)
            run.results.add(name, f"{cell.name}.p99_ms", outcome.p99_ms)
            run.report(
                f"{cell.name:10} {number + 1}/{run.repeats}  {name:18} {outcome.per_second:9,.0f}/s   p50 "
                f"{outcome.p50_ms:7.2f} ms   p99 {outcome.p99_ms:7.2f} ms   {outcome.failures} failed"
            )


def _shot(running: Started, rows: Table, body: Path) -> Shot:
    dialect = running.server.dialect
    body.write_bytes(dialect.encode(rows))
    return Shot(running.url(dialect.path), body, dialect.content_type)
