"""CloudWatch and CloudWatch Logs, as World's Metrics and Logs, kept by moto."""

import threading
from collections.abc import Sequence

from byoc.local.outside import Outside

# PutLogEvents takes at most 10,000 events and 1 MB; an event counts 26 bytes more than its text.
_EVENTS = 1000
_LONGEST = 256 * 1024


class CloudWatchLogs:
    """Log groups and streams; lost when the local SageMaker ends, as moto's state is."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._known: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def put(self, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Add events, each with its milliseconds since 1970; group and stream are made where missing."""
        for start in range(0, len(events), _EVENTS):
            some = sorted(events[start : start + _EVENTS], key=lambda event: event[0])
            self._make(group, stream)
            try:
                self._put(group, stream, some)
            except self._outside.client("logs").exceptions.ResourceNotFoundException:  # somebody deleted it
                self._known.discard((group, stream))
                self._make(group, stream)
                self._put(group, stream, some)

    def _put(self, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        self._outside.client("logs").put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": at_ms, "message": text[:_LONGEST] or " "} for at_ms, text in events],
        )

    def _make(self, group: str, stream: str) -> None:
        with self._lock:
            if (group, stream) in self._known:
                return
            logs = self._outside.client("logs")
            for create, names in (
                (logs.create_log_group, {"logGroupName": group}),
                (logs.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
            ):
                try:
                    create(**names)
                except logs.exceptions.ResourceAlreadyExistsException:
                    continue
            self._known.add((group, stream))


class CloudWatchMetrics:
    """Metrics; lost when the local SageMaker ends, as moto's state is."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def put(self, namespace: str, name: str, value: float, dimensions: dict[str, str], at_s: float) -> None:
        """Add one value; `at_s` is seconds since 1970."""
        self._outside.client("cloudwatch").put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Value": value,
                    "Timestamp": at_s,
                    "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
                }
            ],
        )
