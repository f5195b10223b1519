"""One run of a training job: data in, `train`, model out, and its document told of every step."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import cast

from byoc.local.errors import AwsError
from byoc.local.sagemaker import transitions
from byoc.local.sagemaker.artefacts import is_own, upload_files, upload_model, upload_output
from byoc.local.sagemaker.channels import DownloadError, download, download_checkpoints, input_data_config
from byoc.local.sagemaker.kinds import TRAINING_JOB, now, structure, structures, text
from byoc.local.sagemaker.metric_watch import MetricWatch
from byoc.local.sagemaker.model_data import Location, location
from byoc.local.sagemaker.relay import Relay
from byoc.local.sagemaker.store import Document
from byoc.local.world import World
from byoc.runtime import opt_ml
from byoc.runtime.container import Container, Landlord, Place, ProgramError, Spec

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
METRICS = "/aws/sagemaker/TrainingJobs"
CHECKPOINTS = "/opt/ml/checkpoints"
GONE = "InternalServerError: the local SageMaker was stopped while the job ran. Start the job again."
_HOST = "algo-1"
_LOOK_S = 0.05
_ABANDONED_GRACE_S = 2.0
_log = logging.getLogger(__name__)

Start = Callable[[Spec, Landlord], Container]


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its last secondary status, and FailureReason where it failed."""

    secondary: str
    reason: str = ""


class TrainingRun:
    """Runs one job to its end; `work` is for a thread of its own, the rest for any other.

    Args:
        world: the local AWS.
        job: its document, just made.
        start: what starts a container.
        grace_s: seconds from SIGTERM to SIGKILL.
    """

    def __init__(self, world: World, job: Document, start: Start, grace_s: float) -> None:
        self._world = world
        self._job = job
        self._start = start
        self._grace_s = grace_s
        self._name = text(job, TRAINING_JOB.name)
        self._place = Place(Path(text(job, "Folder")))
        self._stop = threading.Event()
        self._abandoned = False
        self._stream = f"{self._name}/{_HOST}-{int(world.clock())}"
        self._metrics = MetricWatch(self._definitions(), self._report, self._warn)

    def stop(self) -> None:
        """Have the program stopped, with its grace."""
        self._stop.set()

    def abandon(self) -> None:
        """Have the program ended at once, as the local SageMaker ends."""
        self._abandoned = True
        self._stop.set()

    def work(self) -> None:
        """Do all of it. Whatever happens, the job is at an end afterwards and its folder is gone."""
        try:
            outcome = self._work()
        except DownloadError as error:
            outcome = Outcome(transitions.FAILED, f"ClientError: Data download failed:{error}")
        except ProgramError as error:
            outcome = Outcome(transitions.FAILED, f"ClientError: The container cannot be started. {error}")
        except AwsError as error:  # such as an image that went missing meanwhile
            outcome = Outcome(transitions.FAILED, f"ClientError: {error}")
        except Exception as error:  # noqa: BLE001 - the outermost of a thread; the job says so
            _log.exception("training job %s failed", self._name)
            outcome = Outcome(transitions.FAILED, f"InternalServerError: {error!r}. Please report it.")
        remove(self._place)
        if outcome.reason:
            _log.warning("training job %s is Failed: %s", self._name, " ".join(outcome.reason.split()))
        self._update(self._ended(outcome))

    def _ended(self, outcome: Outcome) -> Callable[[Document], Document]:
        def change(job: Document) -> Document:
            ended = transitions.end(job, outcome.secondary, now(self._world), outcome.reason)
            return {**ended, "FinalMetricDataList": self._metrics.final()}

        return change

    def _work(self) -> Outcome:
        tree = self._lay_out()
        if self._stop.is_set():
            return Outcome(transitions.FAILED, GONE) if self._abandoned else Outcome(transitions.STOPPED)
        outcome = self._train(tree)
        if self._abandoned:
            return Outcome(transitions.FAILED, GONE)
        self._enter("Uploading")
        try:
            self._upload(tree, outcome)
        except (AwsError, OSError) as error:
            return Outcome(transitions.FAILED, f"ClientError: Artifact upload failed:{error}")
        return outcome

    def _lay_out(self) -> opt_ml.OptMl:
        """Make the job's /opt/ml with all that `train` finds there."""
        self._enter("Downloading")
        tree = opt_ml.lay_out_training(
            self._place.opt_ml, cast("dict[str, str]", structure(self._job, "HyperParameters"))
        )
        resources = structure(self._job, "ResourceConfig")
        documents = {
            "inputdataconfig.json": input_data_config(self._job),
            "resourceconfig.json": _resource_config(text(resources, "InstanceType")),
        }
        for name, document in documents.items():
            (tree.configuration / name).write_text(json.dumps(document))
        download(self._world, self._job, tree.channels, self._stop.is_set)
        if "CheckpointConfig" in self._job:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
            download_checkpoints(self._world, self._job, self._checkpoints)
        return tree

    def _train(self, tree: opt_ml.OptMl) -> Outcome:
        container = self._start(self._spec(), self._world.landlord)
        if container.note:
            _log.warning("training job %s: %s", self._name, container.note)
        put = partial(self._world.logs.put, LOG_GROUP, self._stream)
        relay = Relay(put, self._metrics.hear, self._world.clock)
        relay.follow(container.process.follow())
        try:
            self._enter("Training")
            return self._watch(container) or self._judge(container.process.wait(), tree)
        finally:
            container.process.stop(_ABANDONED_GRACE_S)
            relay.finish()
            self._metrics.close()

    def _watch(self, container: Container) -> Outcome | None:
        """Return how the program was stopped; None where it ended by itself."""
        condition = structure(self._job, "StoppingCondition")
        deadline = time.monotonic() + cast("int", condition["MaxRuntimeInSeconds"])
        while container.process.poll() is None:
            if self._stop.wait(_LOOK_S):
                container.process.stop(_ABANDONED_GRACE_S if self._abandoned else self._grace_s)
                return Outcome(transitions.STOPPED)
            if time.monotonic() > deadline:
                self._update(lambda job: transitions.stopping(job, now(self._world)))
                container.process.stop(self._grace_s)
                return Outcome(transitions.MAX_RUNTIME_EXCEEDED)
        return None

    def _judge(self, status: int, tree: opt_ml.OptMl) -> Outcome:
        if status == 0:
            return Outcome(transitions.COMPLETED)
        failure = ""
        if tree.failure.is_file() and is_own(tree.failure, tree):
            with tree.failure.open("rb") as opened:
                failure = opened.read(4 * 1024).decode(errors="replace")
        return Outcome(transitions.FAILED, transitions.algorithm_error(status, failure))

    def _upload(self, tree: opt_ml.OptMl, outcome: Outcome) -> None:
        if outcome.secondary != transitions.FAILED:
            upload_model(self._world, self._job, tree, self._place.root)
        upload_output(self._world, self._job, tree, self._place.root)
        if "CheckpointConfig" in self._job:
            place = location(text(structure(self._job, "CheckpointConfig"), "S3Uri"), "S3Uri")
            prefix = Location(place.bucket, f"{place.key.rstrip('/')}/" if place.key else "")
            if is_own(self._checkpoints, tree):
                upload_files(self._world, self._checkpoints, prefix)

    def _spec(self) -> Spec:
        algorithm = structure(self._job, "AlgorithmSpecification")
        return Spec(
            name=f"train of {self._name}",
            image=self._world.images.find(text(algorithm, "TrainingImage")),
            verb="train",
            place=self._place,
            entrypoint=cast("list[str]", algorithm.get("ContainerEntrypoint", [])),
            arguments=cast("list[str] | None", algorithm.get("ContainerArguments")),
            environment={
                "AWS_REGION": self._world.region,
                **cast("dict[str, str]", structure(self._job, "Environment")),
                "TRAINING_JOB_NAME": self._name,
                "TRAINING_JOB_ARN": text(self._job, TRAINING_JOB.arn),
            },
            isolated=bool(self._job.get("EnableNetworkIsolation")),
        )

    @property
    def _checkpoints(self) -> Path:
        inside = text(structure(self._job, "CheckpointConfig"), "LocalPath") or CHECKPOINTS
        return self._place.opt_ml / PurePosixPath(inside).relative_to("/opt/ml")

    def _definitions(self) -> list[Document]:
        return structures(structure(self._job, "AlgorithmSpecification"), "MetricDefinitions")

    def _report(self, name: str, value: float, at_s: float) -> None:
        self._world.metrics.put(METRICS, name, value, {"TrainingJobName": self._name}, at_s)

    def _warn(self, warning: str, at_s: float) -> None:
        _log.warning("training job %s: %s", self._name, warning)
        self._world.logs.put(LOG_GROUP, self._stream, [(int(at_s * 1000), f"WARNING {warning}")])

    def _enter(self, secondary: str) -> None:
        def change(job: Document) -> Document:
            asked_to_stop = job["TrainingJobStatus"] == transitions.STOPPING
            if asked_to_stop and secondary != "Uploading":
                return job
            return transitions.enter(job, secondary, now(self._world))

        self._update(change)

    def _update(self, change: Callable[[Document], Document]) -> None:
        self._world.store.update(TRAINING_JOB.type, self._name, change)


def remove(place: Place) -> None:
    """Delete all that a run has to itself, and its log. Safe to repeat."""
    opt_ml.remove(place.root)
    place.log.unlink(missing_ok=True)


def _resource_config(instance_type: str) -> dict[str, object]:
    group = "homogeneousCluster"
    return {
        "current_host": _HOST,
        "current_instance_type": instance_type,
        "current_group_name": group,
        "hosts": [_HOST],
        "instance_groups": [{"instance_group_name": group, "instance_type": instance_type, "hosts": [_HOST]}],
        "network_interface_name": "lo",
    }
