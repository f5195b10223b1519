"""emf: each report tells what came since the last, in the form that CloudWatch Logs reads."""

import json

import pytest

from byoc_serving.metrics.emf import Reports
from byoc_serving.metrics.families import Standing, families
from byoc_serving.metrics.own import OwnMetrics
from byoc_serving.metrics.table import REQUESTS, Table

STANDING = Standing(ready=1, in_flight=2, waiting=0, memory={0: 1000})


class Clock:
    now_s = 1_800_000_000.5

    def __call__(self):
        return self.now_s


@pytest.fixture
def reported():
    """A table, and the lines of the reports of what is in it."""
    table, clock, written = Table.private(), Clock(), []
    table.serve("iris", "v-1")
    reports = Reports(lambda: families([table], STANDING), "Mine", written.append, clock)
    return table, clock, reports, written


def merged(written):
    """Check each line against the specification, and return all their members."""
    found = {}
    for line in written:
        assert line.endswith(b"\n")
        assert len(line) <= 4096
        document = json.loads(line)
        [directive] = document["_aws"]["CloudWatchMetrics"]
        assert document["_aws"]["Timestamp"] == 1_800_000_000_500
        assert (directive["Namespace"], directive["Dimensions"]) == ("Mine", [["ModelName"]])
        assert len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert metric["Name"] in document
            assert metric["Name"] not in found
        found |= document
    return found


def test_a_report_tells_what_came_since_the_last(reported):
    table, _, reports, written = reported
    own = OwnMetrics(table)
    table.numbers[REQUESTS + 2] += 3
    for value in (0.3, 0.3, 0.7, 2e8):
        own.add_metric("score", value)
    reports.report()
    first = merged(written)
    assert (first["ModelName"], first["ModelVersion"]) == ("iris", "v-1")
    assert (first["byoc_requests_total_2xx"], first["byoc_requests_in_flight"]) == (3, 2)
    assert first["score"] == {
        "Values": [0.375, 0.75, 1e8],
        "Counts": [2, 1, 1],
        "Max": 1e8,
        "Min": 0.25,
        "Count": 4,
        "Sum": 200_000_001.3,
    }
    assert "byoc_rows_total" not in first
    written.clear()
    table.numbers[REQUESTS + 2] += 1
    own.add_metric("score", 0.3)
    reports.report()
    second = merged(written)
    assert (second["byoc_requests_total_2xx"], second["score"]["Counts"]) == (1, [1])


def test_a_report_comes_each_minute(reported):
    _, clock, reports, written = reported
    reports.tick()
    assert (reports.wait_s, written) == (60, [])
    clock.now_s += 60
    reports.tick()
    assert written
    assert reports.wait_s == 60


def test_many_metrics_are_several_lines_each_of_which_a_pipe_keeps_whole(reported):
    table, _, reports, written = reported
    for number in range(64):
        OwnMetrics(table).add_metric(f"a_metric_with_a_rather_long_name_{number}", number)
    reports.report()
    assert len(written) > 2
    assert len([name for name in merged(written) if name.startswith("a_metric")]) == 64
