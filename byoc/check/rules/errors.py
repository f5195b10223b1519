"""Rules on calls that no program can answer well: they are the caller's mistakes, and harm nobody else."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from byoc.check import sources
from byoc.check.bodies import garbage, is_json, kind_of
from byoc.check.complaint import is_complaint
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.lab import Lab
from byoc.check.number import counted
from byoc.check.rule import Part, Rule
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Outcome, Verdict, capital, failed, passed, untested, warned

_NONSENSE_TYPE = "application/x-nonsense"
_NONSENSE_PATH = "/byoc-check-nonsense"
_DYING_S = 0.3  # a process that answers before it dies
# Types of which any bytes are good ones.
_ANY_BYTES = {"application/octet-stream", "application/x-binary"}
# As they are, and as a JSON string has them.
_TRACES = {
    "a Python traceback": re.compile(rb"Traceback \(most recent call last\)|File \\?\"[^\"]+\\?\", line \d+"),
    "Werkzeug's debugger": re.compile(rb"__debugger__|Werkzeug Debugger"),
    "Django's debug page": re.compile(rb"DEBUG\s*=\s*True"),
    "a Java stack trace": re.compile(rb"\bat [\w$.]+\.[\w$<>]+\([\w$]+\.(?:java|kt|scala):\d+\)"),
    "a JavaScript stack trace": re.compile(rb"\bat [^\n]{0,200}?\(?[\w/.:\\-]+\.[cm]?[jt]s:\d+:\d+\)?"),
    "a .NET stack trace": re.compile(rb"\bat [\w.]+\([^)\n]*\) in [^\n]+:line \d+"),
    "a Go stack trace": re.compile(rb"goroutine \d+ \[running\]"),
    "a Rust backtrace": re.compile(rb"stack backtrace:"),
}


@dataclass(frozen=True)
class Mistake:
    """A call that no program can answer well, or hardly any.

    Attributes:
        can_be_good: whether a program may find it good all the same.
    """

    name: str
    body: bytes
    headers: Mapping[str, str]
    can_be_good: bool


@dataclass(frozen=True)
class Reply:
    """What a mistake came to: an answer, or why there was none."""

    mistake: Mistake
    answer: Answer | None
    why: str = ""


def empty_body(lab: Lab) -> Verdict:
    """A call without a body."""
    return _blamed(lab, [_empty(lab)])


def wrong_type(lab: Lab) -> Verdict:
    """The sample, called what it is not."""
    return _blamed(lab, [_mistyped(lab)])


def garbage_body(lab: Lab) -> Verdict:
    """Bytes that are not what they are called, and half of the sample."""
    return _blamed(lab, _garbled(lab))


def errors_without_traceback(lab: Lab) -> Verdict:
    """What the answers to mistakes tell of the program's inside."""
    lab.good_answer()
    bad = [_made(lab, one) for one in (_empty(lab), _mistyped(lab), *_garbled(lab))]
    answers = [(one.mistake.name, one.answer) for one in bad if one.answer and not one.answer.is_good]
    if not answers:
        raise CannotTestError("None of its mistakes was answered with an error.")
    for name, answer in answers:
        if found := trace_in(answer.body):
            return warned(f"The answer {answer.status} to {name} has {found} in it.")
    return passed(f"Of {counted(len(answers), 'answer')} to mistakes none shows the program's inside.")


def worker_survives(lab: Lab) -> Verdict:
    """Whether all processes are there after garbage; one that ends by chance does not do so twice."""
    lab.good_answer()
    server = lab.server()
    if ended := lab.tell_end():
        return failed(ended)
    before = _pids(server)
    if before is None:
        if bad := _lost_good_call(lab, server):
            return failed(bad)
        return untested(
            "A good call is answered after garbage, but whether by the same processes is not seen."
        )
    for _ in range(2):
        if bad := _lost_good_call(lab, server):
            return failed(bad)
        time.sleep(_DYING_S)
        now = _pids(server) or set()
        if before <= now:
            return passed(
                f"After garbage all processes ({len(before)}) are there, and a good call is answered."
            )
        lost, before = len(before - now), now
    return failed(f"Twice after garbage processes were gone, the second time {lost} of {len(before)}.")


def unknown_path(lab: Lab) -> Verdict:
    """Paths that nobody has."""
    server, seen = lab.server(), []
    for method, body in (("GET", b""), ("POST", b"nonsense")):
        try:
            answer = server.ask(method, _NONSENSE_PATH, body)
        except BrokenCallError as error:
            return warned(f"{error}.")
        if not answer.blames_the_caller:
            return warned(f"{method} {_NONSENSE_PATH} is answered {answer}.")
        seen.append(f"{method} {_NONSENSE_PATH} is answered {answer.status}")
    return passed(f"{', '.join(seen)}.")


def trace_in(body: bytes) -> str:
    """Return what of a program's inside an error's answer shows, or ""."""
    return next((name for name, pattern in _TRACES.items() if pattern.search(body)), "")


def judged(reply: Reply, good: bytes) -> Verdict:
    """Say what one mistake came to, beside the answer to a good call."""
    name, answer = reply.mistake.name, reply.answer
    if answer is None:
        return failed(f"{capital(name)} is not answered: {reply.why}.")
    if answer.status >= 500:
        return failed(f"{capital(name)} is answered {answer}.")
    if answer.blames_the_caller:
        return passed(f"{capital(name)} is answered {answer.status}.")
    if answer.is_good:
        return _of_good(reply.mistake, answer, good)
    return warned(f"{capital(name)} is answered {answer}.")


def _of_good(mistake: Mistake, answer: Answer, good: bytes) -> Verdict:
    """Say what a mistake came to that is answered with 2xx."""
    name = capital(mistake.name)
    if is_complaint(answer.body, good):
        return warned(f"{name} is answered {answer}: an error, which its status calls a success.")
    if mistake.can_be_good:
        return passed(f"{name} is answered {answer.status}: it does not mind.")
    if not answer.body.strip():
        return passed(f"{name} is answered {answer.status}, with nothing.")
    return warned(f"{name} is answered {answer}.")


def _blamed(lab: Lab, mistakes: list[Mistake]) -> Verdict:
    """Return the first verdict that is not good, or all that were seen."""
    good, seen = lab.good_answer(), []
    for mistake in mistakes:
        verdict = judged(_made(lab, mistake), good.body)
        if verdict.outcome is not Outcome.PASS:
            return verdict
        if bad := _after(lab, lab.server(), mistake.name):
            return failed(bad)
        seen.append(verdict.seen)
    return passed(" ".join(seen))


def _made(lab: Lab, mistake: Mistake) -> Reply:
    try:
        answer = lab.server().ask("POST", "/invocations", mistake.body, mistake.headers)
    except BrokenCallError as error:
        return Reply(mistake, None, str(error))
    return Reply(mistake, answer)


def _after(lab: Lab, server: Server, name: str) -> str:
    """Return what is wrong with a good call after a mistake, or ""."""
    try:
        answer = server.invoke(lab.sample)
    except BrokenCallError as error:
        return f"After {name} a good call is not answered: {error}."
    return "" if answer.is_good else f"After {name} a good call is answered {answer}."


def _lost_good_call(lab: Lab, server: Server) -> str:
    """Send garbage to one server, then a good call; return what is wrong with that, or ""."""
    for mistake in _garbled(lab):
        try:
            server.ask("POST", "/invocations", mistake.body, mistake.headers)
        except BrokenCallError:
            continue  # another rule's matter
    return _after(lab, server, "garbage")


def _pids(server: Server) -> set[int] | None:
    """Return its processes, None where they are not to be seen."""
    try:
        return {one.pid for one in server.processes()}
    except CannotTestError:
        return None


def _empty(lab: Lab) -> Mistake:
    return Mistake("an empty body", b"", lab.sample.headers, can_be_good=False)


def _mistyped(lab: Lab) -> Mistake:
    headers = {**lab.sample.headers, "Content-Type": _NONSENSE_TYPE}
    return Mistake(f"the sample as {_NONSENSE_TYPE}", lab.sample.body, headers, can_be_good=True)


def _garbled(lab: Lab) -> list[Mistake]:
    """Return garbage, and a sample cut off in the middle: of many types half a body is a body."""
    sample = lab.sample
    kind = kind_of(sample.content_type)
    half = sample.body[: len(sample.body) // 2]
    return [
        Mistake(f"garbage as {kind}", garbage(), sample.headers, can_be_good=kind in _ANY_BYTES),
        Mistake("half of the sample", half, sample.headers, can_be_good=not is_json(kind) or not half),
    ]


_OUTAGE = "To SageMaker 5xx is the model's failure: Invocation5XXErrors, which alarms and rollbacks look at."

RULES = (
    Rule(
        id="empty-body",
        part=Part.SERVE,
        says="answers an empty body with 4xx",
        why=_OUTAGE,
        so="a caller's empty body looks like an outage",
        mend="Look whether there is a body before it is read, and answer 400 where there is none.",
        source=sources.INVOKE_ENDPOINT,
        test=empty_body,
        by_url=True,
    ),
    Rule(
        id="wrong-type",
        part=Part.SERVE,
        says="answers a content type that it does not know with 4xx",
        why=_OUTAGE,
        so="a caller's wrong content type looks like an outage",
        mend="Answer 415 and name the types that it knows.",
        source=sources.INVOKE_ENDPOINT,
        test=wrong_type,
        by_url=True,
    ),
    Rule(
        id="garbage",
        part=Part.SERVE,
        says="answers a body that it cannot read with 4xx",
        why=_OUTAGE,
        so="a caller's broken body looks like an outage",
        mend="Catch what reading a body raises, by itself, and answer 400 with what is wrong with it.",
        source=sources.INVOKE_ENDPOINT,
        test=garbage_body,
        by_url=True,
    ),
    Rule(
        id="errors-without-traceback",
        part=Part.SERVE,
        says="shows callers no traceback",
        why="ModelError hands the answer to the caller: paths, versions and values of the program with it.",
        so="callers see the program's inside",
        mend="Write tracebacks to the log, answer one sentence, and turn the framework's debug mode off.",
        source=sources.INVOKE_ENDPOINT,
        test=errors_without_traceback,
        by_url=True,
    ),
    Rule(
        id="worker-survives",
        part=Part.SERVE,
        says="loses no process to a body that it cannot read",
        why="Until a new one has loaded the model, calls wait or fail; anybody who may call can keep it so.",
        so="one caller's garbage takes workers away from all others",
        mend="Catch the error where a body is read, so that the worker goes on.",
        source=sources.INFERENCE,
        test=worker_survives,
        by_url=True,
    ),
    Rule(
        id="unknown-path",
        part=Part.SERVE,
        says="answers paths that it does not have with 404",
        why="SageMaker asks for paths that a container need not have, and 404 tells it so.",
        so="what it does not have looks broken, or as if it were there",
        mend="Answer 404 to every path but its own.",
        source=sources.BATCH,
        test=unknown_path,
        by_url=True,
    ),
)
