"""Looks at what is there: the role, image and version that are needed, and what an earlier run has left."""

from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from byoc.aws import Aws, Where, is_missing, refused
from byoc.config import Spec, Target
from byoc.deploy.errors import DeployError, MissingError
from byoc.deploy.image import find_image
from byoc.deploy.names import CHARS, Names, is_of
from byoc.deploy.role import find_role
from byoc.deploy.seen import Endpoint, Inputs, Job, Made, Seen
from byoc.deploy.version import find_version, require_bucket

T = TypeVar("T")


def refuse_another_account(spec: Target, where: Where) -> None:
    """Make sure that the credentials are those of the account that endpoint.toml expects, if it does.

    Raises:
        DeployError: they are another's.
    """
    if spec.account and spec.account != where.account:
        raise DeployError(
            f"The credentials are those of account {where.account}, and account is {spec.account}: nothing "
            "was done. Use that account's credentials (--profile), or give --account."
        )


def find_inputs(aws: Aws, where: Where, spec: Spec) -> Inputs:
    """Return what a deployment needs, all of it found.

    Raises:
        MissingError: something is not there; the message has everything that is missing, and the remedies.
    """
    missing: list[str] = []

    def found(find: Callable[[], T], otherwise: T) -> T:
        try:
            return find()
        except MissingError as error:
            missing.append(str(error))
            return otherwise

    none: tuple[str, ...] = ()
    version, sha256, of_version = found(
        lambda: find_version(aws, spec.model_version, spec.model_manifest_sha256), ("", "", none)
    )
    role, of_role = found(lambda: find_role(aws, where, spec.role), ("", none))
    image, of_image = found(lambda: find_image(aws, where, spec.image), ("", none))
    if missing:
        raise MissingError("\n".join(missing))
    return Inputs(role, image, version, sha256, (*of_version, *of_role, *of_image))


def observe(aws: Aws, spec: Spec, inputs: Inputs, names: Names, *, direct: bool) -> Seen:
    """Return what of the deployment is there already.

    Raises:
        MissingError: a training job is needed, and the bucket for its output is not there.
    """
    model = _or_none(aws.client("sagemaker").describe_model, ModelName=names.model)
    url = (model or {}).get("PrimaryContainer", {}).get("ModelDataUrl")
    usable = model is not None and (url is None or _is_there(aws, url))
    if not (direct or usable) and spec.bucket:
        require_bucket(aws, spec.bucket)
    return Seen(
        inputs=inputs,
        model=usable,
        stale_model=model is not None and not usable,
        config=_config(aws, names.config) is not None,
        job=None if direct or usable else _job(aws, names.job),
        endpoint=_endpoint(aws, spec),
        options=aws.options,
    )


def observe_made(aws: Aws, name: str) -> Made:
    """Return what there is that was made for an endpoint, and the endpoint."""
    sagemaker = aws.client("sagemaker")
    endpoint = _or_none(sagemaker.describe_endpoint, EndpointName=name) or {}

    def named(operation: str, listed: str, key: str) -> tuple[str, ...]:
        pages = sagemaker.get_paginator(operation).paginate(NameContains=f"{name[:CHARS]}-")
        names = (str(one[key]) for page in pages for one in page[listed])
        return tuple(its for its in names if is_of(its, name))

    return Made(
        status=str(endpoint.get("EndpointStatus", "")),
        configs=named("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        models=named("list_models", "Models", "ModelName"),
    )


def _job(aws: Aws, base_name: str) -> Job | None:
    """Return the newest training job of this request that runs, or whose artefact is there."""
    sagemaker = aws.client("sagemaker")
    listed = sagemaker.list_training_jobs(
        NameContains=base_name, SortBy="CreationTime", SortOrder="Descending", MaxResults=20
    )
    for summary in listed["TrainingJobSummaries"]:
        name, status = summary["TrainingJobName"], summary["TrainingJobStatus"]
        if status == "InProgress":
            return Job(name, None)
        if status == "Completed":
            artefact = artefact_of(sagemaker.describe_training_job(TrainingJobName=name))
            if _is_there(aws, artefact):
                return Job(name, artefact)
    return None


def artefact_of(job: dict[str, Any]) -> str:
    """Return the URI of what a completed training job has left."""
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def _endpoint(aws: Aws, spec: Spec) -> Endpoint | None:
    sagemaker = aws.client("sagemaker")
    found = _or_none(sagemaker.describe_endpoint, EndpointName=spec.name)
    if found is None:
        return None
    config = _config(aws, str(found.get("EndpointConfigName", ""))) or {}
    # Who asks for no tags need not be allowed to list them.
    tags = sagemaker.list_tags(ResourceArn=found["EndpointArn"])["Tags"] if spec.tags else []
    return Endpoint(
        status=str(found["EndpointStatus"]),
        config=str(found.get("EndpointConfigName", "")),
        models=tuple(str(variant.get("ModelName")) for variant in config.get("ProductionVariants", [])),
        pending=str(found.get("PendingDeploymentSummary", {}).get("EndpointConfigName", "")),
        reason=str(found.get("FailureReason", "")),
        arn=str(found["EndpointArn"]),
        tags=tuple((tag["Key"], tag["Value"]) for tag in tags),
    )


def _config(aws: Aws, name: str) -> dict[str, Any] | None:
    return _or_none(aws.client("sagemaker").describe_endpoint_config, EndpointConfigName=name)


def _is_there(aws: Aws, uri: str) -> bool:
    """Return whether an object is there, as far as we may know."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        aws.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return not refused(error, "404", "NoSuchKey", "NoSuchBucket")
    return True


def _or_none(describe: Any, **name: str) -> dict[str, Any] | None:  # noqa: ANN401 - a method of boto3's
    try:
        answer: dict[str, Any] = describe(**name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return answer
