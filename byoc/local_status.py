"""What a local SageMaker has: as `byoc local status` shows it, and as it goes with one that keeps nothing."""

from collections.abc import Callable, Iterator
from typing import Any

_PAGE = 100
_MOST_REASON = 300  # characters: what comes first is the cause
_INDENT = " " * 14


def standing(sagemaker: Any) -> Iterator[str]:  # noqa: ANN401 - boto3 makes its clients at run time
    """Yield a line for each endpoint and job, and one for what went wrong with it, the newest first.

    Args:
        sagemaker: a boto3 client.
    """
    for endpoint in sagemaker.list_endpoints(MaxResults=_PAGE)["Endpoints"]:
        name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
        yield f"endpoint      {name}  {status}"
        before = "The last update failed: " if status == "InService" else ""
        yield from _reason(sagemaker.describe_endpoint, before, EndpointName=name)
    for job in sagemaker.list_training_jobs(MaxResults=_PAGE)["TrainingJobSummaries"]:
        name, status = job["TrainingJobName"], job["TrainingJobStatus"]
        yield f"training job  {name}  {status}"
        if status == "Failed":
            yield from _reason(sagemaker.describe_training_job, "", TrainingJobName=name)


def _reason(describe: Callable[..., dict[str, Any]], before: str, **name: str) -> Iterator[str]:
    from botocore.exceptions import ClientError

    try:
        reason = " ".join(describe(**name).get("FailureReason", "").split())
    except ClientError:  # deleted meanwhile
        return
    if reason:
        cut = reason if len(reason) <= _MOST_REASON else f"{reason[: _MOST_REASON - 1]}…"
        yield f"{_INDENT}{before}{cut}"


def gone_with_it(sagemaker: Any, s3: Any) -> list[str]:  # noqa: ANN401 - boto3 makes its clients at run time
    """Return what a local SageMaker takes with it that keeps nothing; nothing for one that was not used.

    Args:
        sagemaker, s3: boto3 clients.
    """
    endpoints = [
        f"endpoint {endpoint['EndpointName']}"
        for endpoint in sagemaker.list_endpoints(MaxResults=_PAGE)["Endpoints"]
    ]
    jobs = len(sagemaker.list_training_jobs(MaxResults=_PAGE)["TrainingJobSummaries"])
    counted = [f"{jobs}{'' if jobs < _PAGE else ' or more'} training job{'s' if jobs > 1 else ''}"]
    objects = [
        f"what was in s3://{bucket['Name']}"
        for bucket in s3.list_buckets()["Buckets"]
        if s3.list_objects_v2(Bucket=bucket["Name"], MaxKeys=1).get("KeyCount")
    ]
    return [*endpoints, *(counted if jobs else []), *objects]
