"""The rule on how `serve` ends by an accident."""

import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from byoc.check import sources
from byoc.check.exchange import BrokenCallError
from byoc.check.flight import wait_until
from byoc.check.lab import Lab
from byoc.check.load import Load, crowd
from byoc.check.question import Sample
from byoc.check.rule import Part, Rule
from byoc.check.serving import Server
from byoc.check.signals import send
from byoc.check.verdict import Outcome, Verdict, capital, failed, passed
from byoc.runtime.procfs import Running

_CLIENTS = 8
_MOST_KINDS = 5
_BROKEN_S = 10.0
_START_TIMES = 2
_LOOKS, _LOOK_S, _PAUSE_S = 2, 0.5, 1.0
_ASKED_S = 5.0  # in which a call is answered that has no other before it, unless it usually takes longer

_TOLD_WORDS = 3  # of a command line; further ones have paths and numbers that differ from run to run

_Kind = tuple[int, str, str]


@dataclass(frozen=True)
class Fall:
    """What came of the end of one process.

    Attributes:
        status: the container's, None where it went on.
        wrong: what did not work afterwards, "" where all did.
    """

    victim: str
    status: int | None = None
    wrong: str = ""

    @property
    def verdict(self) -> Verdict:
        """What SageMaker would make of it."""
        if self.status == 0:
            return failed(f"When {self.victim} was killed, the container ended with status 0.")
        if self.status is not None:
            return passed(f"when {self.victim} was killed, the container ended with status {self.status}")
        if self.wrong:
            return failed(f"When {self.victim} was killed, the container stayed up, and {self.wrong}.")
        return passed(f"when {self.victim} was killed, it served again")


@dataclass(frozen=True)
class _Usual:
    """What is called after a fall, if anything is, and how long one such call took before it."""

    sample: Sample | None
    call_s: float

    @property
    def clients(self) -> int:
        """How many call at once."""
        return crowd(_CLIENTS, self.call_s)

    @property
    def patience_s(self) -> float:
        """How long the last of them is waited for: one process may have to answer all, and load first."""
        return _ASKED_S + 2 * self.clients * self.call_s


def crash_ends_container(lab: Lab) -> Verdict:
    """What becomes of the container as one of its processes is killed, each kind of process in turn."""
    server = lab.server()
    if ended := lab.tell_end():
        return failed(ended, "Its last lines say why; catch that error where a call is answered.")
    server.processes()
    falls = []
    for fall in _falls(lab, _Usual(lab.good_sample, lab.first_answer().seconds if lab.good_sample else 0.0)):
        if fall.verdict.outcome is not Outcome.PASS:
            return fall.verdict
        falls.append(fall.verdict.seen)
    if not falls:
        return passed("It is a single process.")
    return passed(f"{capital('; '.join(falls))}.")


def _falls(lab: Lab, usual: _Usual) -> Iterator[Fall]:
    """Kill one process of each kind, in as few servers as possible."""
    done: set[_Kind] = set()
    known: set[_Kind] | None = None
    while known is None or (known - done and len(done) < _MOST_KINDS):
        with lab.serving() as server:
            while server.running.process.poll() is None:
                kinds = _kinds(server.processes())
                known = known or set(kinds)
                ahead = next((kind for kind in kinds if kind in known - done), None)
                if ahead is None or len(done) == _MOST_KINDS:
                    return
                done.add(ahead)
                lab.progress(f"{_name(kinds[ahead])} is killed")
                yield _fall(server, kinds[ahead], usual)


def _kinds(processes: list[Running]) -> dict[_Kind, Running]:
    """Return one process of each kind but the first process; what differs by a number is of one kind."""
    depths = {processes[0].pid: 0}
    found: dict[_Kind, Running] = {}
    for one in processes[1:]:
        depths[one.pid] = depths[one.parent] + 1
        found.setdefault((depths[one.pid], one.name, re.sub(r"\d+", "", _name(one))), one)
    return found


def _name(one: Running) -> str:
    """Return what to call a process: its name may be that of an interpreter alone."""
    words = " ".join(one.words).split()[:_TOLD_WORDS]
    return " ".join([PurePosixPath(words[0]).name, *words[1:]]) if words else one.name


def _fall(server: Server, victim: Running, usual: _Usual) -> Fall:
    """Kill a process, and wait until the container has ended, or serves as before."""
    name = _name(victim)
    send([victim], signal.SIGKILL)
    process = server.running.process
    give_up = time.monotonic() + _BROKEN_S + _START_TIMES * server.ready_s + _LOOKS * usual.patience_s
    looks = 0
    while True:
        wrong = _wrong(server, usual)
        if (status := process.poll()) is not None:
            return Fall(name, status)
        looks = 0 if wrong else looks + 1
        if looks == _LOOKS:
            return Fall(name)
        if time.monotonic() > give_up:
            return Fall(name, wrong=wrong or "calls were answered, but not always")
        wait_until(lambda: process.poll() is not None, _PAUSE_S)


def _wrong(server: Server, usual: _Usual) -> str:
    """Return what does not work, or ""; several clients call at once, so that each worker has to answer."""
    try:
        answer = server.ping()
    except BrokenCallError as error:
        return f"{error}"
    if not answer.is_good:
        return f"/ping answered {answer}"
    sample = usual.sample
    if sample is None:
        return ""
    with Load(lambda: server.invoke(sample, timeout_s=usual.patience_s), usual.clients) as load:
        wait_until(lambda: bool(load.broken), _LOOK_S)
    bad = [f"/invocations answered {answer}" for answer in load.answers if not answer.is_good]
    return next(iter([*(reason for reason, _ in load.broken), *bad]), "")


RULES = (
    Rule(
        id="crash-ends-container",
        part=Part.SERVE,
        says="does not end by itself; serves again, or ends with a status other than 0, when one of its "
        "processes is killed",
        why="SageMaker replaces a container that fails. One that stays up half dead, or says with status 0 "
        "that it meant to end, it may not.",
        so="an instance where a process dies (out of memory, a crash in a library) stays broken",
        mend="Watch all processes; when one ends and is not replaced, end the others, with status 1.",
        source=sources.INFERENCE,
        test=crash_ends_container,
    ),
)
