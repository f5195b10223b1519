"""Rules on large bodies."""

import time
from dataclasses import dataclass

from byoc.check import sources
from byoc.check.bodies import garbage, padded, sized, unpadded
from byoc.check.exchange import CALL_S, BrokenCallError
from byoc.check.lab import Lab
from byoc.check.number import counted
from byoc.check.rule import Part, Rule
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned

_API_BYTES = 6_291_456  # API reference of InvokeEndpoint: the longest Body
_FAQ_BYTES = 26_214_400  # hosting FAQ: 25 MB
_PATIENCE_S = 90.0  # somewhat more than SageMaker waits: by how much it is too late is worth knowing
_TOO_LARGE = 413
_PADDING_BYTES = 4096
_NGINX = (
    "Raise the limit of what stands in front (nginx: client_max_body_size 100m) and of the framework "
    "(Flask: MAX_CONTENT_LENGTH)."
)


@dataclass(frozen=True)
class _Trial:
    """What a large body came to.

    Attributes:
        is_read: whether it got as far as the program that answers.
        is_good: whether the answer is 2xx.
        is_error: whether the answer is 5xx.
        is_refused: whether the answer is 413, which tells of the size alone.
    """

    is_read: bool
    said: str
    seconds: float
    is_good: bool = False
    is_error: bool = False
    is_refused: bool = False


def body_6mb(lab: Lab) -> Verdict:
    """A body as long as the API reference says."""
    return _large_body(lab, _API_BYTES)


def body_25mb(lab: Lab) -> Verdict:
    """A body as long as the hosting FAQ says."""
    return _large_body(lab, _FAQ_BYTES)


def _large_body(lab: Lab, size: int) -> Verdict:
    """Send a body full of records, and where it is not read find out what about it is too much."""
    lab.good_answer()
    if len(lab.sample.body) >= size:
        return passed(
            f"The sample itself has {counted(len(lab.sample.body), 'byte')}, and is answered with 2xx."
        )
    lab.progress(f"a body of {size:,} bytes is sent")
    trial = _sent(lab, sized(lab.sample, size))
    words = f"A body of {size:,} bytes"
    if trial.is_read:
        late = f": SageMaker waits {CALL_S:.0f} s" if trial.seconds > CALL_S else ""
        return passed(f"{words} is answered {trial.said} after {trial.seconds:.1f} s{late}.")
    return failed(f"{words}: {trial.said}.") if trial.is_refused else _not_for_its_size(lab, size, trial)


def _not_for_its_size(lab: Lab, size: int, trial: _Trial) -> Verdict:
    """Say whether a body was not read for its many records, or for what it was filled up with."""
    sample, words = lab.sample, f"A body of {size:,} bytes"
    sparse = padded(sample, size)
    if sparse is None:
        if trial.is_error and _sent(lab, garbage()).is_error:
            raise CannotTestError(f"{words}: {trial.said}; but so is any that is no {sample.content_type}.")
        return failed(f"{words}: {trial.said}.")
    if sparse != sized(sample, size) and _sent(lab, sparse).is_read:
        return warned(
            f"{words} of that many records: {trial.said}, after {trial.seconds:.0f} s; one of that size with "
            "the sample once is read.",
            "Call with fewer records at a time, or predict many at once.",
        )
    small = _sent(lab, padded(sample, len(sample.body) + _PADDING_BYTES) or b"")
    return failed(f"{words}: {trial.said}.") if small.is_good else _without_padding(lab, size, trial, small)


def _without_padding(lab: Lab, size: int, trial: _Trial, small: _Trial) -> Verdict:
    """Judge what does not read blanks either, which the body was filled up with, by one that has none."""
    records = unpadded(lab.sample, size)
    if records is None:
        raise CannotTestError(
            f"A body of {size:,} bytes, the sample with blanks after it: {trial.said}; but with "
            f"{_PADDING_BYTES:,} blanks, which JSON allows: {small.said}. "
            "Give a larger request: --request FILE."
        )
    full = _sent(lab, records)
    words = f"A body of {len(records):,} bytes, lines alone,"
    if full.is_read:
        return passed(
            f"{words} is answered {full.said} after {full.seconds:.1f} s. Empty lines it does not read."
        )
    return failed(f"{words} is not read: {full.said}.")


def _sent(lab: Lab, body: bytes) -> _Trial:
    began = time.monotonic()
    try:
        answer = lab.server().ask("POST", "/invocations", body, lab.sample.headers, _PATIENCE_S)
    except BrokenCallError as error:
        return _Trial(is_read=False, said=str(error), seconds=time.monotonic() - began)
    is_read = answer.status != _TOO_LARGE and answer.status < 500
    said = f"{answer.status}" if is_read else f"the answer is {answer}"
    return _Trial(
        is_read,
        said,
        answer.seconds,
        is_good=answer.is_good,
        is_error=answer.status >= 500,
        is_refused=answer.status == _TOO_LARGE,
    )


RULES = (
    Rule(
        id="body-6mb",
        part=Part.SERVE,
        says="reads a body of 6,291,456 bytes",
        why="That long a body InvokeEndpoint passes on, and batch transform unless told otherwise.",
        so="calls with bodies of 6 MB fail",
        mend=_NGINX,
        source=sources.INVOKE_ENDPOINT,
        test=body_6mb,
        by_url=True,
    ),
    Rule(
        id="body-25mb",
        part=Part.SERVE,
        says="reads a body of 25 MB",
        why="AWS's limit for a call to an endpoint is 25 MB; what it passes on is not to be refused here.",
        so="calls with bodies of 25 MB fail",
        mend=_NGINX,
        source=sources.HOSTING_FAQ,
        test=body_25mb,
        by_url=True,
    ),
)
