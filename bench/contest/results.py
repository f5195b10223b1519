"""What was measured of whom: every sample, and the medians that are told."""

import statistics
from collections import defaultdict
from collections.abc import Mapping
from typing import Any


class Results:
    """Samples by server and measure, failed requests by server and measure, and who was not measured and why.

    What is not a server has samples too, such as the model's own predict. The unit is the end of a measure's
    name: per_s, ms, s, mb, mb_per_s, percent.
    """

    def __init__(self) -> None:
        self.samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.failures: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.reasons: dict[str, str] = {}
        self.about: dict[str, Any] = {}

    def add(self, server: str, measure: str, value: float, failures: int = 0) -> None:
        """Keep a sample, and how many requests failed while it was taken."""
        self.samples[server][measure].append(value)
        if failures:
            self.failures[server][measure] += failures

    def median(self, server: str, measure: str) -> float | None:
        """Return the median of a measure's samples; None where there are none."""
        samples = self.samples.get(server, {}).get(measure)
        return statistics.median(samples) if samples else None

    def ratio(self, one: tuple[str, str], other: tuple[str, str]) -> float | None:
        """Return the median of the ratios of two measures, each of a server, in every turn.

        A machine may be half as fast a minute later: what was measured in one turn is compared.
        None where one of the two was not measured in every turn, or is 0.
        """
        ours, theirs = (self.samples.get(server, {}).get(measure, []) for server, measure in (one, other))
        if not ours or len(ours) != len(theirs) or 0.0 in theirs:
            return None
        return statistics.median(mine / yours for mine, yours in zip(ours, theirs, strict=True))

    def failed(self, server: str, measure: str | None = None) -> int:
        """Return how many requests to a server failed: in one measure's load, or in all."""
        counts = self.failures.get(server, {})
        if measure is None:
            return sum(counts.values())
        load = measure.partition(".")[0]
        return sum(count for name, count in counts.items() if name.partition(".")[0] == load)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it, with the medians for those who read the file."""
        medians = {
            server: {measure: self.median(server, measure) for measure in measures}
            for server, measures in self.samples.items()
        }
        return {
            "about": self.about,
            "not_measured": self.reasons,
            "medians": medians,
            "samples": {server: dict(measures) for server, measures in self.samples.items()},
            "failures": {server: dict(counts) for server, counts in self.failures.items()},
        }


def results_from(told: Mapping[str, Any]) -> Results:
    """Return the Results that as_json told of."""
    results = Results()
    results.about = dict(told["about"])
    results.reasons = dict(told["not_measured"])
    for server, measures in told["samples"].items():
        for measure, values in measures.items():
            results.samples[server][measure] = list(values)
    for server, counts in told["failures"].items():
        results.failures[server].update(counts)
    return results
