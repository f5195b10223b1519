"""What a SIGTERM shows where no program of the tests does, and that nothing passes which was not seen."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
from faulty import GOOD, SAMPLE, Fault

from byoc.check import flight as flights
from byoc.check.exchange import Answer
from byoc.check.flight import Flight
from byoc.check.lab import Lab
from byoc.check.load import Load
from byoc.check.question import Question
from byoc.check.rules import sigterm
from byoc.check.verdict import CannotTestError, Outcome
from byoc.runtime.images import Folder
from byoc.runtime.procfs import Running
from processes import eventually

DEAF = Fault(
    "sigterm-idle",
    (
        (
            "serve",
            "signal.signal(signal.SIGTERM, stop)\n",
            "signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True))\n",
        ),
    ),
)
LATE = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
told = []
print("ready", flush=True)
while not told:
    time.sleep(0.02)
while BUSY:
    pass
print("acted", flush=True)
while True:
    time.sleep(0.02)
"""


def verdict(test, program, tmp_path):
    (tmp_path / "lab").mkdir()
    with Lab(Question(Folder(program), SAMPLE, patience_s=20.0), tmp_path / "lab") as lab:
        return test(lab)


@pytest.mark.check
def test_a_program_that_does_not_end_is_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(sigterm, "GRACE_S", {"serve": 1.0})
    found = verdict(sigterm.sigterm_idle, DEAF.program(tmp_path / "program"), tmp_path)
    assert (found.outcome, found.seen) == (
        Outcome.FAIL,
        "It had not ended 1 s after SIGTERM, and was killed.",
    )


def flight(accepted, *statuses, broken=0):
    answers = [Answer(status, {}, b"", 0.1) for status in statuses]
    load = Load(lambda: answers[0], 8, answers, [("closed", 0.1)] * broken)
    return Flight(load, (), accepted, 0, 0, 0)


class Served:
    """A server of which only its processes are asked for."""

    def processes(self):
        return [Running(1, 0, "serve", ("serve",), 0.0)]


def verdict_on(monkeypatch, tmp_path, frozen, unfrozen):
    found, free = iter(frozen), iter(unfrozen)
    monkeypatch.setattr(Lab, "good_answer", lambda _lab: Answer(200, {}, b"", 0.1))
    monkeypatch.setattr(Lab, "server", lambda _lab: Served())
    monkeypatch.setattr(sigterm, "_ended_with_calls", lambda _lab, _clients: next(found))
    monkeypatch.setattr(sigterm, "_ended_under_load", lambda _lab, _clients: next(free))
    return verdict(sigterm.sigterm_loses_nothing, GOOD, tmp_path)


LOST = flight(2, 200, broken=1)


@pytest.mark.parametrize(
    ("frozen", "unfrozen", "outcome", "seen"),
    [
        ([flight(8, 200, 200)] * 2, [], Outcome.PASS, "4 calls were under way at 2 SIGTERMs, and all were"),
        ([flight(8, 200, 503)] * 2, [], Outcome.FAIL, "2 were lost: it was answered 503"),
        ([flight(8, 200, 500)] * 2, [], Outcome.FAIL, "2 were lost: it was answered 500"),
        ([flight(8, 200, broken=1)] * 2, [], Outcome.FAIL, "2 were lost: closed"),
        ([flight(1, broken=8)] * 2, [], Outcome.FAIL, "Of 16 calls under way at 2 SIGTERMs, 16 were lost: "),
        ([LOST, flight(8, 200)], [], Outcome.WARN, "Of 3 calls under way at 2 SIGTERMs, 1 was lost: closed"),
        ([flight(8, 200), LOST], [], Outcome.WARN, "Of 3 calls under way at 2 SIGTERMs, 1 was lost: closed"),
        ([LOST, flight(8, 503)], [flight(0, 200)] * 4, Outcome.WARN, "stood still then. When none did: 4 "),
        (
            [LOST] * 2,
            [flight(0, 200)] * 4,
            Outcome.WARN,
            "When none did: 4 calls were under way at 4 SIGTERMs",
        ),
        ([LOST] * 2, [flight(0)] * 4, Outcome.WARN, "When none did, no call was under way at SIGTERM."),
        ([LOST] * 2, [flight(0, broken=2), *[flight(0, 200)] * 3], Outcome.WARN, "Of 5 calls under way at 4"),
        (
            [LOST] * 2,
            [flight(0, 200, broken=1)] * 4,
            Outcome.WARN,
            "When none did: Of 8 calls under way at 4",
        ),
        ([LOST] * 2, [flight(0, broken=1)] * 4, Outcome.FAIL, "When none did: Of 4 calls under way at 4 SIG"),
    ],
)
def test_a_lost_call_weighs_less_where_the_process_that_lost_it_could_not_read_it(
    monkeypatch, tmp_path, frozen, unfrozen, outcome, seen
):
    found = verdict_on(monkeypatch, tmp_path, frozen, unfrozen)
    assert found.outcome is outcome
    assert seen in found.seen


@pytest.mark.parametrize(
    ("under_way", "left", "why"),
    [
        (flight(0, 200), flight(0, 200), "No call could be kept under way"),
        (flight(8), flight(8), "All calls had been answered when it acted"),
    ],
)
def test_what_no_call_met_is_not_passed(monkeypatch, under_way, left, why):
    @contextmanager
    def given(found):
        yield found

    class Standing(Lab):
        sample = SAMPLE

        def serving(self):
            served = Served()
            served.running = type("Running", (), {"mode": "private"})
            return given(served)

    monkeypatch.setattr(sigterm, "calls_in_flight", lambda *_: given(under_way))
    monkeypatch.setattr(sigterm, "terminated", lambda *_: left)
    with pytest.raises(CannotTestError, match=why):
        sigterm._ended_with_calls(Standing(Question(Folder(GOOD)), GOOD), 8)


@contextmanager
def program(text):
    with subprocess.Popen(
        [sys.executable, "-S", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def terminated(process, predictors=(), under_way=None):
    served = Served()
    served.running = type("Running", (), {"port": 1})
    main = Running(process.pid, 0, "python", (), 0.0)
    return flights.terminated(served, main, replace(under_way or flight(8, 200), predictors=predictors))


def test_a_sigterm_has_been_acted_on_when_the_program_is_at_rest_again(monkeypatch):
    monkeypatch.setattr(flights, "_BEGUN_S", 0.1)
    with program(LATE.replace("BUSY", "time.process_time() < 0.4")) as process:
        left = terminated(process)
        assert process.stdout.readline() == b"acted\n"
    assert (left.kept, left.losses) == (0, [])  # the one that had come before it


@pytest.mark.parametrize("status", [500, 503])
def test_what_a_server_answers_at_once_to_a_sigterm_is_lost(monkeypatch, status):
    under_way = flight(8, 503)  # that had come before

    def acted(*_):
        under_way.load.answers += [Answer(status, {}, b"", 0.1)] * 7 + [Answer(200, {}, b"", 0.1)]
        return True

    monkeypatch.setattr(flights, "_has_acted", acted)
    with program(LATE.replace("BUSY", "False")) as process:
        left = terminated(process, under_way=under_way)
    assert (len(left.losses), left.kept) == (7, 0)


def test_a_call_that_is_refused_as_it_comes_was_never_under_way():
    assert not replace(flight(0, 503, 200), may_refuse=True).losses
    assert flight(8, 503, 200).losses


def test_one_that_is_busy_for_ever_after_a_sigterm_tells_nothing(monkeypatch):
    monkeypatch.setattr(flights, "_BUSY_S", 0.5)
    with (
        program(LATE.replace("BUSY", "True")) as process,
        pytest.raises(CannotTestError, match="was not over"),
    ):
        terminated(process)


def test_a_frozen_process_finds_the_signal_when_it_goes_on():
    with program(LATE.replace("BUSY", "False")) as process:
        process.send_signal(signal.SIGSTOP)
        assert eventually(lambda: not flights.is_busy(process.pid))
        terminated(process, (Running(process.pid, 0, "python", (), 0.0),))
        assert flights.is_pending(process.pid, signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert eventually(lambda: not flights.is_pending(process.pid, signal.SIGTERM))


@pytest.mark.parametrize(
    ("words", "told", "untold"),
    [
        (("/usr/bin/python3", "/usr/bin/gunicorn", "app"), "--graceful-timeout", "SIGQUIT"),
        (("gunicorn: worker [app]",), "gthread", "SIGQUIT"),
        (("nginx: master process nginx -c x",), "SIGQUIT", "--graceful-timeout"),
        (("uvicorn", "app:app"), "--timeout-graceful-shutdown", "SIGQUIT"),
        (("java", "-jar", "app.jar"), "SIGQUIT", "\n"),
    ],
)
def test_the_remedy_is_that_of_the_programs_that_run(words, told, untold):
    found = sigterm.remedy([Running(1, 0, "x", words, 0.0)])
    assert told in found
    assert untold not in found
