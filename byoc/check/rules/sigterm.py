"""Rules on what `serve` does about SIGTERM: it ends soon, and answers what is under way before."""

import signal
import time
from collections.abc import Sequence
from pathlib import PurePosixPath

from byoc.check import sources
from byoc.check.flight import Flight, calls_in_flight, calls_without_pause, flight_of, terminated
from byoc.check.lab import Lab
from byoc.check.load import crowd
from byoc.check.number import counted, were
from byoc.check.rule import Part, Rule
from byoc.check.signals import send
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned
from byoc.runtime.procfs import Running, hears
from byoc.runtime.program import GRACE_S

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
_CLIENTS = 8
_CALL_S = 30.0
_LONGEST_CALL_S = 20.0  # one that takes longer may not end in time, whatever the program does
_ENDS, _FREE_ENDS = 2, 4  # SIGTERMs: while what predicts is stopped, and while nothing is
_DRAIN = "At SIGTERM accept no more, answer what is under way, then end."
# What that takes of programs that many containers have, by a word of a command line.
_DRAINS = {
    "gunicorn": "gunicorn does so if the signal reaches it: let `serve` exec it, or pass SIGTERM on to it "
    "and wait; with --graceful-timeout 25, below the 30 s that there are, and with a worker class that "
    "answers all that it has accepted: an async one does, gthread drops what it has not begun to read.",
    "uvicorn": "uvicorn does so if the signal reaches it: let `serve` exec it, with "
    "--timeout-graceful-shutdown 25, below the 30 s that there are.",
    "nginx": "nginx drops its calls at SIGTERM and answers them at SIGQUIT: start it from a program that "
    "sends it SIGQUIT at SIGTERM, waits for its end, and ends what is behind it only then. A STOPSIGNAL in "
    "the Dockerfile is not enough: SageMaker sends SIGTERM.",
}


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
    mend = remedy(lab.server().processes())
    met = _ends_with_calls(lab, clients)
    if not any(flight.losses for flight in met):
        return passed(_kept(met))
    if not all(flight.losses for flight in met):  # on a busy machine a call may be lost by chance
        return warned(_lost(met), mend)
    if all(len(flight.losses) > clients - flight.accepted for flight in met):
        return failed(_lost(met), mend)  # each time more than wait for a process that was frozen
    return _unfrozen(met, [_ended_under_load(lab, clients) for _ in range(_FREE_ENDS)], mend)


def remedy(processes: list[Running]) -> str:
    """Return how calls are kept at SIGTERM, with what that takes of the programs that run here."""
    names = {PurePosixPath(word).name for one in processes for word in (one.name, *one.words[:4])}
    # gunicorn and nginx call their processes `gunicorn: worker [app]` and `nginx: master process nginx`.
    known = [told for name, told in _DRAINS.items() if any(word.startswith(name) for word in names)]
    return " ".join([_DRAIN, *(known or _DRAINS.values())])


def _unfrozen(frozen: Sequence[Flight], free: Sequence[Flight], mend: str) -> Verdict:
    """Judge calls that were lost by a process that stood still, with what became of calls when it did not.

    Some programs lose calls by a race, all of several at one SIGTERM and none at the next: what counts is
    the share of all.
    """
    seen = f"{_lost(frozen)} The process that was to read them stood still then."
    lost, kept = _counted(free)
    if lost > kept:
        return failed(f"{seen} When none did: {_lost(free)}", mend)
    if lost:
        return warned(f"{seen} When none did: {_lost(free)}", mend)
    if not kept:
        return warned(f"{seen} When none did, no call was under way at SIGTERM.", mend)
    return warned(f"{seen} When none did: {_kept(free)}", mend)


def _ends_with_calls(lab: Lab, clients: int) -> list[Flight]:
    """SIGTERM several servers with calls under way: one that loses some by a race may lose none at once."""
    met = [_ended_with_calls(lab, clients)]
    while len(met) < _ENDS:
        try:
            met.append(_ended_with_calls(lab, clients))
        except CannotTestError:
            if met[-1].losses:
                raise
            break
    return met


def _ended_with_calls(lab: Lab, clients: int) -> Flight:
    """SIGTERM while no process that predicts can do anything.

    Raises:
        CannotTestError: it is not certain that calls were under way in the container then, and met a SIGTERM.
    """
    with lab.serving() as server:
        main = server.processes()[0]
        if server.running.mode == "docker" and not hears(main.pid, signal.SIGTERM):
            raise CannotTestError("It does nothing about SIGTERM: see sigterm-idle.")
        with calls_in_flight(server, lab.sample, clients, _CALL_S) as flight:
            if not flight.accepted:
                raise CannotTestError("No call could be kept under way in it for a SIGTERM to come to.")
            found = terminated(server, main, flight)
    if not found.kept and not found.losses:
        raise CannotTestError("All calls had been answered when it acted on SIGTERM.")
    return found


def _ended_under_load(lab: Lab, clients: int) -> Flight:
    """SIGTERM while calls are answered as ever."""
    with lab.serving() as server:
        main = server.processes()[:1]
        with calls_without_pause(server, lab.sample, clients, _CALL_S) as load:
            load.call_no_more()
            flight = flight_of(load)
            send(main, signal.SIGTERM)
    return flight


def _kept(flights: Sequence[Flight]) -> str:
    _, kept = _counted(flights)
    if kept == 1:
        return f"1 call was under way at {_times(flights)}, and was answered."
    return f"{kept} calls were under way at {_times(flights)}, and all were answered."


def _lost(flights: Sequence[Flight]) -> str:
    lost, kept = _counted(flights)
    reason = next(flight.losses[0] for flight in flights if flight.losses)
    calls = counted(lost + kept, "call")
    return f"Of {calls} under way at {_times(flights)}, {lost} {were(lost)} lost: {reason}."


def _counted(flights: Sequence[Flight]) -> tuple[int, int]:
    """Return how many calls were lost in all, and how many kept."""
    return sum(len(flight.losses) for flight in flights), sum(flight.kept for flight in flights)


def _times(flights: Sequence[Flight]) -> str:
    return "SIGTERM" if len(flights) == 1 else f"{len(flights)} SIGTERMs"


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
        why="SageMaker sends SIGTERM at each scale-in and each update; calls may be under way then. Here "
        "they are as long as is needed: what predicts is stopped until the SIGTERM has been acted on.",
        so="each update or scale-in loses the calls under way",
        mend=f"{_DRAIN} {' '.join(_DRAINS.values())}",
        source=sources.INFERENCE,
        test=sigterm_loses_nothing,
    ),
)
