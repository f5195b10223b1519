"""The logs that `byoc local logs` shows: the server's, an endpoint's, a training job's; and how they read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from byoc.errors import ByocError

_ENDPOINTS = "/aws/sagemaker/Endpoints/"
_JOBS = "/aws/sagemaker/TrainingJobs"
_FIRST = ("time", "level", "message")
_LAST = "traceback"


def readable(line: str) -> str:
    """Return a line of a JSON log as `time level message` and what else it says; any other as it is."""
    try:
        told = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return line
    if not isinstance(told, dict) or any(name not in told for name in _FIRST):
        return line
    more = [f"{name}={told[name]}" for name in told if name not in (*_FIRST, _LAST, "logger")]
    text = " ".join([str(told[name]) for name in _FIRST] + more)
    text = f"{text}\n{told[_LAST]}" if _LAST in told else text
    return text.encode(errors="replace").decode()  # JSON can say what is no character


class ServerLog:
    """The server's own log."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def new(self) -> Iterator[str]:
        """Yield the lines since the last time."""
        with self._file.open(errors="replace") as opened:
            opened.seek(self._read)
            text = opened.read()
            self._read = opened.tell()
        yield from text.splitlines()


@dataclass
class _Read:
    """How far a stream was read: the time of its last event, and which events of that time."""

    at_ms: int = 0
    events: set[str] = field(default_factory=set)


class Lines:
    """The log of an endpoint or a training job, from CloudWatch Logs.

    Args:
        logs: a boto3 client.
        name: of the endpoint or job.

    Raises:
        ByocError: nothing of that name has a log.
    """

    def __init__(self, logs: Any, name: str) -> None:  # noqa: ANN401 - boto3 makes its clients at run time
        self._logs = logs
        self._name = name
        self._read: dict[tuple[str, str], _Read] = {}
        if not self._streams():
            raise ByocError(f"No endpoint or training job called {name} has a log. See: byoc local status")

    def new(self) -> Iterator[str]:
        """Yield the lines since the last time."""
        for group, stream in self._streams():
            read = self._read.setdefault((group, stream), _Read())
            given = {"logGroupName": group, "logStreamNames": [stream], "startTime": read.at_ms}
            for page in self._logs.get_paginator("filter_log_events").paginate(**given):
                for event in page["events"]:
                    if event["eventId"] in read.events:
                        continue
                    if event["timestamp"] > read.at_ms:
                        read.at_ms, read.events = event["timestamp"], set()
                    read.events.add(event["eventId"])
                    yield event["message"]

    def _streams(self) -> list[tuple[str, str]]:
        """Return every stream with its group."""
        return [
            (group, found["logStreamName"])
            for group, prefix in ((_ENDPOINTS + self._name, ""), (_JOBS, f"{self._name}/"))
            for found in self._describe(group, prefix)
        ]

    def _describe(self, group: str, prefix: str) -> list[dict[str, Any]]:
        given = {"logStreamNamePrefix": prefix} if prefix else {}
        pages = self._logs.get_paginator("describe_log_streams").paginate(logGroupName=group, **given)
        try:
            return [stream for page in pages for stream in page["logStreams"]]
        except self._logs.exceptions.ResourceNotFoundException:
            return []
