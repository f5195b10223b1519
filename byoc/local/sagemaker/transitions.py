"""How the document of a training job changes from one status to the next; pure."""

from collections.abc import Mapping
from math import ceil
from typing import cast

from byoc.local.sagemaker.kinds import structures, text
from byoc.local.sagemaker.store import Document

IN_PROGRESS = "InProgress"
STOPPING = "Stopping"
COMPLETED = "Completed"
FAILED = "Failed"
STOPPED = "Stopped"
MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
RUNNING = (IN_PROGRESS, STOPPING)

# AWS, "SecondaryStatusTransition", and what its console shows.
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    COMPLETED: "Training job completed",
    FAILED: "Training job failed",
    STOPPED: "Training job stopped",
    MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
_MOST_REASON = 1024  # characters of FailureReason


def enter(job: Document, secondary: str, at: float) -> Document:
    """Return the job in a secondary status from `at` on; the one before ends then."""
    before = structures(job, "SecondaryStatusTransitions")
    if before:
        before = [*before[:-1], {**before[-1], "EndTime": at}]
    step = {"Status": secondary, "StartTime": at, "StatusMessage": MESSAGES[secondary]}
    changed = {
        **job,
        "SecondaryStatus": secondary,
        "LastModifiedTime": at,
        "SecondaryStatusTransitions": [*before, step],
    }
    return {**changed, "TrainingStartTime": at} if secondary == "Downloading" else changed


def stopping(job: Document, at: float) -> Document:
    """Return the job on its way to an end that somebody asked for."""
    return {**enter(job, "Stopping", at), "TrainingJobStatus": STOPPING}


def end(job: Document, secondary: str, at: float, reason: str = "") -> Document:
    """Return the job at its end: Completed, Failed (with a reason), Stopped or MaxRuntimeExceeded."""
    status = STOPPED if secondary == MAX_RUNTIME_EXCEEDED else secondary
    began = cast("float", job.get("TrainingStartTime", at))
    taken_s = max(1, ceil(at - began))
    entered = enter(job, secondary, at)
    *before, last = structures(entered, "SecondaryStatusTransitions")
    ended: Document = {
        **entered,
        "TrainingJobStatus": status,
        "SecondaryStatusTransitions": [*before, {**last, "EndTime": at}],
        "TrainingEndTime": at,
        "TrainingTimeInSeconds": taken_s,
        "BillableTimeInSeconds": taken_s,
        "ModelArtifacts": {"S3ModelArtifacts": artefacts_uri(job)},
    }
    return {**ended, "FailureReason": reason[:_MOST_REASON]} if reason else ended


def output_prefix(job: Mapping[str, object]) -> str:
    """Return the S3 URI below which the output of a job goes, without a slash at its end."""
    config = cast("Document", job["OutputDataConfig"])
    return f"{text(config, 'S3OutputPath').rstrip('/')}/{text(job, 'TrainingJobName')}/output"


def is_compressed(job: Mapping[str, object]) -> bool:
    """Whether the model goes up as one model.tar.gz, rather than file by file."""
    return cast("Document", job["OutputDataConfig"]).get("CompressionType") != "NONE"


def artefacts_uri(job: Mapping[str, object]) -> str:
    """Return what ModelArtifacts names, whether or not anything was uploaded, as AWS does."""
    return f"{output_prefix(job)}/model{'.tar.gz' if is_compressed(job) else '/'}"


def algorithm_error(status: int, failure: str) -> str:
    """Return the FailureReason of a program that ended with this status, negative for a signal.

    Source: the first 1024 characters of /opt/ml/output/failure (AWS, "How Amazon SageMaker signals
    algorithm success and failure"), in the form that its answers have.
    """
    code = status if status >= 0 else 128 - status
    ending = f", exit code: {code}"
    start = "AlgorithmError: "
    return f"{start}{failure.strip()[: _MOST_REASON - len(start) - len(ending)]}{ending}"
