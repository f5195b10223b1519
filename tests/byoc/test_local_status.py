"""What `byoc local status` says of endpoints and jobs, and `byoc local down` of what goes."""

import pytest
from botocore.exceptions import ClientError

from byoc.local_status import gone_with_it, standing


class SageMaker:
    """Endpoints and jobs by name, each with its status and its FailureReason."""

    def __init__(self, endpoints=(), jobs=()):
        self._endpoints, self._jobs = dict(endpoints), dict(jobs)

    def list_endpoints(self, **_):
        listed = [(name, told[0]) for name, told in self._endpoints.items()]
        return {"Endpoints": [{"EndpointName": name, "EndpointStatus": status} for name, status in listed]}

    def list_training_jobs(self, **_):
        return {
            "TrainingJobSummaries": [
                {"TrainingJobName": name, "TrainingJobStatus": told[0]} for name, told in self._jobs.items()
            ]
        }

    def describe_endpoint(self, EndpointName):  # noqa: N803
        return self._reason(self._endpoints[EndpointName])

    def describe_training_job(self, TrainingJobName):  # noqa: N803
        return self._reason(self._jobs[TrainingJobName])

    def _reason(self, told):
        if told[1] is ClientError:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "Describe")
        return {"FailureReason": told[1]} if told[1] else {}


class S3:
    """Buckets with a number of objects."""

    def __init__(self, **buckets):
        self._buckets = buckets

    def list_buckets(self):
        return {"Buckets": [{"Name": name} for name in self._buckets]}

    def list_objects_v2(self, Bucket, MaxKeys):  # noqa: N803
        return {"KeyCount": min(self._buckets[Bucket], MaxKeys)}


def test_an_endpoint_in_service_whose_update_was_refused_says_so():
    endpoints = {"well": ("InService", ""), "ill": ("InService", "no\n  such model")}
    assert list(standing(SageMaker(endpoints))) == [
        "endpoint      well  InService",
        "endpoint      ill  InService",
        "              The last update failed: no such model",
    ]


def test_what_has_failed_says_why_in_one_line_of_some_length():
    sagemaker = SageMaker(
        {"e": ("Failed", "cause " * 200)}, {"j": ("Failed", "bad data"), "k": ("Completed", "")}
    )
    name, reason, *jobs = standing(sagemaker)
    assert name == "endpoint      e  Failed"
    assert reason.strip().startswith("cause cause")
    assert reason.endswith("…")
    assert len(reason) == 314
    assert jobs == ["training job  j  Failed", "              bad data", "training job  k  Completed"]


def test_what_is_deleted_while_we_look_is_no_error():
    assert list(standing(SageMaker({"e": ("Deleting", ClientError)}))) == ["endpoint      e  Deleting"]


@pytest.mark.parametrize(
    ("jobs", "told"), [(1, "1 training job"), (2, "2 training jobs"), (100, "100 or more training jobs")]
)
def test_what_goes_is_named(jobs, told):
    sagemaker = SageMaker({"e": ("InService", "")}, {f"j{n}": ("Completed", "") for n in range(jobs)})
    assert gone_with_it(sagemaker, S3(full=2, empty=0)) == ["endpoint e", told, "what was in s3://full"]


def test_of_what_was_not_used_nothing_goes():
    assert gone_with_it(SageMaker(), S3(empty=0)) == []
