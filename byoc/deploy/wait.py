"""Waits for training jobs and endpoints by looking at them, soon at first and then less often."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from byoc.aws import Aws, is_missing, is_unsettled
from byoc.deploy.errors import BrokenError
from byoc.deploy.logs import last_lines
from byoc.deploy.reason import parted
from byoc.deploy.seen import MOVING

T = TypeVar("T")

FIRST_S, MOST_S, GROWTH = 0.2, 5.0, 1.25
_SAY_EVERY_S = 30
_SETTLING_S = (1.0, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0)
_LOOKS_BEFORE_IT_MOVES = 5

_Sleep = Callable[[float], None]
_Say = Callable[[str], None]


def poll(look: Callable[[], T | None], sleep: _Sleep = time.sleep) -> T:
    """Return what `look` returns as soon as it is not None."""
    pause = FIRST_S
    while (found := look()) is None:
        sleep(pause)
        pause = min(pause * GROWTH, MOST_S)
    return found


def until_settled(act: Callable[[], T], say: _Say, sleep: _Sleep = time.sleep) -> T:
    """Return what `act` returns, repeating it for 20 s while AWS may not know yet what it refers to.

    SageMaker and IAM are eventually consistent: "If you repeat your read request after a short time, the
    response should return the latest data. So retry logic is recommended" (SageMaker API, CreateEndpoint).

    Raises:
        botocore.exceptions.ClientError: AWS refuses for another reason, or still.
    """
    for pause in _SETTLING_S:
        try:
            return act()
        except ClientError as error:
            if not is_unsettled(error):
                raise
            say(f"not yet: {error.response['Error']['Message']}")
        sleep(pause)
    return act()


def await_job(aws: Aws, name: str, say: _Say, sleep: _Sleep = time.sleep) -> dict[str, Any]:
    """Wait for a training job and return its description, saying each secondary status as it comes.

    Raises:
        BrokenError: it did not complete; with FailureReason and the last lines of its log.
    """
    sagemaker, said = aws.client("sagemaker"), Said(say)

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        said(statuses_of(job)[-1] if statuses_of(job) else str(job["TrainingJobStatus"]))
        return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    job = poll(look, sleep)
    if job["TrainingJobStatus"] != "Completed":
        reason = job.get("FailureReason") or "no reason was given"
        raise BrokenError(
            f"Training job {name} is {job['TrainingJobStatus']}: {reason}"
            f"{last_lines(aws, '/aws/sagemaker/TrainingJobs', f'{name}/', reason)}"
        )
    return job


def statuses_of(job: dict[str, Any]) -> list[str]:
    """Return the secondary statuses that a training job has gone through, each with AWS's own words."""
    return [
        ": ".join(filter(None, [told["Status"], told.get("StatusMessage", "")]))
        for told in job.get("SecondaryStatusTransitions", [])
    ]


def durations_of(job: dict[str, Any]) -> str:
    """Return how long each secondary status of an ended training job took."""
    parts = [
        f"{told['Status']} {(told['EndTime'] - told['StartTime']).total_seconds():.0f} s"
        for told in job.get("SecondaryStatusTransitions", [])
        if told.get("EndTime") and told["Status"] != job["TrainingJobStatus"]
    ]
    return ", ".join(parts)


def await_endpoint(aws: Aws, name: str, config: str, say: _Say, sleep: _Sleep = time.sleep) -> None:
    """Wait until an endpoint is InService with an endpoint configuration.

    Raises:
        BrokenError: it is not, and will not be; with the reason and the container's last lines.
    """
    sagemaker, said = aws.client("sagemaker"), Said(say)
    early = iter(range(_LOOKS_BEFORE_IT_MOVES))

    def look() -> dict[str, Any] | None:
        nonlocal early
        endpoint: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        status, answers = str(endpoint["EndpointStatus"]), endpoint.get("EndpointConfigName")
        if status in MOVING:
            early = iter(range(0))
            said(status)
            return None
        as_before = status == "InService" and answers != config
        if as_before and next(early, None) is not None:  # what was asked for may not be seen yet
            return None
        said(f"{status} with {answers}, as before" if as_before else status)
        return endpoint

    endpoint = poll(look, sleep)
    if (endpoint["EndpointStatus"], endpoint.get("EndpointConfigName")) != ("InService", config):
        raise BrokenError(_what_became_of(aws, name, endpoint, config))


def _what_became_of(aws: Aws, name: str, endpoint: dict[str, Any], config: str) -> str:
    """Return why an endpoint did not come up with a configuration, what it is now, and its last lines."""
    reason = endpoint.get("FailureReason") or "No reason was given."
    first, rest = parted(reason)
    now = f"{endpoint['EndpointStatus']}: it did not come up with {config}"
    if endpoint["EndpointStatus"] == "InService":
        now = (
            f"InService with {endpoint.get('EndpointConfigName')}, as before: it was not updated to {config}"
        )
    lines = last_lines(aws, f"/aws/sagemaker/Endpoints/{name}", known=reason)
    return "\n".join(filter(None, [f"{first} Endpoint {name} is {now}.", rest])) + lines


def await_deletion(aws: Aws, name: str, say: _Say, sleep: _Sleep = time.sleep) -> None:
    """Wait until there is no such endpoint any more."""
    sagemaker, said = aws.client("sagemaker"), Said(say)

    def look() -> bool | None:
        try:
            said(str(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]))
        except ClientError as error:
            if is_missing(error):
                return True
            raise
        return None

    poll(look, sleep)


class Said:
    """Says a status when it changes, and now and then how long it has lasted."""

    def __init__(self, say: _Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._status = ""
        self._since = clock()
        self._lasted = 0

    def __call__(self, status: str) -> None:
        now = self._clock()
        if status != self._status:
            self._status, self._since, self._lasted = status, now, 0
            self._say(status)
        lasted = int((now - self._since) // _SAY_EVERY_S) * _SAY_EVERY_S
        if lasted > self._lasted:
            self._lasted = lasted
            self._say(f"{status}, for {lasted} s now")
