"""How the logs of programs read, and that each line of a log that goes on is shown once."""

import json

import pytest

from byoc.local_logs import Lines, readable


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"time": "T", "level": "INFO", "logger": "x", "message": "ready"}, "T INFO ready"),
        ({"time": "T", "level": "INFO", "message": "GET", "status": 200}, "T INFO GET status=200"),
        ({"time": "T", "level": "ERROR", "message": "m", "traceback": "Tr:\n  x"}, "T ERROR m\nTr:\n  x"),
        ({"time": "T", "level": "INFO", "message": "\ud800"}, "T INFO ?"),
    ],
)
def test_a_json_line_reads_as_a_line(line, told):
    assert readable(json.dumps(line)) == told


@pytest.mark.parametrize("line", ["", "loss=1", '{"a": 1}', "{", '["time"]', '{"time": 1, "level": 2}'])
def test_any_other_line_is_shown_as_it_is(line):
    assert readable(line) == line


class Logs:
    """CloudWatch Logs with one stream of an endpoint, `e`."""

    class exceptions:  # noqa: N801 - as boto3 has it
        class ResourceNotFoundException(Exception):  # noqa: N818
            pass

    def __init__(self):
        self.events = []

    def put(self, at_ms, *texts):
        for text in texts:
            self.events.append({"eventId": str(len(self.events)), "timestamp": at_ms, "message": text})

    def get_paginator(self, operation):
        self.operation = operation
        return self

    def paginate(self, logGroupName, startTime=0, **_):  # noqa: N803
        if logGroupName != "/aws/sagemaker/Endpoints/e":
            raise self.exceptions.ResourceNotFoundException
        if self.operation == "describe_log_streams":
            yield {"logStreams": [{"logStreamName": "s"}]}
        else:
            yield from ({"events": [event]} for event in self.events if event["timestamp"] >= startTime)


def test_each_line_is_shown_once_also_where_the_oldest_are_dropped():
    logs = Logs()
    lines = Lines(logs, "e")
    logs.put(1, "a", "b")
    assert list(lines.new()) == ["a", "b"]
    logs.put(1, "c")
    logs.put(2, "d")
    assert list(lines.new()) == ["c", "d"]
    del logs.events[:2]
    assert list(lines.new()) == []
