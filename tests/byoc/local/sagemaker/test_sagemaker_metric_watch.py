"""The first group of a metric definition is a value of the metric; one that is too slow is dropped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from byoc.local.errors import AwsError
from byoc.local.sagemaker import metric_search, metric_watch
from byoc.local.sagemaker.metric_watch import MetricWatch, check_definitions
from processes import alive, below, eventually

BACKTRACKS = r"^(a+)+$"
LINE = "a" * 40 + "!"


class Heard:
    """A watch, and what it told."""

    def __init__(self, *expressions):
        self.reported, self.warned = [], []
        definitions = [{"Name": f"m{number}", "Regex": regex} for number, regex in enumerate(expressions)]
        self.watch = MetricWatch(
            definitions, lambda *value: self.reported.append(value), lambda *said: self.warned.append(said)
        )

    def hear(self, *lines):
        for at, line in enumerate(lines):
            self.watch.hear(line, float(at))


@pytest.fixture
def heard():
    made = []

    def heard(*expressions):
        made.append(Heard(*expressions))
        return made[-1]

    yield heard
    for one in made:
        one.watch.close()


def test_every_value_is_reported_and_the_last_is_final(heard):
    it = heard("loss=([0-9.e-]+)", "epoch [0-9]")
    it.hear("epoch 1 loss=0.5", "nothing", "ключ \ud800 loss=1e-3")
    assert it.reported == [("m0", 0.5, 0.0), ("m0", 0.001, 2.0)]
    assert it.watch.final() == [{"MetricName": "m0", "Value": 0.001, "Timestamp": 2.0}]


@pytest.mark.parametrize(
    ("regex", "line"),
    [
        *(("loss=(.*)", line) for line in ("loss=abc", "loss=nan", "loss=inf", "loss=")),
        ("loss=(.*)", "x" * 5000 + "loss=1"),
        ("loss(=1)?", "loss"),
    ],
)
def test_what_is_no_number_is_no_value(heard, regex, line):
    it = heard(regex)
    it.hear(line)
    assert (it.reported, it.watch.final(), it.warned) == ([], [], [])


def test_an_expression_that_backtracks_without_end_is_dropped_and_the_others_go_on(heard, monkeypatch):
    monkeypatch.setattr(metric_watch, "SLOW_S", 0.1)
    it = heard(BACKTRACKS, "loss=(.*)")
    it.hear(LINE, "loss=2", LINE)
    assert it.reported == [("m1", 2.0, 1.0)]
    ((warning, at),) = it.warned
    assert at == 0.0
    assert warning.startswith("The metric m0 is looked for no more: its expression '^(a+)+$' took over 0.1 s")


def test_what_searches_ends_with_the_job(heard):
    it = heard("loss=(.*)")
    it.hear("loss=1")
    (pid,) = searchers(os.getpid())
    it.watch.close()
    assert not alive(pid)
    it.watch.close()


def test_where_what_searches_was_killed_the_log_goes_on(heard):
    it = heard("loss=(.*)")
    it.hear("loss=1")
    os.kill(searchers(os.getpid())[0], signal.SIGKILL)
    it.hear("loss=2", "loss=3")
    assert it.reported == [("m0", 1.0, 0.0)]
    assert len(it.warned) == 1


def test_what_searches_without_end_ends_soon_after_its_parent():
    source = (
        "import json, os, subprocess, sys, time\n"
        f"command = [sys.executable, '-I', '-S', {metric_search.__file__!r}, '0.2', str(os.getpid())]\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)\n"
        f"child.stdin.write(json.dumps([{BACKTRACKS!r}] * 50) + chr(10) + json.dumps({LINE!r}) + chr(10))\n"
        "child.stdin.flush(); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as parent:
        searcher = int(parent.stdout.readline())
        assert alive(searcher)
        parent.kill()
    assert eventually(lambda: not alive(searcher))


@pytest.mark.parametrize("regex", ["(", "a{99999999999}", "*"])
def test_an_expression_that_is_none_is_refused(regex):
    with pytest.raises(AwsError, match="Invalid regular expression"):
        check_definitions([{"Name": "m", "Regex": regex}])


def searchers(pid):
    return [one for one in below(pid) if "metric_search" in Path(f"/proc/{one}/cmdline").read_text()]
