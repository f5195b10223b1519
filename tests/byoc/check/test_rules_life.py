"""What takes minutes by its nature, or cannot be seen on a whole program, is tried with less patience."""

import re
import signal

import pytest
from faulty import GOOD, SAMPLE, Fault

from byoc.check.exchange import Answer
from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rules import ending, life
from byoc.check.rules.ending import Fall
from byoc.check.verdict import Outcome
from byoc.runtime.images import Folder
from byoc.runtime.procfs import Running

IMPATIENT = Fault(
    "call-of-59-s",
    (
        (
            "serve",
            '        self.stream = ours.makefile("rwb")\n',
            '        ours.settimeout(1)\n        self.stream = ours.makefile("rwb")\n',
        ),
    ),
)


def verdict(test, program, tmp_path):
    (tmp_path / "lab").mkdir()
    with Lab(Question(Folder(program), SAMPLE, patience_s=20.0), tmp_path / "lab") as lab:
        return test(lab)


@pytest.mark.check
def test_a_call_that_takes_long_is_answered_by_the_good_program(monkeypatch, tmp_path):
    monkeypatch.setattr(life, "_COMPUTES_S", 2.0)
    found = verdict(life.call_of_59_s, GOOD, tmp_path)
    assert found.outcome is Outcome.PASS, found.seen


@pytest.mark.check
def test_a_call_that_takes_longer_than_a_timeout_of_its_own_is_lost(monkeypatch, tmp_path):
    monkeypatch.setattr(life, "_COMPUTES_S", 2.0)
    found = verdict(life.call_of_59_s, IMPATIENT.program(tmp_path / "program"), tmp_path)
    assert found.outcome is Outcome.FAIL, found.seen
    assert re.search("calls? that took 2 s (was|were) lost: POST /invocations: ", found.seen)


@pytest.mark.parametrize(
    ("fall", "outcome", "seen"),
    [
        (Fall("nginx", 0), Outcome.FAIL, "When nginx was killed, the container ended with status 0."),
        (Fall("nginx", 1), Outcome.PASS, "when nginx was killed, the container ended with status 1"),
        (Fall("nginx", -signal.SIGKILL), Outcome.PASS, "when nginx was killed, the container ended with"),
        (Fall("nginx"), Outcome.PASS, "when nginx was killed, it served again"),
        (Fall("nginx", wrong="no"), Outcome.FAIL, "When nginx was killed, the container stayed up, and no."),
    ],
)
def test_a_container_either_serves_again_or_ends_as_failed(fall, outcome, seen):
    assert fall.verdict.outcome is outcome
    assert fall.verdict.seen.startswith(seen)


@pytest.mark.parametrize(
    ("before", "after", "calls", "grew"),
    [
        (2_000, 2_199, 1000, True),
        (100, 119, 1000, False),
        (100, 121, 1000, True),
        (100, 109, 100, False),  # 90 kB a call, and yet perhaps by chance
        (100, 112, 100, True),
    ],
)
def test_memory_grows_by_what_each_call_adds_not_by_a_share_of_what_there_is(before, after, calls, grew):
    assert life._grew(before * 10**6, after * 10**6, calls) is grew


def test_processes_are_of_one_kind_that_differ_by_a_number_alone():
    def process(pid, parent, *words):
        return Running(pid, parent, words[0], words, 0.0)

    kinds = ending._kinds(
        [
            process(1, 0, "serve"),
            process(2, 1, "/usr/bin/gunicorn", "-b", "a"),
            process(3, 2, "/usr/bin/gunicorn", "-b", "a"),
            process(4, 2, "/usr/bin/gunicorn", "-b", "a"),
            process(5, 1, "worker", "5"),
            process(6, 1, "worker", "6"),
            process(7, 1, "nginx: master process /usr/sbin/nginx -p /tmp/7"),
        ]
    )
    assert [one.pid for one in kinds.values()] == [2, 3, 5, 7]
    assert [ending._name(one) for one in kinds.values()] == [
        "gunicorn -b a",
        "gunicorn -b a",
        "worker 5",
        "nginx: master process",
    ]


@pytest.mark.parametrize(
    ("statuses", "is_interpreter", "outcome"),
    [
        ([200], True, Outcome.PASS),
        ([200], False, Outcome.PASS),
        ([], True, Outcome.WARN),
        ([], False, Outcome.UNTESTED),  # such as a Python that is called uwsgi
    ],
)
def test_a_ping_that_stood_still_is_no_pass_whatever_the_program_is_called(statuses, is_interpreter, outcome):
    answers = [Answer(status, {}, b"", 0.01) for status in statuses]
    assert life.stood_still("With 1 process frozen", answers, is_interpreter).outcome is outcome
