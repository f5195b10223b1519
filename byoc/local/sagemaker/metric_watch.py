"""Finds the metrics of a training job in what it writes, by its metric definitions."""

import math
import re
from collections.abc import Callable, Sequence

from byoc.local.errors import validation
from byoc.local.sagemaker.kinds import text
from byoc.local.sagemaker.store import Document

_LONGEST_LINE = 4096  # characters that a pattern is tried on; more could keep a bad pattern busy for hours


def patterns_of(definitions: Sequence[Document]) -> list[tuple[str, re.Pattern[str]]]:
    """Return the name and the pattern of each metric definition; raise AWS's error for a bad pattern."""
    patterns = []
    for definition in definitions:
        name, regex = text(definition, "Name"), text(definition, "Regex")
        try:
            patterns.append((name, re.compile(regex)))
        except re.error as error:
            raise validation(
                f"Invalid regular expression {regex!r} in the metric definition {name}: {error}."
            ) from None
    return patterns


class MetricWatch:
    """Hears the lines of a job; the first group of a definition that matches is a value.

    Args:
        definitions: MetricDefinitions of AlgorithmSpecification.
        report: is told each name, value and its seconds since 1970.
    """

    def __init__(self, definitions: Sequence[Document], report: Callable[[str, float, float], None]) -> None:
        self._patterns = patterns_of(definitions)
        self._report = report
        self._last: dict[str, Document] = {}

    def hear(self, line: str, at: float) -> None:
        """Look for every metric in a line."""
        for name, pattern in self._patterns:
            found = pattern.search(line[:_LONGEST_LINE])
            value = _number(found) if found else None
            if value is not None:
                self._last[name] = {"MetricName": name, "Value": value, "Timestamp": round(at, 3)}
                self._report(name, value, at)

    def final(self) -> list[Document]:
        """Return FinalMetricDataList: the last value of each metric."""
        return list(self._last.values())


def _number(found: re.Match[str]) -> float | None:
    try:
        value = float(found[1] if found.re.groups else found[0])
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
