"""Measures one request of 10,000 rows on a machine that does nothing else, beside the model's own predict."""

import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import numpy as np

from bench.contest.answers import check
from bench.contest.bodies import CSV, NPY, PARQUET, Dialect, Table, read_json
from bench.contest.environments import PROGRAMS, environment
from bench.contest.errors import NotMeasuredError
from bench.contest.run import Run
from bench.contest.running import ANSWER_S, HOST, environ_for, started, wait_until_quiet
from bench.contest.servers import OURS

ITSELF = "the model itself"
FORMATS = {"large_csv": CSV, "large_npy": NPY, "large_parquet": PARQUET}
ROUNDS = 5  # for each repeat of a load: a request takes a fraction of a second
_PAUSE_S = 0.25  # OpenMP's threads wait actively for a while after their work


def measure_large(run: Run) -> None:
    """Alternate between the model's own predict and a request in each format; times are in ms."""
    rows: Table = np.load(run.subject / "rows.npy")
    expected: Table = np.load(run.subject / "predictions.npy")
    with started(OURS, run) as ours, own_predict(run) as predict:
        connection = http.client.HTTPConnection(HOST, ours.port, timeout=ANSWER_S)
        with closing(connection):
            asks: dict[str, Callable[[], bytes]] = {}
            for name, dialect in FORMATS.items():
                ask = _asking(connection, dialect, dialect.encode(rows))
                try:
                    check(ask(), read_json, expected)
                except NotMeasuredError as error:
                    run.results.reasons[f"{OURS.name} {name}.ms"] = str(error)
                    run.report(f"not measured: {name}: {error}")
                    connection.close()
                else:
                    asks[name] = ask
            wait_until_quiet(ours)
            for _ in range(ROUNDS * run.repeats):
                time.sleep(_PAUSE_S)
                run.results.add(ITSELF, "large.ms", predict() * 1e3)
                for name, ask in asks.items():
                    time.sleep(_PAUSE_S)
                    began = time.perf_counter()
                    ask()
                    run.results.add(OURS.name, f"{name}.ms", (time.perf_counter() - began) * 1e3)
    _tell(run)


def _tell(run: Run) -> None:
    own = run.results.median(ITSELF, "large.ms") or 0.0
    run.report(f"10,000 rows: {own:.1f} ms by the model itself")
    for name in FORMATS:
        if (taken := run.results.median(OURS.name, f"{name}.ms")) is not None:
            run.report(f"10,000 rows: {taken:.1f} ms {name} ({taken / own:.2f} times)")


@contextmanager
def own_predict(run: Run) -> Iterator[Callable[[], float]]:
    """Give a function that returns the seconds of one predict of all rows in a process of its own."""
    python = environment(OURS.program, run.report)
    command = [python, PROGRAMS / "ours" / "own_predict.py", run.subject]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # its end is the program's end, however this process dies
        stdout=subprocess.PIPE,
        text=True,
        env=environ_for(python, run.work, {}),
    )

    def predict() -> float:
        try:
            print(file=process.stdin, flush=True)
            return float(next(iter(process.stdout or ()), ""))
        except (OSError, ValueError):
            raise NotMeasuredError(f"own_predict.py ended with status {process.wait()}") from None

    with process:
        try:
            predict()
            yield predict
        finally:
            process.terminate()


def _asking(connection: http.client.HTTPConnection, dialect: Dialect, body: bytes) -> Callable[[], bytes]:
    def ask() -> bytes:
        connection.request("POST", dialect.path, body, {"Content-Type": dialect.content_type})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise NotMeasuredError(f"{response.status}: {answer[:200].decode(errors='replace')}")
        return answer

    return ask
