"""Applies a plan, step by step, and knows at every moment what it has made."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from botocore.exceptions import ClientError

from byoc import sdk
from byoc.aws import Aws, is_missing
from byoc.deploy import wait
from byoc.deploy.errors import GO_ON, DeployError, SmokeError
from byoc.deploy.hold import hold
from byoc.deploy.invoke import body_of, content_type_of, invoke
from byoc.deploy.observe import artefact_of
from byoc.deploy.plan import Plan
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
from byoc.stages import Stage, Stages

T = TypeVar("T")

# What begins the list of what is there when a deployment ends early.
EXISTS = "What exists by now, and how to look at it, stop or delete it:"
_GO_ON_INTERRUPTED = "To go on, run the same command again: it takes up what is there."
_SHOWN = 60


@dataclass
class Deployment:
    """A deployment under way.

    Attributes:
        artefact: where the training job has put the model, once it has.
        made: what exists that did not before, each with the command that stops or deletes it.
    """

    aws: Aws
    sleep: Callable[[float], None] = time.sleep
    artefact: str = ""
    made: list[tuple[str, str]] = field(default_factory=list)

    def note(self, what: str, command: str) -> None:
        """Remember what was made, and the aws command that gets rid of it."""
        self.made.append((what, f"aws {command}{self.aws.options}"))


def apply(plan: Plan, deployment: Deployment, stages: Stages) -> None:
    """Do every step of a plan.

    Raises:
        ByocError: a step failed; a note has what exists by then. So it is said when it is interrupted.
    """
    with _what_exists(deployment, stages):
        for step in plan.steps:
            with stages.stage(step.title) as stage:
                _do(step, deployment, stage)


def require_means(plan: Plan) -> None:
    """Make sure that what the steps need of this machine is there: files to upload, an SDK that trains.

    Raises:
        DeployError: there are no files.
        SdkError: there is no SDK.
    """
    for step in plan.steps:
        if isinstance(step, UploadData) and not _files_in(step.folder):
            raise DeployError(
                f"dummy_data is {step.folder}, where no files are. Name another with --dummy-data: the "
                "training job wants at least one, --direct none."
            )
        if isinstance(step, Train) and step.running is None:
            sdk.major_version()


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
        case DeleteEndpoint():
            _delete_endpoint(step, deployment, stage)
        case DeleteConfigs() | DeleteModels():
            _delete_all(step, deployment, stage)
        case _:
            _deploy(step, deployment, stage)


def _make(make: Callable[[], T], deployment: Deployment, stage: Stage) -> T:
    """Make something and note it, both or neither: an interruption waits for AWS's answer."""

    def whole() -> T:
        with hold():
            return make()

    return wait.until_settled(whole, stage.progress, deployment.sleep)


def _upload(step: UploadData, deployment: Deployment, stage: Stage) -> None:
    bucket, _, prefix = step.destination.removeprefix("s3://").partition("/")
    files = _files_in(step.folder)
    deployment.note(f"files of {step.folder.name}/", f"s3 rm --recursive {step.destination}")
    for file in files:
        stage.progress(file.name)
        key = f"{prefix}{file.relative_to(step.folder).as_posix()}"
        try:
            deployment.aws.client("s3").upload_file(str(file), bucket, key)
        except OSError as error:
            raise DeployError(f"{file} cannot be read: {error.strerror}. Mend or remove it.") from error
    stage.result = f"{len(files)} files are in {step.destination}"


def _files_in(folder: Path) -> Sequence[Path]:
    found = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    inside = {file: file.relative_to(folder).parts for file in found}
    return [file for file, parts in inside.items() if not any(part.startswith((".", "__")) for part in parts)]


def _train(step: Train, deployment: Deployment, stage: Stage) -> None:
    def start() -> str:
        with hold() as check:
            name = step.running or sdk.start(deployment.aws, step.fit, datetime.now(UTC), check)
            stop = f"sagemaker stop-training-job --training-job-name {name}"
            deployment.note(f"training job {name}", stop)
            return name

    if step.running is None:
        stage.progress("loading the SageMaker SDK")
        sdk.load()
        stage.progress("starting the training job")
    name = wait.until_settled(start, stage.progress, deployment.sleep)
    try:
        job = wait.await_job(deployment.aws, name, stage.progress, deployment.sleep)
    except DeployError:
        deployment.made.pop()  # there is nothing to stop any more
        raise
    deployment.made.pop()
    deployment.artefact = artefact_of(job)
    deployment.note("the model that the training job pulled", f"s3 rm {deployment.artefact}")
    stage.result = f"{name} is Completed ({wait.durations_of(job)})"


def _create_model(step: CreateModel, deployment: Deployment, stage: Stage) -> None:
    sagemaker, request = deployment.aws.client("sagemaker"), dict(step.request)
    name = request["ModelName"]
    container = dict(request["PrimaryContainer"])
    if deployment.artefact and "ModelDataSource" not in container:
        container["ModelDataUrl"] = deployment.artefact

    def create() -> None:
        sagemaker.create_model(**request | {"PrimaryContainer": container})
        deployment.note(f"model {name}", f"sagemaker delete-model --model-name {name}")

    if step.replace:
        sagemaker.delete_model(ModelName=name)
    _make(create, deployment, stage)
    stage.result = name


def _create_config(step: CreateConfig, deployment: Deployment, stage: Stage) -> None:
    name = step.request["EndpointConfigName"]

    def create() -> None:
        deployment.aws.client("sagemaker").create_endpoint_config(**step.request)
        delete = f"sagemaker delete-endpoint-config --endpoint-config-name {name}"
        deployment.note(f"endpoint configuration {name}", delete)

    _make(create, deployment, stage)
    stage.result = name


def _delete_endpoint(step: DeleteEndpoint, deployment: Deployment, stage: Stage) -> None:
    if not step.deleting:
        deployment.aws.client("sagemaker").delete_endpoint(EndpointName=step.name)
    wait.await_deletion(deployment.aws, step.name, stage.progress, deployment.sleep)
    stage.result = f"{step.name} is gone"


def _delete_all(step: DeleteConfigs | DeleteModels, deployment: Deployment, stage: Stage) -> None:
    sagemaker = deployment.aws.client("sagemaker")
    for name in step.names:
        stage.progress(name)
        try:
            if isinstance(step, DeleteConfigs):
                sagemaker.delete_endpoint_config(EndpointConfigName=name)
            else:
                sagemaker.delete_model(ModelName=name)
        except ClientError as error:
            if not is_missing(error):  # somebody else was quicker
                raise
    stage.result = f"{len(step.names)} gone"


def _deploy(
    step: CreateEndpoint | UpdateEndpoint | AwaitEndpoint, deployment: Deployment, stage: Stage
) -> None:
    def change() -> None:
        _change(step, deployment)

    _make(change, deployment, stage)
    try:
        wait.await_endpoint(deployment.aws, step.name, step.config, stage.progress, deployment.sleep)
    except DeployError:
        if not isinstance(step, CreateEndpoint):
            deployment.made.pop()  # the update is over
        raise
    stage.result = f"{step.name} is InService"


def _change(step: CreateEndpoint | UpdateEndpoint | AwaitEndpoint, deployment: Deployment) -> None:
    """Ask for the endpoint as it is wanted, if that was not done, and note what that makes."""
    sagemaker = deployment.aws.client("sagemaker")
    if isinstance(step, CreateEndpoint):
        tags = [{"Key": key, "Value": value} for key, value in step.tags.items()]
        sagemaker.create_endpoint(EndpointName=step.name, EndpointConfigName=step.config, Tags=tags)
        deployment.note(f"endpoint {step.name}", f"sagemaker delete-endpoint --endpoint-name {step.name}")
        return
    if isinstance(step, UpdateEndpoint):
        sagemaker.update_endpoint(EndpointName=step.name, EndpointConfigName=step.config)
    # Somebody may be calling it: it is looked at, not deleted.
    look = f"sagemaker describe-endpoint --endpoint-name {step.name}"
    deployment.note(f"the update of endpoint {step.name}", look)


def _ask(step: SmokeCall, deployment: Deployment, stage: Stage) -> None:
    try:
        answer = invoke(deployment.aws, step.name, body_of(step.file), content_type_of(step.file))
    except DeployError as error:
        raise SmokeError(
            f"{error}\nThe request was {step.file}; endpoint {step.name} is up all the same. If this is no "
            "request for the model, put one into dummy_data/ in its place, or name one: smoke_file in "
            f"endpoint.toml, or --smoke-file. Ask again: python test_endpoint.py {step.name} --file FILE"
        ) from error
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
            error.add_note(_told(deployment.made, error.go_on if isinstance(error, DeployError) else GO_ON))
        raise
    except BaseException:  # ^C and SIGTERM
        stages.say(_told(deployment.made, _GO_ON_INTERRUPTED))
        raise


def _told(made: Sequence[tuple[str, str]], go_on: str) -> str:
    lines = [f"  {what}: {command}" for what, command in reversed(made)]
    begin = EXISTS if made else "Nothing was created."
    return "\n".join([begin, *lines, *filter(None, [go_on])])
