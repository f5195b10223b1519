"""What a program writes is passed on soon, in order, whole, and whatever happens."""

import threading

from byoc.local.sagemaker.relay import Relay


def relayed(lines, put=None, **options):
    events = []
    relay = Relay(put or events.extend, lambda *_: None, lambda: 1.5, **options)
    relay.follow(lines)
    relay.finish()
    return events


def test_lines_come_in_order_with_their_milliseconds():
    assert relayed(["a", "", "b"]) == [(1500, "a"), (1500, ""), (1500, "b")]


def test_a_line_does_not_wait_for_the_next():
    arrived, more = threading.Event(), threading.Event()

    def lines():
        yield "first"
        assert arrived.wait(5)
        more.set()

    relay = Relay(lambda _: arrived.set(), lambda *_: None, lambda: 0.0, every_s=0.01)
    relay.follow(lines())
    assert more.wait(5)
    relay.finish()


def test_a_flood_is_never_held_at_once():
    largest = []
    relayed((str(i) for i in range(5_000)), lambda events: largest.append(len(events)), every_s=60.0)
    assert sum(largest) == 5_000
    assert max(largest) == 1_000


def test_a_line_that_cloudwatch_would_refuse_is_cut_into_several():
    assert [len(text) for _, text in relayed(["x" * 450_000])] == [200_000, 200_000, 50_000]


def test_a_log_that_is_refused_does_not_end_the_job(caplog):
    def refuse(events):
        raise OSError("no space")

    relayed(["a", "b"], refuse)
    assert "2 lines of a log are lost" in caplog.text


def test_a_line_that_is_not_understood_does_not_end_the_log(caplog):
    def misunderstand(*_):
        raise ValueError("a metric that CloudWatch refuses")

    events = []
    relay = Relay(events.extend, misunderstand, lambda: 1.5)
    relay.follow(["a", "b"])
    relay.finish()
    assert events == [(1500, "a"), (1500, "b")]
    assert "a metric that CloudWatch refuses" in caplog.text
