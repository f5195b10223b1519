"""CloudWatch's embedded metric format: what was counted since the last time, for CloudWatch Logs to read.

The form is that of AWS's specification; a distribution is written as AWS's own exporter writes it, by the
middles of its buckets (open-telemetry's awsemfexporter, cWMetricHistogram).
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from byoc_serving.metrics.families import Distribution, Family, Labels
from byoc_serving.metrics.table import Kind

EVERY_S = 60.0
_MOST_BYTES = 4000  # of a line: a pipe that others write to keeps 4096 together
_MODEL = "byoc_model_info"

Value = float | dict[str, object]


class Reports:
    """Writes what was counted, once a minute.

    Args:
        gather: returns every metric.
        namespace: CloudWatch's.
        write: takes bytes, one line at a time.
        clock: the time, in seconds since 1970.
    """

    def __init__(
        self,
        gather: Callable[[], Sequence[Family]],
        namespace: str,
        write: Callable[[bytes], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gather = gather
        self._namespace = namespace
        self._write = write
        self._clock = clock
        self._before: dict[str, Family] = {}
        self._due_s = clock() + EVERY_S

    @property
    def wait_s(self) -> float:
        """How long it is until the next report."""
        return max(0.0, self._due_s - self._clock())

    def tick(self) -> None:
        """Report where it is time to."""
        if self._clock() >= self._due_s:
            self.report()

    def report(self) -> None:
        """Report now."""
        now_s = self._clock()
        self._due_s = now_s + EVERY_S
        families = self._gather()
        for line in lines(families, self._before, self._namespace, now_s):
            self._write(line)
        self._before = {family.name: family for family in families}


def lines(
    families: Iterable[Family], before: dict[str, Family], namespace: str, now_s: float
) -> Iterator[bytes]:
    """Yield what was counted since `before` as lines, as few as their length allows.

    Args:
        families: every metric, now.
        before: every metric as it was told last, by its name.
        namespace: CloudWatch's.
        now_s: since 1970.
    """
    families = list(families)
    model = _model(families)
    values: dict[str, tuple[str, Value]] = {}
    for name, unit, value in _values(families, before):
        if values and len(_line(values | {name: (unit, value)}, model, namespace, now_s)) > _MOST_BYTES:
            yield _line(values, model, namespace, now_s)
            values = {}
        values[name] = unit, value
    if values:
        yield _line(values, model, namespace, now_s)


def _values(families: Iterable[Family], before: dict[str, Family]) -> Iterator[tuple[str, str, Value]]:
    """Yield name, unit and value of all that has one: nothing was counted where nothing is told."""
    for family in families:
        known = before.get(family.name)
        if family.distribution:
            since = _since(family.distribution, known.distribution if known else None)
            if any(since.counts):
                yield family.name, family.unit, _summary(since)
            continue
        for labels, value in family.values.items():
            earlier = known.values.get(labels, 0.0) if known and family.kind is Kind.COUNTER else 0.0
            if family.name != _MODEL and (value != earlier or family.kind is Kind.GAUGE):
                yield _named(family.name, labels), family.unit, value - earlier


def _since(now: Distribution, before: Distribution | None) -> Distribution:
    if before is None:
        return now
    counts = [count - earlier for count, earlier in zip(now.counts, before.counts, strict=True)]
    return Distribution(now.bounds, counts, now.total - before.total)


def _summary(distribution: Distribution) -> dict[str, object]:
    bounds, counts = distribution.bounds, distribution.counts
    edges = [0.0, *bounds, bounds[-1]]
    filled = [at for at, count in enumerate(counts) if count]
    return {
        "Values": [(edges[at] + edges[at + 1]) / 2 for at in filled],
        "Counts": [counts[at] for at in filled],
        "Max": edges[filled[-1] + 1],
        "Min": edges[filled[0]],
        "Count": int(sum(counts)),
        "Sum": distribution.total,
    }


def _line(values: dict[str, tuple[str, Value]], model: dict[str, str], namespace: str, now_s: float) -> bytes:
    described = [{"Name": name, "Unit": unit} for name, (unit, _) in values.items()]
    dimensions = [["ModelName"]] if "ModelName" in model else [[]]
    directive = {"Namespace": namespace, "Dimensions": dimensions, "Metrics": described}
    document: dict[str, Any] = {
        "_aws": {"Timestamp": int(now_s * 1000), "CloudWatchMetrics": [directive]},
        **model,
        **{name: value for name, (_, value) in values.items()},
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _model(families: Iterable[Family]) -> dict[str, str]:
    """Return the model whose name keeps the metrics apart in CloudWatch, and its version, only told."""
    for family in families:
        for labels in family.values if family.name == _MODEL else ():
            found = dict(labels)
            return {"ModelName": found["name"], "ModelVersion": found["version"]}
    return {}


def _named(name: str, labels: Labels) -> str:
    return "_".join((name, *(value for _, value in labels)))
