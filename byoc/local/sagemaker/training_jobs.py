"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob, DeleteTrainingJob."""

from collections.abc import Mapping

from byoc.local.errors import AwsError, validation
from byoc.local.sagemaker import training_request, transitions
from byoc.local.sagemaker.kinds import TRAINING_JOB, add, drop, need, now, tags_in, text
from byoc.local.sagemaker.listing import Columns, page
from byoc.local.sagemaker.store import Document
from byoc.local.sagemaker.training_runs import TrainingRuns
from byoc.local.world import Operation, World

_COLUMNS = Columns("TrainingJobSummaries", TRAINING_JOB.name, "TrainingJobStatus", sort_order="Ascending")
_NO_JOB_HAS = ("TrainingPlanArnEquals", "WarmPoolStatusEquals")


def operations(runs: TrainingRuns) -> Mapping[str, Operation]:
    """Return the operations, over what runs the jobs."""

    def create(world: World, request: Document) -> Document:
        """Keep a job and begin to run it; answer its ARN."""
        if world.store.get(TRAINING_JOB.type, text(request, TRAINING_JOB.name)) is None:
            training_request.check(world, request)
        document = training_request.document_of(world, request, str(runs.folder()))
        arn = add(world, TRAINING_JOB, document, tags_in(request))
        runs.start({**document, TRAINING_JOB.arn: arn})
        return {"TrainingJobArn": arn}

    def stop(world: World, request: Document) -> Document:
        """Have a job's program stopped: SIGTERM, and SIGKILL 120 s later."""
        name = text(need(world, TRAINING_JOB, text(request, TRAINING_JOB.name)), TRAINING_JOB.name)
        world.store.update(TRAINING_JOB.type, name, lambda job: _stopping(job, now(world)))
        runs.stop(name)
        return {}

    return {
        "CreateTrainingJob": create,
        "DescribeTrainingJob": describe,
        "ListTrainingJobs": list_jobs,
        "StopTrainingJob": stop,
        "DeleteTrainingJob": delete,
    }


def describe(world: World, request: Document) -> Document:
    """Answer a job as it is at the moment."""
    return need(world, TRAINING_JOB, text(request, TRAINING_JOB.name))


def list_jobs(world: World, request: Document) -> Document:
    """Answer a page of jobs; none is in a warm pool, or of a training plan."""
    asked_for_none = any(member in request for member in _NO_JOB_HAS)
    return page([] if asked_for_none else world.store.all(TRAINING_JOB.type), request, _COLUMNS)


def delete(world: World, request: Document) -> Document:
    """Forget a job that has ended; its artefacts stay."""
    job = need(world, TRAINING_JOB, text(request, TRAINING_JOB.name))
    if job["TrainingJobStatus"] in transitions.RUNNING:
        raise _in_status(job)
    drop(world, TRAINING_JOB, text(job, TRAINING_JOB.name))
    return {}


def _stopping(job: Document, at: float) -> Document:
    if job["TrainingJobStatus"] != transitions.IN_PROGRESS:
        raise _in_status(job)
    return transitions.stopping(job, at)


def _in_status(job: Document) -> AwsError:
    status = text(job, "TrainingJobStatus")
    return validation(f"The request was rejected because the training job is in status {status}.")
