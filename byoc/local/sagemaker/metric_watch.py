"""Finds the metrics of a training job in what it writes, by its metric definitions."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from byoc.local.errors import validation
from byoc.local.sagemaker.kinds import text
from byoc.local.sagemaker.store import Document

SLOW_S = 1.0  # of processor time, for one expression on one line
_LONGEST_LINE = 4096  # characters
_SEARCH = Path(__file__).with_name("metric_search.py")


def check_definitions(definitions: Sequence[Document]) -> None:
    """Raise AWS's error for an expression that is none."""
    for definition in definitions:
        name, regex = text(definition, "Name"), text(definition, "Regex")
        try:
            re.compile(regex)
        except (re.error, OverflowError, RecursionError) as error:
            raise validation(
                f"Invalid regular expression {regex!r} in the metric definition {name}: {error}."
            ) from None


class MetricWatch:
    """Hears the lines of a job; the first group of a definition that matches is a value.

    Args:
        definitions: MetricDefinitions of AlgorithmSpecification, checked.
        report: is told each name, value and its seconds since 1970.
        warn: is told of a definition that is dropped, with its seconds since 1970.
    """

    def __init__(
        self,
        definitions: Sequence[Document],
        report: Callable[[str, float, float], None],
        warn: Callable[[str, float], None],
    ) -> None:
        self._names = [text(definition, "Name") for definition in definitions]
        self._expressions = [text(definition, "Regex") for definition in definitions]
        self._report = report
        self._warn = warn
        self._last: dict[str, Document] = {}
        self._search: subprocess.Popen[str] | None = None
        self._is_over = not definitions

    def hear(self, line: str, at: float) -> None:
        """Look for every metric in a line."""
        if self._is_over:
            return
        try:
            found, slow = self._ask(line[:_LONGEST_LINE])
        except (OSError, ValueError) as error:
            self._is_over = True
            self._warn(f"No more metrics are found in this log: what searches it has ended ({error}).", at)
            return
        for number in slow:
            self._warn(
                f"The metric {self._names[number]} is looked for no more: its expression "
                f"{self._expressions[number]!r} took over {SLOW_S:g} s on one line. Mend the expression.",
                at,
            )
        for number, given in found:
            self._note(self._names[number], given, at)

    def close(self) -> None:
        """End what searches. Safe to repeat; no line may come afterwards."""
        self._is_over = True
        if self._search:
            self._search.kill()
            self._search.communicate()

    def final(self) -> list[Document]:
        """Return FinalMetricDataList: the last value of each metric."""
        return list(self._last.values())

    def _ask(self, line: str) -> tuple[list[tuple[int, str | None]], list[int]]:
        if self._search is None:
            self._search = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SEARCH), str(SLOW_S), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._say(self._expressions)
        self._say(line)
        assert self._search.stdout is not None  # noqa: S101 - a pipe was asked for
        found, slow = json.loads(self._search.stdout.readline())
        return found, slow

    def _say(self, value: object) -> None:
        assert self._search is not None  # noqa: S101 - the order of calls
        assert self._search.stdin is not None  # noqa: S101 - a pipe was asked for
        self._search.stdin.write(json.dumps(value) + "\n")
        self._search.stdin.flush()

    def _note(self, name: str, given: str | None, at: float) -> None:
        try:
            value = float(given or "")
        except ValueError:
            return
        if math.isfinite(value):
            self._last[name] = {"MetricName": name, "Value": value, "Timestamp": round(at, 3)}
            self._report(name, value, at)
