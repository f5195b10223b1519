"""How good and how fast the predictions of the demo are."""

import http.client
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence

from byoc.errors import DemoError

POSITIVE = "malignant"
SHOWN_PER_LABEL = 3


def probabilities_in(lines: Iterable[str]) -> list[float]:
    """Return the probabilities of an answer in CSV, one a line.

    Raises:
        DemoError: a line is no number.
    """
    try:
        return [float(line) for line in lines if line.strip()]
    except ValueError as error:
        raise DemoError(f"The predictions shall be numbers, one a line: {error}.") from None


def accuracy_of(probabilities: Sequence[float], labels: Sequence[str]) -> float:
    """Return the share of rows whose likelier diagnosis is their label.

    Raises:
        DemoError: there are more or fewer predictions than labels.
    """
    if len(probabilities) != len(labels):
        raise DemoError(f"{len(labels)} rows were sent, and {len(probabilities)} predictions came back.")
    pairs = zip(probabilities, labels, strict=True)
    return statistics.fmean((probability > 0.5) == (label == POSITIVE) for probability, label in pairs)


def latencies_ms(port: int, rows: Iterable[bytes]) -> Iterator[float]:
    """Send rows of CSV to 127.0.0.1 one by one over one connection; yield the milliseconds of each call.

    Raises:
        DemoError: one was not answered with 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for row in rows:
            began = time.perf_counter()
            connection.request("POST", "/invocations", row, {"Content-Type": "text/csv"})
            response = connection.getresponse()
            body = response.read()
            took_ms = (time.perf_counter() - began) * 1000
            if response.status != 200:
                raise DemoError(f"/invocations answered {response.status}: {body.decode(errors='replace')}")
            yield took_ms
    finally:
        connection.close()


def table_of(probabilities: Sequence[float], labels: Sequence[str]) -> str:
    """Return a few predictions of each label beside it, as lines to be shown."""
    shown: list[int] = []
    for label in sorted(set(labels)):
        shown += [row for row, its in enumerate(labels) if its == label][:SHOWN_PER_LABEL]
    lines = [f"{row + 1:>6}  {probabilities[row]:>21.3f}  {labels[row]}" for row in sorted(shown)]
    return "\n".join([f"   row  probability {POSITIVE}  held-out label", *lines])
