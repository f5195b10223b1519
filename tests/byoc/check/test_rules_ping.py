"""What was seen of connections and of /ping is told, and no more is made of it than it shows."""

import math

import pytest

from byoc.check.exchange import Answer
from byoc.check.lab import Lab
from byoc.check.question import Question, Sample
from byoc.check.rules import ping
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Outcome
from byoc.runtime.images import Folder


@pytest.fixture
def lab(monkeypatch, tmp_path):
    def nothing(_lab):
        raise CannotTestError("no sample.")

    monkeypatch.setattr(Lab, "server", lambda _lab: Server(lambda: None))
    monkeypatch.setattr(Lab, "good_answer", nothing)
    return Lab(Question(Folder(tmp_path)), tmp_path)


@pytest.mark.parametrize(
    ("refused", "outcome", "seen"),
    [
        (0, Outcome.PASS, "accepted after 1.0 ms (median). Under load"),
        (4, Outcome.WARN, "; 4 of 20 connections were not accepted within 250 ms, 4 not at all"),
        (5, Outcome.FAIL, "While nobody called, 5 of 20 connections were not accepted within 250 ms"),
    ],
)
def test_connections_that_are_refused_now_and_then_are_told(monkeypatch, lab, refused, outcome, seen):
    monkeypatch.setattr(
        ping, "_connect_times", lambda _server: [math.inf] * refused + [0.001] * (20 - refused)
    )
    found = ping.connects_in_time(lab)
    assert found.outcome is outcome
    assert seen in found.seen


def test_pings_that_were_not_answered_with_200_are_told_though_later_ones_are(monkeypatch, lab):
    statuses = iter([200, 503, 503, *[200] * 100])
    monkeypatch.setattr(Server, "ping", lambda _server: Answer(next(statuses), {}, b"", 0.001))
    found = ping.ping_warm(lab)
    assert found.outcome is Outcome.WARN
    assert found.seen.startswith("2 of 20 pings were not answered with 200 in 2 s: /ping was answered 503.")


@pytest.mark.parametrize(
    ("pings_s", "call_s", "outcome"),
    [
        ([0.005] * 6, 0.8, Outcome.PASS),
        ([*[0.005] * 5, 0.045], 0.25, Outcome.PASS),
        ([0.3] * 6, 4.0, Outcome.PASS),
        ([0.005] * 5, 0.8, Outcome.UNTESTED),  # too few to be sure
        ([*[0.005] * 5, 1.247], 2.967, Outcome.UNTESTED),  # it waited, though not for as long as a call
        ([1.5] * 6, 1.6, Outcome.UNTESTED),  # it waits its turn
        ([0.001] * 6, 0.2, Outcome.UNTESTED),
        ([0.001] * 6, 0.0, Outcome.UNTESTED),
        ([], 0.8, Outcome.UNTESTED),
    ],
)
def test_a_ping_is_quick_only_if_each_overtook_calls_that_were_not(pings_s, call_s, outcome):
    assert ping.overtaking(32, ping.Busy([], pings_s, call_s)).outcome is outcome


@pytest.mark.parametrize(
    ("kind", "call_s", "most", "lines"),
    [
        ("text/csv", 0.001, 1 << 30, 1 << 16),  # 2 bytes each, of which 128 kB take long enough
        ("text/csv", 0.1, 1 << 30, 1),  # it takes as long by itself
        ("text/csv", 0.001, 20_000, 1 << 13),  # more are refused
        ("application/json", 0.001, 1 << 30, 1),
    ],
)
def test_calls_that_are_answered_at_once_are_given_more_of_the_samples_lines(kind, call_s, most, lines):
    class Quick:
        def invoke(self, sample):
            size = len(sample.body)
            return Answer(200 if size < most else 413, {}, b"", size * 1e-6)

    found, seconds = ping.longer(Quick(), Sample(b"1\n", kind), call_s)
    assert found.body == b"1\n" * lines
    assert seconds == (call_s if lines == 1 else lines * 2e-6)


@pytest.mark.parametrize(
    ("sample", "more", "outcome"),
    [
        ([[]], [[]], Outcome.PASS),
        ([["late"], []], [["late"], []], Outcome.PASS),  # a busy laptop is late now and then
        ([[]], [["late"], ["late"]], Outcome.WARN),
        ([["late"], ["late"]], [], Outcome.FAIL),  # though behind longer calls there may be gaps to answer in
    ],
)
def test_pings_that_are_late_behind_the_sample_fail_and_behind_longer_calls_are_warned_of(
    monkeypatch, lab, sample, more, outcome
):
    plain, longer = Sample(b"1\n", "text/csv"), Sample(b"1\n1\n", "text/csv")
    tries = {plain: iter(sample), longer: iter(more)}
    monkeypatch.setattr(Lab, "sample", plain)
    monkeypatch.setattr(Lab, "good_answer", lambda _lab: Answer(200, {}, b"", 0.001))
    monkeypatch.setattr(ping, "longer", lambda *_: (longer, 0.1))
    monkeypatch.setattr(
        ping, "_pings_under_load", lambda _server, asked, _: ping.Busy(next(tries[asked]), [0.01] * 9, 0.6)
    )
    assert ping.ping_busy(lab).outcome is outcome
