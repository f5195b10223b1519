"""What people read: little of what says the same, and a line now and then while nothing ends."""

import io
import json
from xml.etree import ElementTree as ET

import pytest

from byoc.check.report import Report, as_json, as_junit
from byoc.check.run import Result
from byoc.check.table import RULES
from byoc.check.verdict import failed, passed, untested

WHY = "No server answers /ping with 200: see serve-starts."
HANGING = ["ping-warm", "ping-post", "execution-parameters"]


def result(name, verdict):
    return Result(next(rule for rule in RULES if rule.id == name), verdict, 0.0)


RESULTS = [
    result("serve-starts", failed("/ping is answered 404.")),
    *(result(name, untested(WHY, "serve-starts")) for name in HANGING),
    result("image-size", untested("It is not built yet.")),
]


@pytest.fixture
def out():
    return io.StringIO()


def test_rules_that_hang_on_another_are_one_line_that_counts_and_names_them(out):
    report = Report(out)
    for one in RESULTS:
        report.show(one)
    report.end(RESULTS)
    told = out.getvalue()
    assert f"?    3 rules                  {WHY}\n{'':30}ping-warm, ping-post, execution-parameters\n" in told
    assert told.count(WHY) == 1
    assert "batch\n" not in told
    assert "image-size" in told
    assert "3 can be tested once serve-starts is mended. 1 could not be tested: " in " ".join(told.split())


def test_one_rule_that_hangs_on_another_is_a_line_as_ever(out):
    report = Report(out)
    report.show(RESULTS[1])
    report.end(RESULTS[1:2])
    assert f"?    ping-warm                {WHY}\n" in out.getvalue()


def test_programs_read_of_each_rule():
    assert [one["seen"] for one in json.loads(as_json("x", RESULTS))["results"]].count(WHY) == 3
    assert [case.get("name") for case in ET.fromstring(as_junit("x", RESULTS))] == [
        one.rule.id for one in RESULTS
    ]


def test_a_pipe_gets_a_line_when_it_has_got_none_for_half_a_minute(out):
    now = [0.0]
    report = Report(out, lambda: now[0])
    report.begin("serve-starts")
    for now[0] in range(100):
        report.progress(f"still waiting for /ping: 404, {now[0]} s of 480 s")
        if now[0] == 70:
            report.show(result("serve-starts", passed("")))
    assert [line.strip() for line in out.getvalue().splitlines() if "waiting" in line] == [
        "serve-starts still waiting for /ping: 404, 30 s of 480 s",
        "serve-starts still waiting for /ping: 404, 60 s of 480 s",
    ]
