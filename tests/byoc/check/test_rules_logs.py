"""Where the log of calls goes, of servers that no program of the tests is."""

from types import SimpleNamespace

import pytest

from byoc.check.rules import logs
from byoc.check.verdict import Outcome


@pytest.mark.parametrize(
    ("start", "called", "sizes", "outcome", "seen"),
    [
        ("starting\n", "GET /\n", [{}, {}], Outcome.PASS, "It wrote 2 lines, ending with: GET /"),
        ("starting\n", "", [{}, {}], Outcome.PASS, "Of calls it wrote nothing that is seen here. It wrote 1"),
        (
            "starting\n",
            "",
            [{"/a.log": 0}, {"/a.log": 9}],
            Outcome.FAIL,
            "nothing to stdout and stderr, but to /a",
        ),
        ("starting\n", "", [{"/a.log": 9}, {"/a.log": 9}], Outcome.PASS, "Of calls it wrote nothing that"),
        ("", "GET /\n", [{}, {"/a.log": 9}], Outcome.WARN, "Of calls it wrote also to /a.log."),
        ("", "", [{"/a.log": 9}] * 2, Outcome.FAIL, "It wrote nothing to stdout and stderr, but to /a.log."),
        ("", "", [{}, {}], Outcome.WARN, "neither as it started nor as it was called"),
    ],
)
def test_the_log_of_calls_belongs_on_stdout(monkeypatch, start, called, sizes, outcome, seen):
    written, found = [start], iter(sizes)
    server = SimpleNamespace(log=lambda: "".join(written))
    monkeypatch.setattr(logs, "_WRITTEN_S", 0.0)
    monkeypatch.setattr(logs, "_call", lambda *_: written.append(called))
    monkeypatch.setattr(logs, "_files", lambda _server: next(found))
    verdict = logs.logs_on_stdout(SimpleNamespace(server=lambda: server))
    assert verdict.outcome is outcome
    assert seen in verdict.seen
