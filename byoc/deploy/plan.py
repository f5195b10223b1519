"""Decides, from what is asked and what is there, which steps lead to the endpoint; touches nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byoc.config import MANIFEST_SHA256, Spec
from byoc.deploy.errors import DeployError
from byoc.deploy.names import Names
from byoc.deploy.reason import parted
from byoc.deploy.seen import MOVING, Endpoint, Made, Seen
from byoc.deploy.steps import (
    AwaitEndpoint,
    CreateConfig,
    CreateEndpoint,
    CreateModel,
    DeleteConfigs,
    DeleteEndpoint,
    DeleteModels,
    SmokeCall,
    Step,
    TagEndpoint,
    Train,
    UpdateEndpoint,
    UploadData,
)
from byoc.sdk import Fit

VARIANT = "AllTraffic"
CHANNEL = "dummy_data"


@dataclass(frozen=True)
class Plan:
    """What to do, in this order; `question` must be answered first, unless it is empty."""

    steps: tuple[Step, ...]
    question: str = ""

    def __str__(self) -> str:
        return "\n".join(f"  {number}. {step}" for number, step in enumerate(self.steps, 1))


def plan(spec: Spec, names: Names, seen: Seen, smoke: Path, *, direct: bool) -> Plan:
    """Return the steps; none where the endpoint is as it is wanted.

    Args:
        spec: what is asked for.
        names: those of what is created.
        seen: what is there.
        smoke: the request that the endpoint is asked with.
        direct: without a training job.

    Raises:
        DeployError: the endpoint is in a state that allows nothing; the message says what to wait for.
    """
    endpoint, ask = seen.endpoint, SmokeCall(spec.name, smoke)
    if endpoint is None:
        making = _making(spec, names, seen, direct=direct)
        return Plan((*making, CreateEndpoint(spec.name, names.config, spec.tags), ask))
    tagging = _tagging(spec, endpoint)
    if _is_on_its_way(endpoint, names):
        return Plan((AwaitEndpoint(spec.name, names.config), *tagging, ask))
    if endpoint.status in (*MOVING, "Deleting"):
        raise DeployError(_busy(spec.name, endpoint, seen.options))
    if endpoint.status == "InService" and endpoint.config == names.config:
        return Plan(tagging)
    making = _making(spec, names, seen, direct=direct)
    if endpoint.status == "Failed":
        again = (DeleteEndpoint(spec.name), CreateEndpoint(spec.name, names.config, spec.tags))
        why, _ = parted(endpoint.reason)
        question = f"Endpoint {spec.name} has failed: {why} Delete it and create it anew?"
        return Plan((*making, *again, ask), question)
    has = f"{endpoint.status} with {_told(endpoint.config, *endpoint.models)}"
    question = f"Endpoint {spec.name} is {has}. Update it to {_told(names.config, names.model)}?"
    return Plan((*making, UpdateEndpoint(spec.name, names.config), *tagging, ask), question)


def plan_deletion(name: str, made: Made) -> Plan:
    """Return the steps that delete an endpoint and all that was made for it; none where nothing is there."""
    steps: list[Step] = []
    if made.status:
        steps.append(DeleteEndpoint(name, deleting=made.status == "Deleting"))
    if made.configs:
        steps.append(DeleteConfigs(made.configs))
    if made.models:
        steps.append(DeleteModels(made.models))
    status = (
        f"Endpoint {name} is {made.status}. Delete it"
        if made.status
        else f"There is no endpoint {name}. Delete"
    )
    return Plan(tuple(steps), f"{status}, with all that was made for it?" if steps else "")


def fit_of(spec: Spec, names: Names, seen: Seen) -> Fit:
    """Return the dummy Estimator's training job: its `train` pulls the model version."""
    folder = folder_of(spec)
    return Fit(
        base_name=names.job,
        image=seen.inputs.image,
        role_arn=seen.inputs.role_arn,
        instance_type=spec.training_instance_type,
        max_run_s=spec.max_run,
        hyperparameters={
            "model_version": seen.inputs.model_version,
            "model_manifest_sha256": seen.inputs.manifest_sha256,
        },
        inputs={CHANNEL: f"{folder}/dummy_data/"},
        output_path=f"{folder}/training",
        subnets=spec.subnets,
        security_groups=spec.security_groups,
        tags=spec.tags,
    )


def folder_of(spec: Spec) -> str:
    """Return where in S3 a deployment keeps its own files."""
    bucket = spec.bucket or spec.model_version.split("/")[2]
    return f"s3://{bucket}/{spec.prefix}/{spec.name}"


def _making(spec: Spec, names: Names, seen: Seen, *, direct: bool) -> tuple[Step, ...]:
    return (*_model(spec, names, seen, direct=direct), *_config(spec, names, seen))


def _model(spec: Spec, names: Names, seen: Seen, *, direct: bool) -> Iterator[Step]:
    if seen.model:
        return
    if not direct and not (seen.job and seen.job.artefact):
        fit = fit_of(spec, names, seen)
        if seen.job is None:
            yield UploadData(spec.dummy_data, fit.inputs[CHANNEL])
        yield Train(fit, seen.job.name if seen.job else None)
    container: dict[str, Any] = {
        "Image": seen.inputs.image,
        "Environment": {**spec.environment, MANIFEST_SHA256: seen.inputs.manifest_sha256},
    }
    if direct:
        source = {"S3Uri": seen.inputs.model_version, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container["ModelDataSource"] = {"S3DataSource": source}
    elif seen.job and seen.job.artefact:
        container["ModelDataUrl"] = seen.job.artefact
    request: dict[str, Any] = {
        "ModelName": names.model,
        "ExecutionRoleArn": seen.inputs.role_arn,
        "PrimaryContainer": container,
    }
    if spec.subnets:
        vpc = {"Subnets": list(spec.subnets), "SecurityGroupIds": list(spec.security_groups)}
        request["VpcConfig"] = vpc
    yield CreateModel(request | _tags(spec), replace=seen.stale_model)


def _config(spec: Spec, names: Names, seen: Seen) -> Iterator[Step]:
    if seen.config:
        return
    timeouts = {
        "ContainerStartupHealthCheckTimeoutInSeconds": spec.startup_timeout,
        "ModelDataDownloadTimeoutInSeconds": spec.download_timeout,
    }
    variant: dict[str, Any] = {
        "VariantName": VARIANT,
        "ModelName": names.model,
        "InstanceType": spec.instance_type,
        "InitialInstanceCount": spec.instance_count,
        "InitialVariantWeight": 1.0,
    }
    variant |= {name: value for name, value in timeouts.items() if value is not None}
    request = {"EndpointConfigName": names.config, "ProductionVariants": [variant]}
    yield CreateConfig({**request, **_tags(spec)})


def _tags(spec: Spec) -> dict[str, Any]:
    tags = [{"Key": key, "Value": value} for key, value in spec.tags.items()]
    return {"Tags": tags} if tags else {}


def _tagging(spec: Spec, endpoint: Endpoint) -> tuple[Step, ...]:
    if set(spec.tags.items()) <= set(endpoint.tags):
        return ()
    return (TagEndpoint(endpoint.arn, spec.tags),)


def _told(config: str, *models: str) -> str:
    return f"{config} (model {', '.join(models)})" if models else config


def _is_on_its_way(endpoint: Endpoint, names: Names) -> bool:
    towards = endpoint.pending or (endpoint.config if endpoint.status == "Creating" else "")
    return endpoint.status in ("Creating", "Updating") and towards == names.config


def _busy(name: str, endpoint: Endpoint, options: str) -> str:
    until = "endpoint-deleted" if endpoint.status == "Deleting" else "endpoint-in-service"
    towards = f" to {endpoint.pending}" if endpoint.pending else ""
    return (
        f"Endpoint {name} is {endpoint.status}{towards}. Wait for it, and run this again: "
        f"aws sagemaker wait {until} --endpoint-name {name}{options}"
    )
