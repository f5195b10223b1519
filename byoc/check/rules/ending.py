"""Rules on how `serve` ends: told to, and by an accident."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from byoc.check import sources
from byoc.check.exchange import BrokenCallError
from byoc.check.flight import Flight, calls_in_flight, calls_without_pause, wait_until
from byoc.check.lab import Lab
from byoc.check.load import Load, crowd
from byoc.check.question import Sample
from byoc.check.rule import Part, Rule
from byoc.check.serving import Server
from byoc.check.signals import send
from byoc.check.verdict import CannotTestError, Outcome, Verdict, capital, failed, passed, warned
from byoc.runtime.procfs import Running, hears
from byoc.runtime.program import GRACE_S

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
_CLIENTS = 8
_CALL_S = 30.0
_LONGEST_CALL_S = 20.0  # one that takes longer may not end in time, whatever the program does
_HEARD_S = 0.3  # in which SIGTERM has come to everybody whom it comes to
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


def sigterm_idle(lab: Lab) -> Verdict:
    """How long it takes to end when nothing is to be done."""
    lab.server().running  # noqa: B018 - raises where it is somebody else's
    with lab.serving() as server:
        process, main = server.running.process, server.running.main()
        is_deaf = server.running.mode != "docker" and main is not None and not hears(main, signal.SIGTERM)
        began = time.monotonic()
        status = process.stop(GRACE_S["serve"])
        seconds = time.monotonic() - began
    if status in _KILLED:
        return failed(f"It had not ended {GRACE_S['serve']:g} s after SIGTERM, and was killed.")
    if is_deaf:
        return failed(
            "It does nothing about SIGTERM. That ends it here, but not a container's first process, which is "
            f"killed after {GRACE_S['serve']:g} s."
        )
    return passed(f"It ended {seconds:.1f} s after SIGTERM, with status {status}.")


def sigterm_loses_nothing(lab: Lab) -> Verdict:
    """What becomes of calls that were under way at a SIGTERM."""
    call_s = lab.good_answer().seconds
    if call_s > _LONGEST_CALL_S:
        raise CannotTestError(
            f"A call takes {call_s:.0f} s, and after SIGTERM there are {GRACE_S['serve']:g} s: give a "
            "request that is answered sooner."
        )
    clients = crowd(_CLIENTS, call_s)
    frozen = _of_several(lambda: _ended_with_calls(lab, clients))
    if not frozen.losses:
        told = len(frozen.answers) - frozen.kept
        later = f", {told} of them that they are to come again" if told else ""
        return passed(f"{len(frozen.answers)} calls were under way at SIGTERM, and all were answered{later}.")
    seen = _told(frozen)
    if frozen.accepted >= clients:  # by a process that was not frozen, and could hear the SIGTERM
        return failed(seen)
    if _of_several(lambda: _ended_under_load(lab, clients)).losses:
        return failed(seen)
    return warned(f"{seen} Its process was too busy to read them; when it was not, none were.")


def crash_ends_container(lab: Lab) -> Verdict:
    """What becomes of the container as one of its processes is killed, each kind of process in turn."""
    lab.server().processes()
    falls = []
    for fall in _falls(lab, _Usual(lab.good_sample, lab.first_answer().seconds if lab.good_sample else 0.0)):
        if fall.verdict.outcome is not Outcome.PASS:
            return fall.verdict
        falls.append(fall.verdict.seen)
    if not falls:
        return passed("It is a single process.")
    return passed(f"{capital('; '.join(falls))}.")


def _of_several(ends: Callable[[], Flight]) -> Flight:
    """Return the first that lost nothing, else the last."""
    found = ends()
    return ends() if found.losses else found


def _ended_with_calls(lab: Lab, clients: int) -> Flight:
    """SIGTERM while no process that predicts can do anything."""
    with lab.serving() as server:
        main = server.processes()[:1]
        with calls_in_flight(server, lab.sample, clients, _CALL_S) as flight:
            send(main, signal.SIGTERM)
            time.sleep(_HEARD_S)
    return flight


def _ended_under_load(lab: Lab, clients: int) -> Flight:
    """SIGTERM while calls are answered as ever."""
    with lab.serving() as server:
        main = server.processes()[:1]
        with calls_without_pause(server, lab.sample, clients, _CALL_S) as load:
            load.call_no_more()
            flight = Flight(load, (), 0, len(load.answers), len(load.broken))
            send(main, signal.SIGTERM)
    return flight


def _told(flight: Flight) -> str:
    lost = len(flight.losses)
    return f"Of {lost + flight.kept} calls under way at SIGTERM, {lost} were lost: {flight.losses[0]}."


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
        id="sigterm-idle",
        part=Part.SERVE,
        says="ends within 30 s of SIGTERM",
        why="SageMaker sends SIGTERM to a container that is to go, and SIGKILL 30 s later.",
        so="it is killed where it shall end, and each scale-in takes half a minute longer",
        mend="Handle SIGTERM in the first process, and have an ENTRYPOINT in exec form that becomes it.",
        source=sources.INFERENCE,
        test=sigterm_idle,
    ),
    Rule(
        id="sigterm-loses-nothing",
        part=Part.SERVE,
        says="answers the calls that are under way at a SIGTERM before it ends",
        why="SageMaker sends SIGTERM at each scale-in and each update; calls may be under way then.",
        so="each update or scale-in loses the calls under way",
        mend="At SIGTERM accept no more, answer what is under way, then end. nginx needs SIGQUIT for that: "
        "SIGTERM makes it drop its calls.",
        source=sources.INFERENCE,
        test=sigterm_loses_nothing,
    ),
    Rule(
        id="crash-ends-container",
        part=Part.SERVE,
        says="serves again, or ends with a status other than 0, when one of its processes is killed",
        why="SageMaker replaces a container that fails. One that stays up half dead, or says with status 0 "
        "that it meant to end, it may not.",
        so="an instance where a process dies (out of memory, a crash in a library) stays broken",
        mend="Watch all processes; when one ends and is not replaced, end the others, with status 1.",
        source=sources.INFERENCE,
        test=crash_ends_container,
    ),
)
