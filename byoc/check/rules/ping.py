"""Rules on connections and on /ping: cold, warm and busy."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from byoc.check import sources
from byoc.check.exchange import BrokenCallError
from byoc.check.lab import Lab
from byoc.check.load import Load, crowd
from byoc.check.number import counted, were
from byoc.check.question import Sample
from byoc.check.records import are_lines, repeated
from byoc.check.rule import Part, Rule
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, untested, warned
from byoc.check.waiting import Ping
from byoc.runtime.readiness import PING_TIMEOUT_S

_ACCEPT_S = 0.25  # AWS: "your model containers must accept socket connection requests within 250 ms"
_CONNECTIONS = 20
_BETWEEN_CONNECTIONS_S = 0.05
_ROUNDS = 3
_CALLERS = 16
_WARM_PINGS = 20
_BUSY_CALLERS = 32
_BUSY_S = 2.5
_BETWEEN_BUSY_PINGS_S = 0.2
# How long a call is to take for that, and of how many bytes it is made where the sample's is quicker.
_LONG_CALL_S, _SIZES = 0.1, tuple(1 << bits for bits in range(14, 21))
# What shows that pings overtake calls: how many there are, how long a call takes among others, and a ping at
# most. A ping that waits its turn may be lucky once, but not so often.
_FEWEST_PINGS = 6
_UNDER_WAY_S = 0.25
_AT_ONCE_S, _CALLS_PER_PING = 0.05, 10
_OK = 200


@dataclass(frozen=True)
class Busy:
    """What came of pings while clients called without pause.

    Attributes:
        wrong: what came instead of 200 in time.
        pings_s: that each took.
        call_s: that a call took meanwhile (median), 0 where none was answered.
    """

    wrong: list[str] = field(default_factory=list)
    pings_s: list[float] = field(default_factory=list)
    call_s: float = 0.0


def connects_in_time(lab: Lab) -> Verdict:
    """How long connections take, while nobody calls, and while many do."""
    server = lab.server()
    if server.container is not None and not server.container.is_direct():
        raise CannotTestError(
            "Docker's proxy accepts connections here, and not the container itself: that takes root on Linux."
        )
    idle = _best_round(lambda: _connect_times(server))
    if _is_slow(idle):
        return failed(f"While nobody called, {_told(idle)}.")
    try:
        call_s = lab.good_answer().seconds
    except CannotTestError as error:
        return _unless_refused(
            f"While nobody called, {_told(idle)}. Under load it is not known: {error}", idle
        )
    busy = _best_round(lambda: _connect_under_load(lab, server, call_s))
    if _is_slow(busy):
        return failed(f"While {counted(crowd(_CALLERS, call_s), 'client')} called, {_told(busy)}.")
    return _unless_refused(f"While nobody called, {_told(idle)}; under load, {_told(busy)}.", [*idle, *busy])


def ping_cold(lab: Lab) -> Verdict:
    """How long each /ping took until the first 200; an exception has to repeat itself in a second start."""
    server = lab.server()
    if server.container is None:
        raise CannotTestError("It had started before. Name its image or its folder to have this tested.")
    slow = _slowest(server.pings)
    if slow is None:
        answered = [ping.seconds for ping in server.pings if ping.connected]
        return passed(f"While it started, /ping was answered within {max(answered) * 1000:.0f} ms.")
    with lab.serving() as second:
        again = _slowest(second.pings)
    if again is None:
        return passed(f"It took {slow.seconds:.1f} s once, and in a second start always less than 2 s.")
    return warned(  # SageMaker asks again, for minutes
        f"{again.at_s:.1f} s after the start somebody listened, and /ping took "
        f"{'more than ' if again.status == 0 else ''}{again.seconds:.1f} s."
    )


def ping_warm(lab: Lab) -> Verdict:
    """What twenty pings are answered."""
    server = lab.server()
    wrong, slowest = _pings(server, _WARM_PINGS)
    if wrong:
        again, slowest = _pings(server, _WARM_PINGS)
        if again:
            return failed(
                f"{len(again)} of {_WARM_PINGS} pings {were(len(again))} not answered with 200 in 2 s: "
                f"{again[0]}."
            )
        return warned(
            f"{len(wrong)} of {_WARM_PINGS} pings {were(len(wrong))} not answered with 200 in 2 s: "
            f"{wrong[0]}. The next {_WARM_PINGS} were, within {slowest * 1000:.0f} ms."
        )
    return passed(f"{_WARM_PINGS} pings were answered within {slowest * 1000:.0f} ms.")


def ping_post(lab: Lab) -> Verdict:
    """Whether POST /ping is answered as GET is."""
    server = lab.server()
    try:
        status = server.ask("POST", "/ping", timeout_s=PING_TIMEOUT_S).status
    except BrokenCallError as error:
        return warned(f"{error}.")
    if status != _OK:
        return warned(f"GET /ping is answered {_OK}, POST /ping {status}.")
    return passed("POST /ping is answered 200, as GET is.")


def ping_busy(lab: Lab) -> Verdict:
    """What /ping is answered while many clients send the sample, and more of its lines where it is quick."""
    server, plain = lab.server(), lab.sample
    sample, call_s = longer(server, plain, lab.good_answer().seconds)
    clients = crowd(_BUSY_CALLERS, call_s)
    busy = _busy(server, plain, clients)
    if busy.wrong:
        return failed(f"While {counted(clients, 'client')} called without pause: {busy.wrong[0]}.")
    bodies = "" if sample is plain else _bodies(sample)
    if bodies:
        busy = _busy(server, sample, clients)
    if busy.wrong:
        return warned(f"While {counted(clients, 'client')} called without pause{bodies}: {busy.wrong[0]}.")
    return overtaking(clients, busy, bodies)


def overtaking(clients: int, busy: Busy, bodies: str = "") -> Verdict:
    """Say whether pings have been seen to overtake calls.

    One that waits its turn takes as long as a call does, and under short calls that is less than 2 s too. One
    that waits for a gap between calls takes less, and 2 s and more where there is none: no ping may be slow.

    Args:
        bodies: of which size they were, where that is not the sample's.
    """
    slowest_s = max(busy.pings_s, default=0.0)
    seen = (
        f"While {counted(clients, 'client')} called without pause{bodies}, "
        f"/ping took {slowest_s * 1000:.0f} ms at most, and a call {busy.call_s * 1000:.0f} ms"
    )
    is_at_once = slowest_s <= max(_AT_ONCE_S, busy.call_s / _CALLS_PER_PING)
    if len(busy.pings_s) >= _FEWEST_PINGS and busy.call_s >= _UNDER_WAY_S and is_at_once:
        return passed(f"{seen}.")
    return untested(
        f"{seen}: it may have waited its turn behind calls, which would be too late behind longer ones. "
        "Give a --request that takes longer to answer."
    )


def _pings(server: Server, times: int) -> tuple[list[str], float]:
    """Return what came instead of 200, and the longest time that a ping took."""
    said = [_ping(server) for _ in range(times)]
    return [wrong for wrong, _ in said if wrong], max(took for _, took in said)


def longer(server: Server, plain: Sample, call_s: float) -> tuple[Sample, float]:
    """Return a request of so many of the sample's lines that it takes a moment, and how long that is.

    Under calls that are answered at once no ping is seen to overtake one. The sample itself is returned where
    it takes as long, is not of lines, or where more of them are not answered with 2xx.
    """
    sample = plain
    for size in _SIZES if are_lines(plain) else ():
        if call_s >= _LONG_CALL_S:
            break
        more = repeated(plain, size // len(plain.body))
        try:
            answer = server.invoke(more)
        except BrokenCallError:
            break
        if not answer.is_good:
            break
        sample, call_s = more, answer.seconds
    return sample, call_s


def _bodies(sample: Sample) -> str:
    return f" with the sample's lines over and over, {len(sample.body) / 1e3:.0f} kB"


def _busy(server: Server, sample: Sample, clients: int) -> Busy:
    """Ping while clients call, and once more where that went wrong: a busy laptop is late now and then."""
    busy = _pings_under_load(server, sample, clients)
    return _pings_under_load(server, sample, clients) if busy.wrong else busy


def _pings_under_load(server: Server, sample: Sample, clients: int) -> Busy:
    wrong, pings_s = [], []
    with Load(lambda: server.invoke(sample), clients) as load:
        while load.seconds < _BUSY_S:
            time.sleep(_BETWEEN_BUSY_PINGS_S)
            said, took = _ping(server)
            wrong += [said] if said else []
            pings_s.append(took)
    calls = [answer.seconds for answer in load.answers if answer.is_good]
    return Busy(wrong, pings_s, statistics.median(calls) if calls else 0.0)


def _ping(server: Server) -> tuple[str, float]:
    """Return what came instead of 200, and how long it took."""
    try:
        answer = server.ping()
    except BrokenCallError as error:
        return str(error), PING_TIMEOUT_S
    return "" if answer.status == _OK else f"/ping was answered {answer}", answer.seconds


def _slowest(pings: Sequence[Ping]) -> Ping | None:
    """Return the ping that took longest of those that took too long though somebody listened."""
    slow = [ping for ping in pings if ping.connected and ping.seconds >= PING_TIMEOUT_S]
    return max(slow, key=lambda ping: ping.seconds, default=None)


def _best_round(measured: Callable[[], list[float]]) -> list[float]:
    """Measure again where it is slow: a busy laptop is, now and then, and a fault always."""
    for _ in range(_ROUNDS - 1):
        found = measured()
        if not _is_slow(found):
            return found
    return measured()


def _connect_under_load(lab: Lab, server: Server, call_s: float) -> list[float]:
    sample = lab.sample
    with Load(lambda: server.invoke(sample), crowd(_CALLERS, call_s)):
        time.sleep(_BETWEEN_BUSY_PINGS_S)
        return _connect_times(server, _BETWEEN_CONNECTIONS_S)


def _connect_times(server: Server, pause_s: float = 0.0) -> list[float]:
    """Connect one time after the other, until the end is clear."""
    times: list[float] = []
    while len(times) < _CONNECTIONS and sum(one > _ACCEPT_S for one in times) * 4 < _CONNECTIONS:
        times.append(_connect_s(server))
        time.sleep(pause_s)
    return times


def _connect_s(server: Server) -> float:
    """Return how long a connection takes, infinity where there comes none."""
    try:
        with server.line() as line:
            return line.connect_s
    except BrokenCallError:
        return math.inf


def _is_slow(seconds: Sequence[float]) -> bool:
    """Whether it is more than the noise of a busy machine."""
    return sum(one > _ACCEPT_S for one in seconds) * 4 >= len(seconds)


def _unless_refused(seen: str, seconds: Sequence[float]) -> Verdict:
    """Warn of connections that were not accepted at all: no machine is so busy that it refuses them."""
    return warned(seen) if any(map(math.isinf, seconds)) else passed(seen)


def _told(seconds: Sequence[float]) -> str:
    usual = f"connections were accepted after {statistics.median(seconds) * 1000:.1f} ms (median)"
    late = sum(one > _ACCEPT_S for one in seconds)
    if not late:
        return usual
    never = sum(math.isinf(one) for one in seconds)
    nobody = f", {never} not at all" if never else ""
    missed = f"{late} of {len(seconds)} connections {were(late)} not accepted within 250 ms{nobody}"
    return missed if _is_slow(seconds) else f"{usual}; {missed}"


RULES = (
    Rule(
        id="connects-in-time",
        part=Part.SERVE,
        says="accepts connections within 250 ms, also under load",
        why="SageMaker gives a connection 250 ms; a call without one fails, and so does a /ping.",
        so="calls fail under load as no connection is accepted in time",
        mend="Give the listening socket a longer queue (listen(2048), gunicorn --backlog), and do nothing "
        "between two accepts.",
        source=sources.INFERENCE,
        test=connects_in_time,
        by_url=True,
    ),
    Rule(
        id="ping-cold",
        part=Part.SERVE,
        says="answers /ping within 2 s from its first connection on",
        why="SageMaker pings soon after the start and waits 2 s: too little to load something meanwhile.",
        so="its first health checks time out",
        mend="Let /ping answer 503 at once until all is loaded, and load nothing as it is answered.",
        source=sources.INFERENCE,
        test=ping_cold,
        by_url=True,
    ),
    Rule(
        id="ping-warm",
        part=Part.SERVE,
        says="answers every /ping with 200 within 2 s once it is ready",
        why="Whatever else it says means that the container is ill, and has its instance replaced.",
        so="a healthy instance is taken for ill and replaced",
        mend="Let /ping only look at what is known already: no prediction, no file, no call elsewhere.",
        source=sources.INFERENCE,
        test=ping_warm,
        by_url=True,
    ),
    Rule(
        id="ping-post",
        part=Part.SERVE,
        says="answers POST /ping as it answers GET /ping",
        why="AWS asks for both: containers must accept POST requests to /invocations and to /ping.",
        so="a health check by POST fails",
        mend='Allow both methods on that route, such as methods=["GET", "POST"].',
        source=sources.INFERENCE,
        test=ping_post,
        by_url=True,
    ),
    Rule(
        id="ping-busy",
        part=Part.SERVE,
        says="answers /ping within 2 s while all that predict are busy",
        why="A ping that waits behind calls times out, and an instance that only has much to do is replaced.",
        so="under load its health checks fail and its instances are replaced",
        mend="Let something answer /ping that never predicts: a front process, or a thread no call can take.",
        source=sources.INFERENCE,
        test=ping_busy,
        by_url=True,
    ),
)
