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
_MARK = 8  # characters of an instance's id that tell it from the others
_MOST_STREAMS = 5  # named in a refusal
_SETTLED = ("InService", "Failed", "Completed", "Stopped")


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


@dataclass(frozen=True)
class Line:
    """One line of a log.

    Attributes:
        stream: which of several wrote it, as `--stream` takes it; "" where there is one alone.
    """

    text: str
    stream: str = ""

    def readable(self) -> str:
        """Return it as a person reads it, behind the stream that it comes from."""
        return f"[{self.stream}] {readable(self.text)}" if self.stream else readable(self.text)


class ServerLog:
    """The server's own log."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def new(self) -> Iterator[Line]:
        """Yield the lines since the last time."""
        with self._file.open(errors="replace") as opened:
            opened.seek(self._read)
            text = opened.read()
            self._read = opened.tell()
        yield from map(Line, text.splitlines())


@dataclass
class _Read:
    """How far a stream was read: the time of its last event, and which events of that time."""

    at_ms: int = 0
    events: set[str] = field(default_factory=set)


class Lines:
    """The log of an endpoint or a training job, from CloudWatch Logs.

    Args:
        logs: a boto3 client.
        name: of the endpoint or job, or of the endpoint's log group.
        stream: the one to show: its name, an instance's id or the beginning of that, or a variant's name.
    """

    def __init__(self, logs: Any, name: str, stream: str = "") -> None:  # noqa: ANN401 - made at run time
        self._logs = logs
        self._name = name.removeprefix(_ENDPOINTS)
        self._stream = stream
        self._read: dict[tuple[str, str], _Read] = {}

    def exist(self) -> bool:
        """Whether there is such a log.

        Raises:
            ByocError: there is, but not the stream of it.
        """
        there = self._all()
        if there and not self._chosen(there):
            known = ", ".join(stream for _, stream in there[-_MOST_STREAMS:])
            raise ByocError(f"The log of {self._name} has no stream {self._stream}. The newest are: {known}")
        return bool(there)

    def new(self) -> Iterator[Line]:
        """Yield the lines since the last time, of all streams by time: the newest is the last."""
        streams = self._chosen(self._all())
        found = [(at_ms, Line(text, stream)) for key in streams for at_ms, stream, text in self._of(*key)]
        found.sort(key=lambda one: one[0])
        several = len([read for read in self._read.values() if read.events]) > 1
        for _, line in found:
            yield line if several else Line(line.text)

    def _of(self, group: str, stream: str) -> Iterator[tuple[int, str, str]]:
        """Yield time, mark and text of a stream's new events; the time is in milliseconds since 1970."""
        read = self._read.setdefault((group, stream), _Read())
        given = {"logGroupName": group, "logStreamNames": [stream], "startTime": read.at_ms}
        for page in self._logs.get_paginator("filter_log_events").paginate(**given):
            for event in page["events"]:
                if event["eventId"] in read.events:
                    continue
                if event["timestamp"] > read.at_ms:
                    read.at_ms, read.events = event["timestamp"], set()
                read.events.add(event["eventId"])
                yield event["timestamp"], _mark(stream), event["message"]

    def _all(self) -> list[tuple[str, str]]:
        """Return every stream with its group, the newest last."""
        found = [
            (stream.get("creationTime", 0), group, stream["logStreamName"])
            for group, prefix in ((_ENDPOINTS + self._name, ""), (_JOBS, f"{self._name}/"))
            for stream in self._describe(group, prefix)
        ]
        return [(group, stream) for _, group, stream in sorted(found, key=lambda one: one[0])]

    def _chosen(self, streams: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [one for one in streams if not self._stream or _is_called(one[1], self._stream)]

    def _describe(self, group: str, prefix: str) -> list[dict[str, Any]]:
        given = {"logStreamNamePrefix": prefix} if prefix else {}
        pages = self._logs.get_paginator("describe_log_streams").paginate(logGroupName=group, **given)
        try:
            return [stream for page in pages for stream in page["logStreams"]]
        except self._logs.exceptions.ResourceNotFoundException:
            return []


def check_that_there_may_be(
    sagemaker: Any,  # noqa: ANN401 - boto3 makes its clients at run time
    name: str,
    started_s: float,
    follow: bool,
) -> None:
    """Let a log that is not there be waited for, or say why there is none.

    Args:
        sagemaker: a boto3 client.
        name: of what has no log.
        started_s: when the local SageMaker began, in seconds since 1970.
        follow: whether somebody waits for what is written.

    Raises:
        ByocError: nothing is called so, or it was lost, or there is none.
    """
    kind, document = _found(sagemaker, name)
    status = document.get(f"{kind.title().replace(' ', '')}Status")
    if not status:
        raise ByocError(f"No endpoint or training job called {name} has a log. See: byoc local status")
    if status not in _SETTLED and follow:
        return
    if document["CreationTime"].timestamp() < started_s:
        raise ByocError(
            f"The log of {kind} {name} ({status}) is lost: it was written before this local SageMaker was "
            "started, and logs do not outlive a restart."
        )
    more = "See: byoc local status" if status in _SETTLED else "Add -f to wait for it."
    raise ByocError(f"The {kind} {name} is {status}, and its program has written nothing. {more}")


def _found(sagemaker: Any, name: str) -> tuple[str, dict[str, Any]]:  # noqa: ANN401
    from botocore.exceptions import ClientError

    for kind, describe, given in (
        ("training job", sagemaker.describe_training_job, {"TrainingJobName": name}),
        ("endpoint", sagemaker.describe_endpoint, {"EndpointName": name}),
    ):
        try:
            return kind, describe(**given)
        except ClientError:  # there is none, or it cannot be a name at all
            continue
    return "", {}


def _is_called(stream: str, wanted: str) -> bool:
    last = stream.rpartition("/")[2]
    return stream == wanted or last.startswith(wanted) or stream.startswith(f"{wanted}/")


def _mark(stream: str) -> str:
    """Return the beginning of an instance's id, which tells it from the others, or a host's whole name."""
    last = stream.rpartition("/")[2]
    return last[:_MARK] if last.startswith("i-0") else last
