"""What rules on calls make of what they see, where no program of the tests shows it."""

import pytest

from byoc.check.exchange import Answer
from byoc.check.rules import errors
from byoc.check.rules.errors import Mistake, Reply, trace_in
from byoc.check.verdict import Outcome


def answer(status=200, body=b"1\n"):
    return Answer(status, {}, body, 0.1)


@pytest.mark.parametrize(
    ("reply", "can_be_good", "outcome"),
    [
        (None, True, Outcome.FAIL),
        (answer(500), True, Outcome.FAIL),
        (answer(415), False, Outcome.PASS),
        (answer(200), True, Outcome.PASS),
        (answer(200), False, Outcome.WARN),
        (answer(200, b""), False, Outcome.PASS),
        (answer(302), True, Outcome.WARN),
        (answer(200, b'{"error": "no such type"}'), True, Outcome.WARN),
    ],
)
def test_a_mistake_is_to_be_answered_as_the_callers(reply, can_be_good, outcome):
    mistake = Mistake("an empty body", b"", {}, can_be_good)
    verdict = errors.judged(Reply(mistake, reply, "closed"), b"1\n")
    assert verdict.outcome is outcome
    assert verdict.seen.startswith("An empty body is ")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (
            b'Traceback (most recent call last):\n  File "/app/x.py", line 3, in f\nValueError',
            "a Python traceback",
        ),
        (b'{"detail": "  File \\"/app/x.py\\", line 3, in f"}', "a Python traceback"),
        (b"<script src='?__debugger__=yes&cmd=resource'>", "Werkzeug's debugger"),
        (b"you have <code>DEBUG = True</code> in your settings", "Django's debug page"),
        (b"java.lang.Error: x\n\tat com.acme.Model.run(Model.java:12)\n", "a Java stack trace"),
        (b'{"trace": "Error\\n    at Object.f (/app/server.js:10:5)"}', "a JavaScript stack trace"),
        (b"   at Acme.Model.Run(String s) in /src/Model.cs:line 12", "a .NET stack trace"),
        (b"goroutine 7 [running]:\nmain.f()", "a Go stack trace"),
        (b"stack backtrace:\n   0: rust_begin_unwind", "a Rust backtrace"),
        (b"the value at row 3:4 is no number", ""),
        (b"Bad Request: look at https://acme.com/docs/index.html", ""),
        (b"", ""),
    ],
)
def test_what_shows_the_inside_of_a_program_is_known_and_ordinary_words_are_not(body, name):
    assert trace_in(body) == name
