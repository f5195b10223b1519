"""How the logs of programs read: in order of time, each line once, and what is told where there is none."""

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from byoc.errors import ByocError
from byoc.local_logs import Line, Lines, check_that_there_may_be, readable

OLD, NEW = "AllTraffic/i-0d04aa11aa11aa11a", "AllTraffic/i-0999bb22bb22bb22b"


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
    """CloudWatch Logs with the streams of an endpoint, `e`, which are called in no order of time."""

    class exceptions:  # noqa: N801 - as boto3 has it
        class ResourceNotFoundException(Exception):  # noqa: N818
            pass

    def __init__(self, *streams):
        self.streams = [
            {"logStreamName": stream, "creationTime": len(streams) - place}
            for place, stream in enumerate(streams or ["s"])
        ]
        self.events = []

    def put(self, at_ms, *texts, stream="s"):
        for text in texts:
            event = {"eventId": str(len(self.events)), "timestamp": at_ms, "message": text}
            self.events.append(event | {"logStreamName": stream})

    def get_paginator(self, operation):
        self.operation = operation
        return self

    def paginate(self, logGroupName, startTime=0, logStreamNames=(), **_):  # noqa: N803
        if logGroupName != "/aws/sagemaker/Endpoints/e":
            raise self.exceptions.ResourceNotFoundException
        if self.operation == "describe_log_streams":
            yield {"logStreams": self.streams}
        else:
            for event in self.events:
                if event["timestamp"] >= startTime and event["logStreamName"] in logStreamNames:
                    yield {"events": [event]}


def test_each_line_is_shown_once_also_where_the_oldest_are_dropped():
    logs = Logs()
    lines = Lines(logs, "e")
    logs.put(1, "a", "b")
    assert list(lines.new()) == [Line("a"), Line("b")]
    logs.put(1, "c")
    logs.put(2, "d")
    assert list(lines.new()) == [Line("c"), Line("d")]
    del logs.events[:2]
    assert list(lines.new()) == []


@pytest.fixture
def two():
    """An endpoint whose instance was replaced: the streams are listed the new one first."""
    logs = Logs(NEW, OLD)
    logs.put(3, "new 3", stream=NEW)
    logs.put(1, "old 1", stream=OLD)
    logs.put(4, "old 4", stream=OLD)
    return logs


def test_lines_of_several_streams_come_by_time_each_behind_its_instance(two):
    lines = Lines(two, "e")
    told = [line.readable() for line in lines.new()]
    assert told == ["[i-0d04aa] old 1", "[i-0999bb] new 3", "[i-0d04aa] old 4"]
    two.put(5, "new 5", stream=NEW)
    assert [line.readable() for line in lines.new()] == ["[i-0999bb] new 5"]


@pytest.mark.parametrize("stream", [NEW, "i-0999bb22bb22bb22b", "i-0999bb", "i-09"])
@pytest.mark.parametrize("name", ["e", "/aws/sagemaker/Endpoints/e"])
def test_one_stream_is_shown_alone_by_its_name_or_the_beginning_of_its_instances_id(two, name, stream):
    lines = Lines(two, name, stream)
    assert lines.exist()
    assert list(lines.new()) == [Line("new 3")]


def test_a_variant_stands_for_all_of_its_streams(two):
    assert [line.text for line in Lines(two, "e", "AllTraffic").new()] == ["old 1", "new 3", "old 4"]


def test_a_stream_that_there_is_not_is_refused_with_those_that_there_are(two):
    with pytest.raises(ByocError, match=f"of e has no stream i-7. The newest are: {OLD}, {NEW}"):
        Lines(two, "e", "i-7").exist()


class SageMaker:
    """Has the job `j` and the endpoint `e`, both of second 1000 and in a status that is given."""

    def __init__(self, status):
        self._told = {"CreationTime": datetime.fromtimestamp(1000, UTC), "status": status}

    def describe_training_job(self, TrainingJobName):  # noqa: N803
        return self._described(TrainingJobName == "j", "TrainingJobStatus")

    def describe_endpoint(self, EndpointName):  # noqa: N803
        return self._described(EndpointName == "e", "EndpointStatus")

    def _described(self, is_there, member):
        if not is_there:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "Describe")
        return self._told | {member: self._told["status"]}


@pytest.mark.parametrize(
    ("name", "status", "started_s", "told"),
    [
        (
            "j",
            "Completed",
            2000,
            r"log of training job j \(Completed\) is lost: .* logs do not outlive a restart",
        ),
        ("e", "Failed", 2000, r"log of endpoint e \(Failed\) is lost"),
        (
            "e",
            "Failed",
            1,
            "endpoint e is Failed, and its program has written nothing. See: byoc local status",
        ),
        ("j", "InProgress", 1, "job j is InProgress, .* written nothing. Add -f to wait for it."),
        ("x", "Failed", 1, "No endpoint or training job called x has a log. See: byoc local status"),
    ],
)
def test_why_there_is_no_log_is_told(name, status, started_s, told):
    with pytest.raises(ByocError, match=told):
        check_that_there_may_be(SageMaker(status), name, started_s, follow=False)


@pytest.mark.parametrize(("name", "status"), [("j", "InProgress"), ("e", "Creating"), ("e", "Updating")])
def test_what_may_still_write_a_log_can_be_waited_for(name, status):
    check_that_there_may_be(SageMaker(status), name, 2000, follow=True)
