"""`context.metrics`: what the user's code counts, by the names that scripts for AWS's containers use.

The methods take what those of MMS and TorchServe take (awslabs/multi-model-server, metrics_store.py); `idx`
and `dimensions` mean nothing here. What cannot be kept is told in the log, once a name, and fails no request.
"""

# ruff: noqa: ARG002 - parameters that scripts give, whether or not they mean something here

import logging
import math
import re
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from byoc_serving.metrics.table import LONGEST_NAME, MOST_OWN, OWN_BOUNDS, Kind, Own, Table

log = logging.getLogger("metrics")

UNITS = ("None", "Count", "Seconds", "Bytes", "Percent")  # as CloudWatch has them
_NO_UNIT, _COUNT, _SECONDS, _BYTES, _PERCENT = range(len(UNITS))

_NAME = re.compile(rf"[a-zA-Z_][a-zA-Z0-9_]{{0,{LONGEST_NAME - 1}}}", re.ASCII)
_OURS = re.compile(r"byoc_.*|.*_(bucket|sum|count)")  # a page has these names already, or makes them itself
_IN_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_IN_BYTES = {"B": 1.0, "kB": 1024.0, "MB": 1024.0**2, "GB": 1024.0**3}
_MOST_TOLD = 100


class _UnfitError(Exception):
    """A metric cannot be kept; the message says why."""


class OwnMetrics:
    """The metrics of the user's code, at most MOST_OWN of them; any thread may add to them.

    Args:
        table: where they are kept; those that it has are gone on with.
        clock: the time, in seconds since 1970.
    """

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock
        self._known = {own.name: own for own in table.own()}
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def add_counter(self, name: str, value: float = 1, idx: object = None, dimensions: object = None) -> None:
        """Add 0 or more to a counter."""
        with self._keeping(name):
            number = _number(value)
            if number < 0:
                raise _UnfitError(f"a counter only grows, and {value!r} is negative. Use add_gauge")
            self._of(name, Kind.COUNTER, _COUNT).numbers[0] += number

    def add_gauge(self, name: str, value: float, idx: object = None, dimensions: object = None) -> None:
        """Set what goes up and down; of several workers' the latest counts."""
        with self._keeping(name):
            number = _number(value)
            numbers = self._of(name, Kind.GAUGE, _NO_UNIT).numbers
            numbers[0], numbers[1] = number, self._clock()

    def add_metric(
        self,
        name: str,
        value: float,
        idx: object = None,
        unit: object = None,
        dimensions: object = None,
    ) -> None:
        """Observe one of many numbers, such as a confidence: how they are distributed is kept."""
        self._observe(name, value, _NO_UNIT, {"": 1.0}, "")

    def add_percent(self, name: str, value: float, idx: object = None, dimensions: object = None) -> None:
        """Observe a percentage."""
        self._observe(name, value, _PERCENT, {"": 1.0}, "")

    def add_time(
        self,
        name: str,
        value: float,
        idx: object = None,
        unit: str = "ms",
        dimensions: object = None,
    ) -> None:
        """Observe a duration in s, ms or us; it is kept in seconds."""
        self._observe(name, value, _SECONDS, _IN_SECONDS, unit)

    def add_size(
        self,
        name: str,
        value: float,
        idx: object = None,
        unit: str = "MB",
        dimensions: object = None,
    ) -> None:
        """Observe a size in B, kB, MB or GB; it is kept in bytes."""
        self._observe(name, value, _BYTES, _IN_BYTES, unit)

    def add_error(self, name: str, value: object = None, dimensions: object = None) -> None:
        """Count an error; what it says belongs into the log."""
        self.add_counter(name)

    def _observe(
        self, name: str, value: float, kept_in: int, factors: Mapping[str, float], unit: str
    ) -> None:
        with self._keeping(name):
            if unit not in factors:
                raise _UnfitError(f"its unit is {unit!r}. Give one of {', '.join(factors)}")
            number = _number(value) * factors[unit]
            numbers = self._of(name, Kind.HISTOGRAM, kept_in).numbers
            numbers[0] += number
            numbers[1 + bisect_left(OWN_BOUNDS, number)] += 1.0

    @contextmanager
    def _keeping(self, name: object) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except _UnfitError as error:
                told = str(name)[:LONGEST_NAME]
                if told not in self._told and len(self._told) < _MOST_TOLD:
                    self._told.add(told)
                    log.error(f"context.metrics does not keep {told!r}: {error}.")  # noqa: TRY400 - for its author

    def _of(self, name: str, kind: Kind, unit: int) -> Own:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _UnfitError(f"a name is at most {LONGEST_NAME} letters, digits and _, and no digit first")
        own = self._known.get(name) or self._new(name, kind, unit)
        if own.kind is not kind:
            raise _UnfitError(f"it is a {own.kind.name.lower()} already. Use another name")
        return own

    def _new(self, name: str, kind: Kind, unit: int) -> Own:
        if _OURS.fullmatch(name):
            raise _UnfitError("names that begin with byoc_, or end with _bucket, _sum or _count, are taken")
        own = self._table.add(name, kind, unit)
        if own is None:
            raise _UnfitError(
                f"there are {MOST_OWN} already. What varies from call to call belongs into the log"
            )
        self._known[name] = own
        return own


def _number(value: float) -> float:
    """Return a value as it is kept: any kind of number, numpy's too."""
    try:
        number = math.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _UnfitError(f"{value!r:.80} is no number that can be added up")
    return number
