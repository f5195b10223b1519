"""Whether a CreateTrainingJob can be carried out, before anything is made; and its document."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import cast

from byoc.local.errors import AwsError, validation
from byoc.local.sagemaker.channels import objects_of
from byoc.local.sagemaker.kinds import now, structure, structures, text
from byoc.local.sagemaker.metric_watch import check_definitions
from byoc.local.sagemaker.model_data import location
from byoc.local.sagemaker.refusals import not_here, refuse
from byoc.local.sagemaker.store import Document
from byoc.local.sagemaker.transitions import IN_PROGRESS, enter
from byoc.local.world import World

# Taken and described back is what changes nothing of the run itself, such as VpcConfig or RetryStrategy.
_NOT_YET = ("ModelPackageConfig", "ServerlessJobConfig", "TensorBoardOutputConfig")
_DAY_S = 86_400
_LONGEST_S = 28 * _DAY_S
_DEFAULTS: Mapping[str, object] = {
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
    "EnableNetworkIsolation": False,
}
# AWS answers them so, and SDK v2's Estimator.attach reads KmsKeyId and VolumeSizeInGB of every job.
_OUTPUT_DEFAULTS = {"CompressionType": "GZIP", "KmsKeyId": ""}
_RESOURCE_DEFAULTS = {"VolumeSizeInGB": 30}
_CHANNEL_DEFAULTS = {"CompressionType": "None", "RecordWrapperType": "None"}
_ONLY_DOTS = re.compile(r"\.+")


def check(world: World, request: Document) -> None:
    """Raise AWS's error for the first thing that keeps the job of a request from running here."""
    refuse(request, _NOT_YET, "")
    for member in ("AlgorithmSpecification", "ResourceConfig"):
        if not request.get(member):
            raise validation(f"The training job has no {member}. Give one.")
    _check_algorithm(structure(request, "AlgorithmSpecification"))
    _check_resources(structure(request, "ResourceConfig"))
    _check_max_runtime(structure(request, "StoppingCondition"))
    _check_checkpoints(world, structure(request, "CheckpointConfig"))
    world.roles.check(text(request, "RoleArn"))
    world.images.find(text(structure(request, "AlgorithmSpecification"), "TrainingImage"))
    _check_output(world, structure(request, "OutputDataConfig"))
    channels = structures(request, "InputDataConfig")
    names = Counter(text(channel, "ChannelName") for channel in channels)
    for name, times in names.items():
        if times > 1 or _ONLY_DOTS.fullmatch(name):
            raise validation(f"ChannelName {name} cannot be used{' twice' if times > 1 else ''}.")
    for channel in channels:
        _check_channel(world, channel, request)


def document_of(world: World, request: Document, folder: str) -> Document:
    """Return the document of a new job, with AWS's defaults, in its first status.

    Args:
        world: the local AWS.
        request: checked.
        folder: what the job has to itself; kept, so that it can be removed after a crash.
    """
    algorithm = structure(request, "AlgorithmSpecification")
    metrics = {"EnableSageMakerMetricsTimeSeries": bool(algorithm.get("MetricDefinitions"))}
    at = now(world)
    job: Document = {
        **_DEFAULTS,
        **{member: value for member, value in request.items() if member != "Tags"},
        "AlgorithmSpecification": {**metrics, **algorithm},
        "OutputDataConfig": {**_OUTPUT_DEFAULTS, **structure(request, "OutputDataConfig")},
        "ResourceConfig": {**_RESOURCE_DEFAULTS, **structure(request, "ResourceConfig")},
        "StoppingCondition": {"MaxRuntimeInSeconds": _DAY_S, **structure(request, "StoppingCondition")},
        "InputDataConfig": [
            {**_CHANNEL_DEFAULTS, **channel} for channel in structures(request, "InputDataConfig")
        ],
        "CreationTime": at,
        "TrainingJobStatus": IN_PROGRESS,
        "Folder": folder,
    }
    return enter(job, "Starting", at)


def _check_algorithm(algorithm: Document) -> None:
    refuse(algorithm, ("AlgorithmName",), "AlgorithmSpecification.")
    if not text(algorithm, "TrainingImage"):
        raise validation("AlgorithmSpecification has no TrainingImage. Give the URI of an image.")
    if algorithm["TrainingInputMode"] == "Pipe":
        raise not_here("TrainingInputMode Pipe", "Give File or FastFile.")
    check_definitions(structures(algorithm, "MetricDefinitions"))


def _check_resources(resources: Document) -> None:
    refuse(resources, ("InstanceGroups", "InstancePreferences"), "ResourceConfig.")
    for member in ("InstanceType", "InstanceCount"):
        if not resources.get(member):
            raise validation(f"ResourceConfig has no {member}. Give it.")
    if resources["InstanceCount"] != 1:
        what = f"training on several instances (InstanceCount {resources['InstanceCount']})"
        raise not_here(what, "Give 1.")


def _check_max_runtime(condition: Document) -> None:
    most = cast("int", condition.get("MaxRuntimeInSeconds", _DAY_S))
    if most > _LONGEST_S:
        raise validation(f"MaxRuntimeInSeconds is {most}. Give at most {_LONGEST_S}, which is 28 days.")


def _check_checkpoints(world: World, config: Document) -> None:
    if not config:
        return
    _check_bucket(world, text(config, "S3Uri"), "CheckpointConfig")
    folder = PurePosixPath(text(config, "LocalPath") or "/opt/ml/checkpoints")
    if not folder.is_relative_to("/opt/ml") or ".." in folder.parts or len(folder.parts) < 4:
        raise not_here(f"checkpoints in {folder}", "Give a LocalPath below /opt/ml.")


def _check_output(world: World, config: Document) -> None:
    _check_bucket(world, text(config, "S3OutputPath"), "OutputDataConfig")


def _check_bucket(world: World, uri: str, member: str) -> None:
    bucket = location(uri, member).bucket
    if not world.objects.has_bucket(bucket):
        raise validation(
            f"Access denied to {member} S3 bucket: {bucket}. There is no such bucket; create it first."
        )


def _check_channel(world: World, channel: Document, request: Document) -> None:
    name = text(channel, "ChannelName")
    where = f"channel {name}: "
    source = structure(channel, "DataSource")
    refuse(source, ("DatasetSource", "FileSystemDataSource"), where)
    source = structure(source, "S3DataSource")
    if not source:
        raise validation(f"Channel {name} has no S3DataSource. Give one.")
    refuse(source, ("HubAccessConfig", "InstanceGroupNames"), where)
    kind = text(source, "S3DataType")
    if kind not in ("S3Prefix", "ManifestFile"):
        raise not_here(f"{where}S3DataType {kind}", "Give S3Prefix or ManifestFile.")
    algorithm = structure(request, "AlgorithmSpecification")
    mode = text(channel, "InputMode") or text(algorithm, "TrainingInputMode")
    if mode == "Pipe":
        raise not_here(f"{where}InputMode Pipe", "Give File or FastFile.")
    if mode == "FastFile" and kind != "S3Prefix":
        raise validation(f"Channel {name}: FastFile requires S3DataType S3Prefix, and it is {kind}.")
    if channel.get("RecordWrapperType") == "RecordIO":
        raise not_here(f"{where}RecordWrapperType RecordIO", "Give None.")
    _check_data(world, channel, request)


def _check_data(world: World, channel: Document, request: Document) -> None:
    """Raise what AWS answers where a channel has no objects."""
    source = structure(structure(channel, "DataSource"), "S3DataSource")
    uri = text(source, "S3Uri")
    bucket = location(uri, "S3Uri").bucket
    try:
        found = any(True for _ in objects_of(world, channel))
    except (AwsError, ValueError):
        found = False
    if not found:
        raise validation(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
            f"bucket exists in the selected region ({world.region}), that objects exist under that S3 "
            f'prefix, and that the role "{text(request, "RoleArn")}" has "s3:ListBucket" permissions on '
            f'bucket "{bucket}".'
        )
