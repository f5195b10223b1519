"""What the results mean, in words."""

import pytest

from byoc.check.run import STOPPED, Result
from byoc.check.summary import summary, tells_something
from byoc.check.table import RULES
from byoc.check.verdict import failed, passed, untested, warned

_STARTS = ("serve-starts", passed(""))
_STARTED = (_STARTS, ("model-read-only", passed("")))


def results(*verdicts):
    rules = {rule.id: rule for rule in RULES}
    return [Result(rules[name], verdict, 0.0) for name, verdict in verdicts]


def said(*verdicts):
    return summary(results(*verdicts))


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "Nothing was tested."),
        ([("train-completes", untested(""))], "Nothing was tested. 1 could not be tested: "),
        ([*_STARTED, ("keep-alive", warned(""))], "SageMaker will start this. 1 warning above."),
        (
            [_STARTS, ("ping-warm", passed("")), ("shm-64mb", untested(""))],
            "It serves; whether SageMaker can start it was not tested. 1 could not be tested: ",
        ),
        ([("train-completes", passed(""))], "Nothing that was tested failed."),
        (
            [*_STARTED, ("ping-warm", STOPPED)],
            "This was stopped: 1 of 3 rules not judged. Nothing that was tested failed.",
        ),
        (
            [*_STARTED, ("body-6mb", failed("")), ("chunked-request", failed(""))],
            (
                "SageMaker will start this, but this will go wrong. "
                "Serving: calls with bodies of 6 MB fail (body-6mb). "
                "Batch transform: transform jobs with MaxPayloadInMB=0 fail"
            ),
        ),
        ([("train-completes", failed(""))], "Training: training jobs fail (train-completes)."),
    ],
)
def test_what_works_and_what_does_not_is_told_by_part(verdicts, expected):
    assert said(*verdicts).startswith(expected)


@pytest.mark.parametrize(
    "name", ["image-architecture", "model-read-only", "listens-on-all", "shm-64mb", "program-line-ends"]
)
def test_what_starts_here_alone_is_not_said_to_start_on_sagemaker(name):
    assert said(_STARTS, (name, failed(""))).startswith("SageMaker will not start this: ")


def test_one_consequence_of_several_rules_is_told_once():
    told = said(("serve-starts", failed("")), ("listens-on-all", failed("")))
    assert told == (
        "SageMaker will not start this: no endpoint becomes InService (serve-starts, listens-on-all)."
    )


def test_what_fails_only_some_calls_is_told_apart_from_what_keeps_it_from_starting():
    told = said(("listens-on-all", failed("")), ("empty-body", failed("")))
    assert told == (
        "SageMaker will not start this: no endpoint becomes InService (listens-on-all). Apart from that this "
        "will go wrong. Serving: a caller's empty body looks like an outage (empty-body)."
    )


def test_a_run_that_could_test_nothing_tells_nothing():
    assert not tells_something([])
    assert not tells_something(results(("train-completes", untested(""))))
    assert tells_something(results(("train-completes", untested("")), ("keep-alive", warned(""))))
