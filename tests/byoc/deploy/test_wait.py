"""Waiting: soon at first and then less often, with each status said once and the reason of an end."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from byoc.deploy.errors import DeployError
from byoc.deploy.wait import (
    MOST_S,
    Said,
    await_deletion,
    await_endpoint,
    await_job,
    durations_of,
    poll,
    until_settled,
)

BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


class FakeAws:
    """An AWS whose descriptions come one after another, and whose logs are what they are."""

    def __init__(self, *descriptions, lines=()):
        self.descriptions = iter(descriptions)
        self.lines = lines

    def client(self, _service):
        return self

    def _next(self, **_):
        found = next(self.descriptions)
        if isinstance(found, Exception):
            raise found
        return found

    describe_training_job = describe_endpoint = _next

    def describe_log_streams(self, **asked):
        self.asked = asked
        return {
            "logStreams": [
                {"logStreamName": "older", "creationTime": 1, "lastEventTimestamp": 99},  # it answers on
                {"logStreamName": "newer", "creationTime": 9, "lastEventTimestamp": 10},
            ]
        }

    def get_log_events(self, logStreamName, **_):  # noqa: N803 - as boto3 has it
        return {"events": [{"message": f"{line}\n"} for line in self.lines if logStreamName == "newer"]}


def no_pause(_seconds):
    pass


def job(status, *secondary, **more):
    transitions = [{"Status": name, "StatusMessage": f"now {name}"} for name in secondary]
    return {"TrainingJobStatus": status, "SecondaryStatusTransitions": transitions, **more}


def endpoint(status, config="new", **more):
    return {"EndpointStatus": status, "EndpointConfigName": config, **more}


def test_pauses_grow_up_to_a_bound():
    pauses, looks = [], itertools.count()
    assert poll(lambda: True if next(looks) == 20 else None, pauses.append)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.2, MOST_S)


def test_each_status_is_said_once_and_then_how_long_it_lasts():
    said, clock = [], iter([0, 0, 10, 29, 30, 45, 61, 62, 70])
    tell = Said(said.append, lambda: next(clock))
    for status in ["A"] * 6 + ["B"] * 2:
        tell(status)
    assert said == ["A", "A, for 30 s now", "A, for 60 s now", "B"]


def test_a_completed_job_is_returned_and_its_statuses_said():
    said = []
    aws = FakeAws(job("InProgress", "Starting"), job("InProgress", "Starting", "Training"), job("Completed"))
    assert await_job(aws, "job-1", said.append, no_pause)["TrainingJobStatus"] == "Completed"
    assert said == ["Starting: now Starting", "Training: now Training", "Completed"]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_ends_otherwise_raises_its_reason_and_the_last_lines_of_its_log(status):
    aws = FakeAws(job("Stopping"), job(status, FailureReason="AlgorithmError: gone"), lines=["one", "two"])
    with pytest.raises(DeployError) as raised:
        await_job(aws, "job-1", no_pause, no_pause)
    assert str(raised.value).splitlines() == [
        f"Training job job-1 is {status}: AlgorithmError: gone",
        "The last lines of its log (group /aws/sagemaker/TrainingJobs, stream newer):",
        "  one",
        "  two",
    ]
    assert aws.asked["logStreamNamePrefix"] == "job-1/"


def test_an_endpoint_in_service_with_what_was_asked_is_enough():
    said = []
    await_endpoint(FakeAws(endpoint("Creating"), endpoint("InService")), "e", "new", said.append, no_pause)
    assert said == ["Creating", "InService"]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (
            endpoint("Failed", FailureReason="No ping. Its log says more."),
            "No ping. Endpoint e is Failed: it did not come up with new.\nIts log says more.",
        ),
        (
            endpoint("InService", "old", FailureReason="no ping"),
            "no ping. Endpoint e is InService with old, as before: it was not updated to new.",
        ),
        (
            endpoint("OutOfService"),
            "No reason was given. Endpoint e is OutOfService: it did not come up with",
        ),
    ],
    ids=["failed", "rolled back", "out of service"],
)
def test_an_endpoint_that_does_not_come_up_raises_its_reason_and_its_log(last, told):
    aws = FakeAws(endpoint("Updating"), endpoint("RollingBack"), last, lines=["what the container said"])
    with pytest.raises(DeployError) as raised:
        await_endpoint(aws, "e", "new", no_pause, no_pause)
    assert str(raised.value).startswith(told)
    assert str(raised.value).endswith("\n  what the container said")
    assert aws.asked["logGroupName"] == "/aws/sagemaker/Endpoints/e"


def test_the_last_that_is_said_of_a_rolled_back_update_is_what_answers_on():
    said = []
    aws = FakeAws(endpoint("Updating", "old"), endpoint("RollingBack", "old"), endpoint("InService", "old"))
    with pytest.raises(DeployError):
        await_endpoint(aws, "e", "new", said.append, no_pause)
    assert said == ["Updating", "RollingBack", "InService with old, as before"]


def test_an_update_that_is_not_seen_yet_is_not_taken_for_one_that_is_over():
    before, under_way = endpoint("InService", "old"), endpoint("Updating", "old")
    await_endpoint(FakeAws(before, before, under_way, endpoint("InService")), "e", "new", no_pause, no_pause)


def refusal(message, code="ValidationException"):
    return ClientError({"Error": {"Code": code, "Message": message}}, "Create")


@pytest.mark.parametrize(
    "message", ["Could not assume role arn:it. Please ensure", 'Could not find model "m".']
)
def test_what_was_made_a_moment_ago_is_waited_for_and_no_longer_than_20_s(message):
    answers, pauses, said = iter([refusal(message), refusal(message), "done"]), [], []

    def act():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert until_settled(act, said.append, pauses.append) == "done"
    assert said == [f"not yet: {message}"] * 2
    answers = itertools.repeat(refusal(message))
    with pytest.raises(ClientError):
        until_settled(act, said.append, pauses.append)
    assert sum(pauses) <= 22


def test_any_other_refusal_is_told_at_once():
    with pytest.raises(ClientError):
        until_settled(
            lambda: (_ for _ in ()).throw(refusal("no", "AccessDeniedException")), no_pause, pytest.fail
        )


@pytest.mark.parametrize("line", ["it is gone", '{"level": "ERROR", "message": "it is gone"}'])
def test_lines_that_the_reason_has_already_are_not_told_again(line):
    aws = FakeAws(endpoint("Failed", FailureReason="no ping: it is gone"), lines=[line])
    with pytest.raises(DeployError) as raised:
        await_endpoint(aws, "e", "new", no_pause, no_pause)
    assert str(raised.value).count("it is gone") == 1
    assert "Its log is in group /aws/sagemaker/Endpoints/e, stream newer." in str(raised.value)


def test_a_container_that_said_nothing_is_told_so():
    with pytest.raises(DeployError, match="is empty: the container did not get as far as saying anything"):
        await_endpoint(FakeAws(endpoint("Failed")), "e", "new", no_pause, no_pause)


def test_logs_that_cannot_be_read_do_not_hide_the_reason():
    class Denied(FakeAws):
        def describe_log_streams(self, **_):
            raise ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeLogStreams"
            )

    with pytest.raises(DeployError, match=r"with new\.\nIts log, group .*, cannot be read: .*AccessDenied"):
        await_endpoint(Denied(endpoint("Failed", FailureReason="no ping")), "e", "new", no_pause, no_pause)


def test_a_deleted_endpoint_is_waited_for_until_it_is_gone():
    gone = ClientError(
        {"Error": {"Code": "ValidationException", "Message": 'Could not find endpoint "e".'}}, "D"
    )
    await_deletion(FakeAws(endpoint("Deleting"), gone), "e", no_pause, no_pause)
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "D")
    with pytest.raises(ClientError):
        await_deletion(FakeAws(denied), "e", no_pause, no_pause)


def test_the_durations_of_a_job_are_those_of_its_statuses():
    transitions = [
        {"Status": "Starting", "StartTime": BEGAN, "EndTime": BEGAN + timedelta(seconds=61.6)},
        {"Status": "Training", "StartTime": BEGAN, "EndTime": BEGAN + timedelta(seconds=3)},
        {"Status": "Completed", "StartTime": BEGAN, "EndTime": BEGAN},
    ]
    described = {"TrainingJobStatus": "Completed", "SecondaryStatusTransitions": transitions}
    assert durations_of(described) == "Starting 62 s, Training 3 s"
