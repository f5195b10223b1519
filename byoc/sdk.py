"""The one door to the SageMaker SDK: fits the dummy Estimator, with v2's Estimator or v3's ModelTrainer."""

import importlib
import importlib.metadata
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from byoc.aws import Aws
from byoc.errors import ByocError

# What endpoint.toml says is all: no defaults from a file of the SDK's own, and no telemetry.
_CONFIG = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
# An event of botocore's clients; those that are made of a session hear what was registered with it before.
_CREATING = "provide-client-params.sagemaker.CreateTrainingJob"


class SdkError(ByocError):
    """The SageMaker SDK is not there, or refuses the job; the message says what to do."""


@dataclass(frozen=True)
class Fit:
    """A training job to be started.

    Attributes:
        base_name: what its name begins with; up to 48 characters.
        inputs: S3 URIs by channel.
        output_path: s3://bucket/prefix, below which the artefact is <job>/output/model.tar.gz.
    """

    base_name: str
    image: str
    role_arn: str
    instance_type: str
    max_run_s: int
    hyperparameters: Mapping[str, str]
    inputs: Mapping[str, str]
    output_path: str
    subnets: Sequence[str]
    security_groups: Sequence[str]
    tags: Mapping[str, str]


def major_version() -> int:
    """Return 2 or 3.

    Raises:
        SdkError: it is not installed.
    """
    try:
        return int(importlib.metadata.version("sagemaker").partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        raise SdkError(
            "The SageMaker SDK, which fits the dummy Estimator, is not installed: "
            "python -m pip install 'sagemaker-byoc[sdk]'. Or deploy without a training job: --direct."
        ) from None


def load() -> None:
    """Import the SDK, which takes seconds.

    Raises:
        SdkError: it is not installed.
    """
    os.environ.setdefault("SAGEMAKER_SUPPRESS_V2_WARNING", "1")
    for logger in ("sagemaker", "sagemaker.config"):  # its own progress would go between ours
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    importlib.import_module("sagemaker.estimator" if major_version() == 2 else "sagemaker.train")


def start(aws: Aws, fit: Fit, now: datetime, check: Callable[[], None] = lambda: None) -> str:
    """Start the training job, and return its name without waiting for it.

    Args:
        aws: where.
        fit: the job.
        now: its name ends in it.
        check: called at the last moment before it is asked for; raises to have none.

    Raises:
        SdkError: the SDK is not installed, or refuses the job.
        botocore.exceptions.ClientError: AWS does.
    """
    load()
    begin = _fit_estimator if major_version() == 2 else _train_with_model_trainer
    names: list[str] = []  # ModelTrainer makes the name itself, and does not say it in public

    def about_to_create(params: Mapping[str, str], **_: object) -> None:
        check()
        names.append(params["TrainingJobName"])

    # Of the client that is there, and of those that the SDK makes of the session.
    emitters = (aws.client("sagemaker").meta.events, aws.session.events)
    for events in emitters:
        events.register(_CREATING, about_to_create)
    try:
        begin(aws, fit, now)
    finally:
        for events in emitters:
            events.unregister(_CREATING, about_to_create)
    if not names:
        raise SdkError(f"The SageMaker SDK started no job whose name begins with {fit.base_name}.")
    return names[-1]


def _fit_estimator(aws: Aws, fit: Fit, now: datetime) -> None:
    from sagemaker.estimator import Estimator
    from sagemaker.inputs import TrainingInput
    from sagemaker.session import Session

    estimator = Estimator(
        image_uri=fit.image,
        role=fit.role_arn,
        instance_count=1,
        instance_type=fit.instance_type,
        max_run=fit.max_run_s,
        output_path=fit.output_path,
        hyperparameters=dict(fit.hyperparameters),
        subnets=list(fit.subnets) or None,
        security_group_ids=list(fit.security_groups) or None,
        tags=[{"Key": key, "Value": value} for key, value in fit.tags.items()] or None,
        # Both would ask for what a container of one's own has not got.
        debugger_hook_config=False,
        disable_profiler=True,
        sagemaker_session=Session(
            boto_session=aws.session, sagemaker_client=aws.client("sagemaker"), sagemaker_config=_CONFIG
        ),
    )
    inputs = {channel: TrainingInput(uri) for channel, uri in fit.inputs.items()}
    estimator.fit(inputs or None, job_name=f"{fit.base_name}-{now:%Y%m%d%H%M%S}", wait=False, logs=False)


def _train_with_model_trainer(aws: Aws, fit: Fit, _now: datetime) -> None:
    from sagemaker.core.helper.iam_role_resolver import RoleValidationError
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.shapes import Tag
    from sagemaker.core.training.configs import (
        Compute,
        InputData,
        Networking,
        OutputDataConfig,
        StoppingCondition,
    )
    from sagemaker.train import ModelTrainer

    networking = Networking(subnets=list(fit.subnets), security_group_ids=list(fit.security_groups))
    try:
        trainer = ModelTrainer(
            training_image=fit.image,
            role=fit.role_arn,
            base_job_name=fit.base_name,
            compute=Compute(instance_type=fit.instance_type, instance_count=1, volume_size_in_gb=30),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=fit.max_run_s),
            output_data_config=OutputDataConfig(s3_output_path=fit.output_path),
            hyperparameters=dict(fit.hyperparameters),
            networking=networking if fit.subnets else None,
            tags=[Tag(key=key, value=value) for key, value in fit.tags.items()] or None,
            sagemaker_session=Session(
                boto_session=aws.session, sagemaker_client=aws.client("sagemaker"), sagemaker_config=_CONFIG
            ),
        )
    except RoleValidationError as error:
        raise SdkError(f"The SageMaker SDK refuses the role {fit.role_arn}: {error}") from error
    inputs = [InputData(channel_name=channel, data_source=uri) for channel, uri in fit.inputs.items()]
    trainer.train(input_data_config=inputs, wait=False, logs=False)
