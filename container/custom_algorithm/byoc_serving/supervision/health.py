"""What /ping answers: decided from what the workers are doing, without asking them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from byoc_serving.supervision.scoreboard import Score


class State(StrEnum):
    """How a container is doing, in the order of its life."""

    STARTING = "starting"
    READY = "ready"
    STUCK = "stuck"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True)
class Health:
    """A state and, where it is not ready, the reason, fit to be shown."""

    state: State
    reason: str = ""

    @property
    def status(self) -> HTTPStatus:
        """200 only when requests would be answered; else 503, on which SageMaker sends no traffic."""
        return HTTPStatus.OK if self.state is State.READY else HTTPStatus.SERVICE_UNAVAILABLE


def health(scores: Sequence[Score], now_s: float, started_s: float, timeout_s: float) -> Health:
    """Return how the workers are doing at `now_s`, in monotonic seconds as is `started_s`, when serve began.

    A worker is stuck when it has been at work without a pause for longer than the timeout. One that is not
    stuck is enough to be ready: requests wait for it.
    """
    if not scores:
        return Health(State.STARTING, f"The model is being verified, for {now_s - started_s:.1f} s so far.")
    ready = [score for score in scores if score.ready]
    if not ready:
        longest_s = max(now_s - score.since_s for score in scores)
        return Health(State.STARTING, f"The model is loading, for {longest_s:.1f} s so far.")
    overdue = [score for score in ready if _works_for_s(score, now_s) > timeout_s]
    if len(overdue) < len(ready):
        return Health(State.READY)
    longest = max(overdue, key=lambda score: _works_for_s(score, now_s))
    named = f", {longest.in_flight[0].request_id}," if longest.in_flight else ""
    return Health(
        State.STUCK,
        f"All workers ({len(ready)}) have been busy with one request for over {timeout_s:g} s; "
        f"the longest{named} for {_works_for_s(longest, now_s):.1f} s.",
    )


def _works_for_s(score: Score, now_s: float) -> float:
    return 0.0 if score.works_since_s is None else now_s - score.works_since_s
