"""What a program writes goes to CloudWatch Logs while it writes, whole and in order."""

import pytest

from byoc.local.hosting.log_shipping import LogShipping, Tail
from processes import eventually


class Logs:
    def __init__(self):
        self.events = []
        self.failed = self.failing = False

    def put(self, _group, _stream, events):
        if self.failing:
            self.failed = True
            raise RuntimeError("moto is not there")
        self.events += events

    @property
    def lines(self):
        return [text for _, text in self.events]


@pytest.fixture
def logs():
    return Logs()


@pytest.fixture
def shipping(logs):
    made = LogShipping(logs, lambda: 1.5, every_s=0.01)
    yield made
    made.close()


def test_lines_arrive_while_they_are_written_each_once(logs, shipping, tmp_path):
    tail = shipping.follow(Tail(tmp_path / "log", "group", "stream"))
    with (tmp_path / "log").open("ab", buffering=0) as log:
        log.write(b"one\ntw")
        assert eventually(lambda: logs.events == [(1500, "one")])
        log.write(b"o\n\xff\r\n\nlast")
        assert eventually(lambda: len(logs.events) == 3)
    shipping.finish(tail)
    shipping.finish(tail)
    assert logs.lines == ["one", "two", "\ufffd", "last"]


def test_a_line_without_end_comes_in_pieces(logs, tmp_path):
    (tmp_path / "log").write_bytes(b"x" * 2_500_000)
    tail = Tail(tmp_path / "log", "group", "stream")
    while tail.ship(logs, 0.0, last=True):
        pass
    assert max(map(len, logs.lines)) <= 200_000
    assert sum(map(len, logs.lines)) == 2_500_000


def test_a_put_that_fails_does_not_end_the_shipping(logs, shipping, tmp_path):
    logs.failing = True
    shipping.follow(Tail(tmp_path / "log", "group", "stream"))
    (tmp_path / "log").write_bytes(b"lost\n")
    assert eventually(lambda: logs.failed)
    logs.failing = False
    with (tmp_path / "log").open("ab") as log:
        log.write(b"kept\n")
    assert eventually(lambda: "kept" in logs.lines)
