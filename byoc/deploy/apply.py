"""Applies a plan, step by step, and knows at every moment what it has made."""

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from byoc import sdk
from byoc.aws import Aws
from byoc.deploy import wait
from byoc.deploy.errors import DeployError
from byoc.deploy.invoke import body_of, content_type_of, invoke
from byoc.deploy.observe import artefact_of
from byoc.deploy.plan import Plan
from byoc.deploy.steps import (
    AwaitEndpoint,
    CreateConfig,
    CreateEndpoint,
    CreateModel,
    DeleteEndpoint,
    SmokeCall,
    Step,
    TagEndpoint,
    Train,
    UpdateEndpoint,
    UploadData,
)
from byoc.stages import Stage, Stages

_SHOWN = 60


@dataclass
class Deployment:
    """A deployment under way.

    Attributes:
        artefact: where the training job has put the model, once it has.
        made: what exists that did not before, each with the command that stops or deletes it.
    """

    aws: Aws
    options: str = ""
    sleep: Callable[[float], None] = time.sleep
    artefact: str = ""
    made: list[tuple[str, str]] = field(default_factory=list)

    def note(self, what: str, verb: str, option: str, name: str) -> None:
        """Remember what was made, and how to get rid of it."""
        self.made.append((f"{what} {name}", f"aws sagemaker {verb} {option} {name}{self.options}"))


def apply(plan: Plan, deployment: Deployment, stages: Stages) -> None:
    """Do every step of a plan.

    Raises:
        ByocError: a step failed; a note has what exists by then. So it is said when it is interrupted.
    """
    with _what_exists(deployment, stages):
        for step in plan.steps:
            with stages.stage(step.title) as stage:
                _do(step, deployment, stage)


def require_sdk(plan: Plan) -> None:
    """Make sure that there is an SDK where a step of a plan starts a training job.

    Raises:
        SdkError: there is none.
    """
    if any(isinstance(step, Train) and step.running is None for step in plan.steps):
        sdk.major_version()


def options_of(region: str | None, profile: str | None) -> str:
    """Return the options that the aws CLI needs to reach what we reached, each with a space before it."""
    given = {"--region": region, "--profile": profile}
    return "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)


def _do(step: Step, deployment: Deployment, stage: Stage) -> None:
    match step:
        case UploadData():
            _upload(step, deployment, stage)
        case Train():
            _train(step, deployment, stage)
        case CreateModel():
            _create_model(step, deployment, stage)
        case CreateConfig():
            _create_config(step, deployment, stage)
        case TagEndpoint():
            tags = [{"Key": key, "Value": value} for key, value in step.tags.items()]
            deployment.aws.client("sagemaker").add_tags(ResourceArn=step.arn, Tags=tags)
        case SmokeCall():
            _ask(step, deployment, stage)
        case _:
            _deploy(step, deployment, stage)


def _upload(step: UploadData, deployment: Deployment, stage: Stage) -> None:
    bucket, _, prefix = step.destination.removeprefix("s3://").partition("/")
    files = _files_in(step.folder)
    for file in files:
        stage.progress(file.name)
        key = f"{prefix}{file.relative_to(step.folder).as_posix()}"
        deployment.aws.client("s3").upload_file(str(file), bucket, key)
    stage.result = f"{len(files)} files are in {step.destination}"


def _files_in(folder: Path) -> Sequence[Path]:
    found = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    inside = {file: file.relative_to(folder).parts for file in found}
    return [file for file, parts in inside.items() if not any(part.startswith((".", "__")) for part in parts)]


def _train(step: Train, deployment: Deployment, stage: Stage) -> None:
    name = step.running
    if name is None:
        stage.progress("loading the SageMaker SDK")
        name = sdk.start(deployment.aws, step.fit, datetime.now(UTC))
    deployment.note("training job", "stop-training-job", "--training-job-name", name)
    try:
        job = wait.await_job(deployment.aws, name, stage.progress, deployment.sleep)
    except DeployError:
        deployment.made.pop()  # there is nothing to stop any more
        raise
    deployment.artefact = artefact_of(job)
    deployment.made[-1] = (
        "the model that the training job pulled",
        f"aws s3 rm {deployment.artefact}{deployment.options}",
    )
    stage.result = f"{name} is Completed ({wait.durations_of(job)})"


def _create_model(step: CreateModel, deployment: Deployment, stage: Stage) -> None:
    sagemaker, request = deployment.aws.client("sagemaker"), dict(step.request)
    name = request["ModelName"]
    container = dict(request["PrimaryContainer"])
    if deployment.artefact and "ModelDataSource" not in container:
        container["ModelDataUrl"] = deployment.artefact
    if step.replace:
        sagemaker.delete_model(ModelName=name)
    sagemaker.create_model(**request | {"PrimaryContainer": container})
    deployment.note("model", "delete-model", "--model-name", name)
    stage.result = name


def _create_config(step: CreateConfig, deployment: Deployment, stage: Stage) -> None:
    name = step.request["EndpointConfigName"]
    deployment.aws.client("sagemaker").create_endpoint_config(**step.request)
    deployment.note("endpoint configuration", "delete-endpoint-config", "--endpoint-config-name", name)
    stage.result = name


def _deploy(
    step: DeleteEndpoint | CreateEndpoint | UpdateEndpoint | AwaitEndpoint,
    deployment: Deployment,
    stage: Stage,
) -> None:
    sagemaker, name = deployment.aws.client("sagemaker"), step.name
    match step:
        case DeleteEndpoint():
            sagemaker.delete_endpoint(EndpointName=name)
            wait.await_deletion(deployment.aws, name, stage.progress, deployment.sleep)
            return
        case CreateEndpoint():
            tags = [{"Key": key, "Value": value} for key, value in step.tags.items()]
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=step.config, Tags=tags)
        case UpdateEndpoint():
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=step.config)
    if isinstance(step, CreateEndpoint):
        deployment.note("endpoint", "delete-endpoint", "--endpoint-name", name)
    else:  # somebody may be calling it
        deployment.note("the update of endpoint", "describe-endpoint", "--endpoint-name", name)
    try:
        wait.await_endpoint(deployment.aws, name, step.config, stage.progress, deployment.sleep)
    except DeployError:
        if not isinstance(step, CreateEndpoint):
            deployment.made.pop()  # the update is over
        raise
    stage.result = f"{name} is InService"


def _ask(step: SmokeCall, deployment: Deployment, stage: Stage) -> None:
    answer = invoke(deployment.aws, step.name, body_of(step.file), content_type_of(step.file))
    text = " ".join(answer.body.decode(errors="replace").split())
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    stage.result = f"{step.file.name} was answered in {answer.ms:.0f} ms: {shown}"


@contextmanager
def _what_exists(deployment: Deployment, stages: Stages) -> Iterator[None]:
    """When the block is left early, say what exists by then, and how to go on or be rid of it."""
    try:
        yield
    except Exception as error:
        if deployment.made:
            error.add_note(_told(deployment.made))
        raise
    except BaseException:  # ^C and SIGTERM
        stages.say(_told(deployment.made) if deployment.made else "Nothing was created.")
        raise


def _told(made: Sequence[tuple[str, str]]) -> str:
    lines = [f"  {what}: {command}" for what, command in reversed(made)]
    return "\n".join(
        [
            "What exists by now, and how to look at it, stop or delete it:",
            *lines,
            "To go on, run the same command again: it takes up what is there.",
        ]
    )
