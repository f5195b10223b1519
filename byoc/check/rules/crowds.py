"""The rule on calls at the same time: each is answered as it is alone."""

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from byoc.check import sources
from byoc.check.exchange import Answer
from byoc.check.lab import Lab
from byoc.check.load import Load, crowd
from byoc.check.number import counted, were
from byoc.check.question import Sample
from byoc.check.records import pieces_of
from byoc.check.rule import Part, Rule
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Outcome, Verdict, failed, passed

_CALLERS = 16
_FEWEST_CALLERS = 2
_CALLS_S = 2.0
_PIECES, _LONGEST_S = 4, 0.5  # each is asked twice before: not where a call takes longer


@dataclass(frozen=True)
class Alone:
    """A request, and what it is answered where no other call is made.

    Attributes:
        repeats: whether that is the same each time, byte for byte.
    """

    request: Sample
    answer: Answer
    repeats: bool


def concurrent_calls(lab: Lab) -> Verdict:
    """Many calls at once, of different requests where the sample can be taken apart."""
    plain, server = lab.good_answer(), lab.server()
    clients = crowd(_CALLERS, plain.seconds)
    if clients < _FEWEST_CALLERS:
        raise CannotTestError(
            f"A call takes {plain.seconds:.0f} s, so a second one may wait longer than SageMaker does: give "
            "a request that is answered sooner."
        )
    requests = _requests(server, lab.sample, plain)
    verdict = judged(*_crowded(server, requests, clients))
    if verdict.outcome is Outcome.FAIL:  # once more, as a busy laptop may lose a call
        verdict = judged(*_crowded(server, requests, clients))
    return Verdict(verdict.outcome, f"{counted(clients, 'client')} at once: {verdict.seen}", verdict.mend)


def judged(answered: Sequence[tuple[Alone, Answer]], broken: Sequence[str]) -> Verdict:
    """Say what calls at the same time came to: each with what it is answered alone, and why others broke."""
    many = len(answered) + len(broken)
    calls = counted(many, "call")
    if broken:
        return failed(f"{len(broken)} of {calls} {were(len(broken))} not answered: {broken[0]}.")
    if any(answer.status != alone.answer.status for alone, answer in answered):
        statuses = Counter(answer.status for _, answer in answered)
        told = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        return failed(f"of {calls} were answered {told}.")
    others = sum(answer.body != alone.answer.body for alone, answer in answered if alone.repeats)
    if others:
        return failed(
            f"{others} of {calls} {were(others)} answered otherwise than a call alone.",
            "Something that calls share is changed by them: a global, a buffer, a model's state, a file.",
        )
    if not all(alone.repeats for alone, _ in answered):
        return passed(f"{calls} were answered well; answers differ from call to call anyway.")
    kinds = len({alone.answer.body for alone, _ in answered})
    if kinds == 1:
        return passed(f"{calls} were all answered alike; a request of several records would show more.")
    return passed(f"{calls} of {kinds} kinds were all answered as they are alone.")


def _requests(server: Server, sample: Sample, plain: Answer) -> list[Alone]:
    """Return pieces of the sample that are answered otherwise than one another, else the sample itself."""
    pieces = pieces_of(sample, _PIECES) if plain.seconds < _LONGEST_S else []
    known = [_alone(server, piece) for piece in pieces]
    told_apart = {one.answer.body: one for one in known if one.answer.is_good and one.repeats}
    if len(told_apart) > 1:
        return list(told_apart.values())
    return [Alone(sample, plain, repeats=server.invoke(sample).body == plain.body)]


def _alone(server: Server, request: Sample) -> Alone:
    answer = server.invoke(request)
    return Alone(request, answer, repeats=server.invoke(request).body == answer.body)


def _crowded(
    server: Server, requests: Sequence[Alone], clients: int
) -> tuple[list[tuple[Alone, Answer]], list[str]]:
    turns, answered = itertools.cycle(requests), []

    def call() -> Answer:
        alone = next(turns)
        answer = server.invoke(alone.request)
        if answer.body == alone.answer.body:
            answer = replace(answer, body=alone.answer.body)  # one for all: thousands are kept
        answered.append((alone, answer))
        return answer

    with Load(call, clients) as load:
        time.sleep(_CALLS_S)
    return answered, [why for why, _ in load.broken]


RULES = (
    Rule(
        id="concurrent-calls",
        part=Part.SERVE,
        says="answers several calls at once as it answers one",
        why="SageMaker queues nothing: all calls to an instance reach its container at once.",
        so="calls at the same time fail or get wrong answers",
        mend="Let calls wait for a free worker, and let them share nothing that they change.",
        source=sources.INFERENCE,
        test=concurrent_calls,
        by_url=True,
    ),
)
