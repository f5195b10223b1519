"""Rules on the life of `serve`, from its port to its thousandth call."""

import re
import time
from collections.abc import Sequence, Set
from contextlib import suppress

from byoc.check import sources
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.flight import calls_in_flight, predictors_of, wait_until
from byoc.check.lab import Lab
from byoc.check.load import Load
from byoc.check.number import counted, were
from byoc.check.rule import Part, Rule
from byoc.check.runs import ServeSetup
from byoc.check.serving import Server
from byoc.check.signals import frozen
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, untested, warned
from byoc.check.waiting import NotServingError
from byoc.runtime.network import PORT
from byoc.runtime.procfs import executable, memory_bytes
from byoc.runtime.readiness import PING_TIMEOUT_S

_TOLD_PORT = 8137
_TOLD = {"SAGEMAKER_BIND_TO_PORT": str(_TOLD_PORT), "SAGEMAKER_SAFE_PORT_RANGE": "8138-8199"}
# How long a start that differs may take: so long, and so often the time of the ordinary one.
_START_S, _START_TIMES = 10.0, 3
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - what is looked for
_COMPUTES_S = 58.5  # with what else a call takes, 59
_CALLERS = 4
_WARM_CALLS, _CALLS, _FEWEST_CALLS = 200, 1000, 100
_WARM_S, _CALLS_S = 4.0, 11.0
# What is no noise: so much for each call, and so much in all.
_GROWTH_BYTES, _LEAST_GROWTH_BYTES = 20_000, 10 * 10**6
_TRIES = 2
_OK = 200
# Programs in which one thread at a time runs what people write.
_INTERPRETERS = re.compile(r"(?:python|pypy|ruby|perl|php)[0-9.]*|R|node|deno|bun")


def ping_frozen(lab: Lab) -> Verdict:
    """Whether /ping is answered while no process that predicts can do anything."""
    lab.server().processes()
    sample = lab.good_sample
    with lab.serving() as server:
        predictors = predictors_of(server, sample)
        is_known = any(_INTERPRETERS.fullmatch(executable(one.pid) or "python") for one in predictors)
        with frozen(predictors):
            answers = [answer for _ in range(_TRIES) if (answer := _ping(server)) is not None]
    names = ", ".join(sorted({one.name for one in predictors}))
    processes = counted(len(predictors), "process", "processes")
    return stood_still(f"With {processes} frozen ({names})", answers, is_known)


def stood_still(when: str, answers: Sequence[Answer], is_interpreter: bool) -> Verdict:
    """Say what pings came to while all that predicts stood still.

    Args:
        is_interpreter: whether what predicts is known to have an interpreter lock. By its name alone nothing
            is known to have none: uwsgi and httpd run Python, and what PyInstaller makes is called anything.
    """
    if answers:
        return passed(f"{when}, /ping answered {answers[0]}.")
    seen = f"{when}, /ping was not answered within {PING_TIMEOUT_S:g} s"
    if is_interpreter:
        return warned(f"{seen}.")
    return untested(f"{seen}. Whether anything in them holds a lock as long as it predicts cannot be seen.")


def bind_to_port(lab: Lab) -> Verdict:
    """Whether a container that says that it listens where it is told does so."""
    shared = lab.server()
    if not lab.facts.binds_to_port:
        return passed(
            "It has no label accept-bind-to-port=true, and so is for endpoints of one container only."
        )
    if (port := shared.running.port) not in (None, PORT):
        return passed(f"It listens on port {port}, as it was told.")
    patience_s = _START_S + _START_TIMES * shared.ready_s
    with lab.starting(ServeSetup(environment=_TOLD, port=_TOLD_PORT), lab.model) as server:
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up and server.running.process.poll() is None:
            with suppress(NotServingError):
                server.wait_until_ready(1.0, lab.progress)
                return passed(f"It listens on port {_TOLD_PORT}, as it was told.")
            if _ping(Server(server.running.dial)) is not None:
                return failed(f"Told to listen on port {_TOLD_PORT}, it listens on {PORT}.")
        if server.running.mode == "docker":
            server.processes()  # where they are not to be seen, the port may not be reached either
        return failed(
            f"Told to listen on port {_TOLD_PORT}, it did not within {patience_s:.0f} s{server.tail()}"
        )


def listens_on_all(lab: Lab) -> Verdict:
    """Where it listens, ready or not: through Docker's network only what listens on all can be reached."""
    try:
        server = lab.server()
    except NotServingError as error:
        if not error.listened or error.listened & _EVERYWHERE:
            raise
        return failed(_where(error.listened))
    if server.running.port not in (None, PORT):
        raise CannotTestError("It is told to listen on 127.0.0.1 here: be root, or install bwrap or Docker.")
    addresses = server.listens_at()
    if not addresses:
        server.processes()
        raise CannotTestError(f"No process is seen that listens on port {PORT}.")
    return passed(_where(addresses)) if addresses & _EVERYWHERE else failed(_where(addresses))


def memory_growth(lab: Lab) -> Verdict:
    """How much memory it takes when ready, after some calls, and after many more."""
    sample = lab.sample
    lab.good_answer()
    with lab.serving() as server:
        ready = _memory(server)
        warm_calls = _call(lab, server, _WARM_CALLS, _WARM_S)
        warm = _memory(server)
        calls = _call(lab, server, _CALLS, _CALLS_S)
        after = _memory(server)
        if calls < _FEWEST_CALLS:
            raise CannotTestError(
                f"It answered {counted(calls, 'call')} in {_CALLS_S:g} s; {_FEWEST_CALLS} are needed. "
                f"Give a request that is answered sooner than this of {counted(len(sample.body), 'byte')}."
            )
        seen = (
            f"{_mb(ready)} when ready, {_mb(warm)} after {counted(warm_calls, 'call')}, "
            f"{_mb(after)} after {calls} more"
        )
        if not _grew(warm, after, calls):
            return passed(f"{seen}.")
        again = _call(lab, server, calls, _CALLS_S)  # what fills once, such as a cache, has filled
        last = _memory(server)
    seen = f"{seen}, {_mb(last)} after {again} more."
    if not _grew(after, last, again):
        return passed(seen)
    return warned(
        f"{seen} Each of the last {again} calls added {(last - after) / max(again, 1) / 1e3:.0f} kB."
    )


def call_of_59_s(lab: Lab) -> Verdict:
    """Whether calls are answered whose process did nothing for nearly a minute."""
    sample = lab.sample
    lab.good_answer()
    with lab.serving() as server:
        clients = min(16, 2 * len(server.predictors()) + 2)
        with calls_in_flight(server, sample, clients, 2 * _COMPUTES_S) as flight:
            _compute(lab, server)
            now = set() if server.is_gone() else {one.pid for one in server.processes()}
            gone = [one for one in flight.predictors if one.pid not in now]
    killed = f"{len(gone)} of {len(flight.predictors)} that predict {were(len(gone))} killed meanwhile."
    if lost := len(flight.losses):
        return failed(
            f"{lost} of {counted(lost + flight.kept, 'call')} that took {_COMPUTES_S:g} s "
            f"{were(lost)} lost: {flight.losses[0]}. {killed if gone else ''}".strip()
        )
    if gone:
        return failed(f"{killed} A call that one of them answers would be lost.")
    return passed(f"{counted(flight.kept, 'call')} that took {_COMPUTES_S:g} s {were(flight.kept)} answered.")


def _compute(lab: Lab, server: Server) -> None:
    """Let calls take their time, or until it has ended."""
    ends = time.monotonic() + _COMPUTES_S
    while (left_s := ends - time.monotonic()) > 0 and not server.is_gone():
        lab.progress(f"calls take {_COMPUTES_S:g} s, {left_s:.0f} s more")
        wait_until(server.is_gone, min(left_s, 1.0))


def _ping(server: Server) -> Answer | None:
    with suppress(BrokenCallError):
        return server.ping()
    return None


def _where(addresses: Set[str]) -> str:
    return f"It listens on {' and '.join(sorted(addresses))}, port {PORT}."


def _call(lab: Lab, server: Server, calls: int, within_s: float) -> int:
    """Have calls made without pause, that many if the time allows; return how many were answered well."""
    with Load(lambda: server.invoke(lab.sample), _CALLERS) as load:
        wait_until(lambda: len(load.answers) >= calls, within_s)
    return sum(answer.is_good for answer in load.answers)


def _memory(server: Server) -> int:
    found = memory_bytes(one.pid for one in server.processes())
    if not found:
        raise CannotTestError("The kernel does not tell the memory of its processes: that takes root.")
    return found


def _grew(before: int, after: int, calls: int) -> bool:
    """Whether calls have added to the memory, however much of it there was."""
    return after - before > max(_GROWTH_BYTES * calls, _LEAST_GROWTH_BYTES)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"


RULES = (
    Rule(
        id="ping-frozen",
        part=Part.SERVE,
        says="answers /ping within 2 s while a prediction holds the interpreter lock",
        why="SageMaker replaces an instance whose /ping is not answered within 2 s, and its calls are lost. "
        "A process that holds the interpreter lock answers nothing; here it is one that is stopped.",
        so="predictions that hold the interpreter lock for some seconds get the instance replaced",
        mend="Have /ping answered by a process that predicts nothing, such as a supervisor.",
        source=sources.INFERENCE,
        test=ping_frozen,
    ),
    Rule(
        id="bind-to-port",
        part=Part.SERVE,
        says="listens where SAGEMAKER_BIND_TO_PORT says, if its label accept-bind-to-port says so",
        why="In an endpoint of several containers, and in a pipeline, each is given a port of its own.",
        so="multi-container endpoints and pipelines fail",
        mend="Listen on the port that SAGEMAKER_BIND_TO_PORT names, on 8080 where it is not set; or have no "
        "such label.",
        source=sources.MULTI_CONTAINER,
        test=bind_to_port,
    ),
    Rule(
        id="listens-on-all",
        part=Part.SERVE,
        says="listens on all addresses, not on 127.0.0.1 alone",
        why="SageMaker calls from outside the container, where its 127.0.0.1 cannot be reached.",
        so="no endpoint becomes InService",
        mend="Have it bind to 0.0.0.0: --host 0.0.0.0, --bind 0.0.0.0:8080, `listen 8080;`.",
        source=sources.INFERENCE,
        test=listens_on_all,
    ),
    Rule(
        id="memory-growth",
        part=Part.SERVE,
        says="takes no more memory after 1,000 calls than before",
        why="Where memory runs out the kernel kills a process, and the calls that it had are lost.",
        so="it may run out of memory after some days",
        mend="Look for what each call adds to: a cache without a limit, a list of results, a log in memory. "
        "gunicorn's --max-requests puts it off.",
        source=sources.INFERENCE,
        test=memory_growth,
    ),
    Rule(
        id="call-of-59-s",
        part=Part.SERVE,
        says="answers a call that takes 59 s",
        why="SageMaker waits 60 s for an answer. A timeout of a worker (gunicorn's is 30 s) or of a proxy "
        "ends a call sooner. A process that is stopped for so long stands here for one that computes.",
        so="calls that take longer than a timeout of its own fail",
        mend="Raise the timeouts of the server's workers and of the proxy before it to more than 60 s.",
        source=sources.INFERENCE,
        test=call_of_59_s,
        slow=True,
    ),
)
