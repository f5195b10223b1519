"""Applying a plan: every step reaches AWS, and what exists is known whenever it ends early."""

import io
import signal

import pytest
from botocore.exceptions import ClientError

from byoc import sdk
from byoc.deploy.apply import Deployment, apply, require_means
from byoc.deploy.errors import DeployError, SmokeError
from byoc.deploy.plan import Plan
from byoc.deploy.steps import (
    CreateConfig,
    CreateEndpoint,
    CreateModel,
    DeleteConfigs,
    DeleteEndpoint,
    DeleteModels,
    SmokeCall,
    TagEndpoint,
    Train,
    UpdateEndpoint,
    UploadData,
)
from byoc.sdk import Fit
from byoc.stages import Stages

ARTEFACT = "s3://models/job-1/output/model.tar.gz"
FIT = Fit("base", "image", "role", "ml.m5.large", 60, {"model_version": "v"}, {}, "s3://o", (), (), {})
MODEL = CreateModel({"ModelName": "m", "PrimaryContainer": {"Image": "i"}})
CONFIG = CreateConfig({"EndpointConfigName": "c", "ProductionVariants": []})


UPDATING = {"EndpointStatus": "Updating"}


def missing(what):
    """Return what SageMaker says of what it does not find."""
    words = {"Code": "ValidationException", "Message": f'Could not find {what} "x".'}
    return ClientError({"Error": words}, "Describe")


class FakeAws:
    """An AWS that notes the calls; each description is the next of `told`, an exception is raised.

    So is each of `refusals`, by operation, before the first call that is answered.
    """

    options = " --region r"

    def __init__(self, *told, **refusals):
        self.told = list(told)
        self.refusals = refusals
        self.calls = []

    def client(self, _service):
        return self

    def __getattr__(self, operation):
        def call(**given):
            self.calls.append((operation, given))
            if self.refusals.get(operation):
                raise self.refusals[operation].pop(0)
            if not operation.startswith("describe"):
                return {}
            found = self.told.pop(0)
            if isinstance(found, BaseException):
                raise found
            return found

        return call

    def upload_file(self, *where):
        self.calls.append(("upload_file", where))


def applied(aws, *steps):
    deployment, out = Deployment(aws, sleep=lambda _: None), io.StringIO()
    try:
        apply(Plan(steps), deployment, Stages([step.title for step in steps], out))
    finally:
        deployment.shown = out.getvalue()
        aws.deployment = deployment
    return deployment


def test_every_file_is_uploaded_but_what_is_hidden(tmp_path):
    folder = tmp_path / ".work" / "dummy_data"
    for name in ("a.csv", "sub/b.csv", ".hidden", "__pycache__/x.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    aws = FakeAws()
    deployment = applied(aws, UploadData(folder, "s3://models/e/dummy_data/"))
    keys = [key for _, (_, bucket, key) in aws.calls if bucket == "models"]
    assert keys == ["e/dummy_data/a.csv", "e/dummy_data/sub/b.csv"]
    assert "2 files are in s3://models/e/dummy_data/" in deployment.shown


def test_the_model_is_made_of_what_the_job_left():
    done = {"TrainingJobStatus": "Completed", "ModelArtifacts": {"S3ModelArtifacts": ARTEFACT}}
    aws = FakeAws(done)
    deployment = applied(aws, Train(FIT, "job-1"), MODEL)
    created = next(given for operation, given in aws.calls if operation == "create_model")
    assert created["PrimaryContainer"] == {"Image": "i", "ModelDataUrl": ARTEFACT}
    assert deployment.made == [
        ("the model that the training job pulled", f"aws s3 rm {ARTEFACT} --region r"),
        ("model m", "aws sagemaker delete-model --model-name m --region r"),
    ]


def test_a_model_without_data_is_deleted_first():
    aws = FakeAws()
    applied(aws, CreateModel(MODEL.request, replace=True))
    assert [operation for operation, _ in aws.calls] == ["delete_model", "create_model"]


def test_tags_reach_the_endpoint():
    aws = FakeAws()
    applied(aws, TagEndpoint("arn:it", {"team": "us"}))
    assert aws.calls == [("add_tags", {"ResourceArn": "arn:it", "Tags": [{"Key": "team", "Value": "us"}]})]


def test_an_endpoint_that_failed_is_gone_before_it_is_made_anew():
    come = {"EndpointStatus": "InService", "EndpointConfigName": "c"}
    aws = FakeAws({"EndpointStatus": "Deleting"}, missing("endpoint"), come)
    applied(aws, DeleteEndpoint("e"), CreateEndpoint("e", "c", {"team": "us"}))
    assert [operation for operation, _ in aws.calls] == [
        "delete_endpoint",
        "describe_endpoint",
        "describe_endpoint",
        "create_endpoint",
        "describe_endpoint",
    ]


def test_a_failure_is_told_with_what_exists_and_how_to_be_rid_of_it():
    aws = FakeAws({"EndpointStatus": "Failed", "FailureReason": "no ping"}, {"logStreams": []})
    with pytest.raises(DeployError) as raised:
        applied(aws, MODEL, CONFIG, CreateEndpoint("e", "c", {}))
    (note,) = raised.value.__notes__
    aws = "aws sagemaker"
    assert note.splitlines()[1:4] == [
        f"  endpoint e: {aws} delete-endpoint --endpoint-name e --region r",
        f"  endpoint configuration c: {aws} delete-endpoint-config --endpoint-config-name c --region r",
        f"  model m: {aws} delete-model --model-name m --region r",
    ]
    assert note.splitlines()[-1].startswith("To go on, mend that first: the same model version and image")


def test_a_refusal_is_followed_by_how_to_go_on():
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "CreateEndpointConfig")
    with pytest.raises(ClientError) as raised:
        applied(FakeAws(create_endpoint_config=[denied]), MODEL, CONFIG)
    assert raised.value.__notes__[0].splitlines()[-1].startswith("Once that is mended, run the same command")


def test_a_sample_that_is_refused_is_named_with_what_to_do_and_that_the_endpoint_is_up(tmp_path):
    file = tmp_path / "sample.csv"
    file.write_text("1,2\n")
    words = {"Error": {"Code": "ModelError"}, "OriginalStatusCode": 400, "OriginalMessage": "2 columns"}
    aws = FakeAws(invoke_endpoint=[ClientError(words, "InvokeEndpoint")])
    with pytest.raises(SmokeError) as raised:
        applied(aws, MODEL, SmokeCall("e", file))
    first, *_, last = str(raised.value).splitlines()
    assert first == "The container of e answered 400: 2 columns"
    assert last.startswith(f"The request was {file}; endpoint e is up all the same. ")
    assert "dummy_data/" in last
    assert "--smoke-file" in last
    (note,) = raised.value.__notes__
    assert "again" not in note


def test_a_failed_update_does_not_tell_to_delete_what_answers_on():
    rolled_back = {"EndpointStatus": "InService", "EndpointConfigName": "old", "FailureReason": "no"}
    with pytest.raises(DeployError) as raised:
        applied(FakeAws(UPDATING, rolled_back, {"logStreams": []}), CONFIG, UpdateEndpoint("e", "c"))
    assert "delete-endpoint " not in raised.value.__notes__[0]


def test_a_failed_job_leaves_nothing_to_be_stopped():
    aws = FakeAws({"TrainingJobStatus": "Failed"}, {"logStreams": []})
    with pytest.raises(DeployError) as raised:
        applied(aws, Train(FIT, "job-1"))
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(143)], ids=["^C", "SIGTERM"])
@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (
            (Train(FIT, "job-1"),),
            "  training job job-1: aws sagemaker stop-training-job --training-job-name job-1 --region r",
        ),
        (
            (CreateEndpoint("e", "c", {}),),
            "  endpoint e: aws sagemaker delete-endpoint --endpoint-name e --region r",
        ),
        (
            (UpdateEndpoint("e", "c"),),
            "  the update of endpoint e: aws sagemaker describe-endpoint --endpoint-name e --region r",
        ),
    ],
    ids=["train", "create", "update"],
)
def test_an_interruption_is_told_with_what_exists_and_how_to_go_on(interruption, steps, told):
    aws = FakeAws(interruption)
    with pytest.raises(type(interruption)):
        applied(aws, *steps)
    shown = aws.deployment.shown.splitlines()
    assert told in shown
    assert shown[-1] == "To go on, run the same command again: it takes up what is there."


def test_an_interruption_before_anything_is_made_says_so():
    aws = FakeAws(delete_model=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        applied(aws, CreateModel(MODEL.request, replace=True))
    assert aws.deployment.shown.splitlines()[-2] == "Nothing was created."


def test_an_interrupted_upload_says_where_its_files_are(tmp_path):
    class Interrupts(FakeAws):
        def upload_file(self, *_):
            raise KeyboardInterrupt

    (tmp_path / "a").write_text("1")
    aws = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        applied(aws, UploadData(tmp_path, "s3://models/e/"))
    told = f"  files of {tmp_path.name}/: aws s3 rm --recursive s3://models/e/ --region r"
    assert told in aws.deployment.shown.splitlines()


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_an_interruption_while_something_is_made_wins_and_names_it(monkeypatch, number, raised):
    """As the SDK's telemetry swallows what a signal's handler raises, the stand-in does."""

    def start(*_):
        signal.raise_signal(number)
        return "job-1"

    def end(*_):
        raise SystemExit(143)

    monkeypatch.setattr(sdk, "load", lambda: None)
    monkeypatch.setattr(sdk, "start", start)
    aws, before = FakeAws(), signal.getsignal(number)
    if number == signal.SIGTERM:
        signal.signal(number, end)
    try:
        with pytest.raises(raised):
            applied(aws, Train(FIT), MODEL)
    finally:
        signal.signal(number, before)
    stop = "  training job job-1: aws sagemaker stop-training-job --training-job-name job-1 --region r"
    assert stop in aws.deployment.shown.splitlines()
    assert aws.calls == []


def test_what_aws_does_not_know_yet_is_tried_again():
    unknown = [missing("endpoint configuration"), missing("endpoint configuration")]
    aws = FakeAws({"EndpointStatus": "InService", "EndpointConfigName": "c"}, create_endpoint=unknown)
    assert "e is InService" in applied(aws, CreateEndpoint("e", "c", {})).shown
    assert [operation for operation, _ in aws.calls].count("create_endpoint") == 3


@pytest.mark.bad_input
def test_a_file_that_cannot_be_read_is_named(tmp_path):
    class Denies(FakeAws):
        def upload_file(self, *_):
            raise PermissionError(13, "Permission denied")

    (tmp_path / "a").write_text("1")
    with pytest.raises(DeployError, match=r"/a cannot be read: Permission denied\. Mend or remove it"):
        applied(Denies(), UploadData(tmp_path, "s3://models/e/"))


def test_all_that_was_made_is_deleted_and_what_is_gone_already_is_no_matter():
    aws = FakeAws(missing("endpoint"), delete_model=[missing("model")])
    applied(aws, DeleteEndpoint("e"), DeleteConfigs(("c", "d")), DeleteModels(("m", "n")))
    assert [(operation, *given.values()) for operation, given in aws.calls if "delete" in operation] == [
        ("delete_endpoint", "e"),
        ("delete_endpoint_config", "c"),
        ("delete_endpoint_config", "d"),
        ("delete_model", "m"),
        ("delete_model", "n"),
    ]


def test_an_endpoint_that_is_being_deleted_is_only_waited_for():
    aws = FakeAws({"EndpointStatus": "Deleting"}, missing("endpoint"))
    applied(aws, DeleteEndpoint("e", deleting=True))
    assert {operation for operation, _ in aws.calls} == {"describe_endpoint"}


@pytest.mark.bad_input
def test_without_an_sdk_only_a_plan_that_trains_is_refused(monkeypatch):
    import importlib.metadata

    def not_installed(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_installed)
    require_means(Plan((MODEL, CONFIG, Train(FIT, "job-1"))))
    with pytest.raises(
        sdk.SdkError, match=r"not installed: python -m pip install 'sagemaker-byoc\[sdk\]'.*--direct"
    ):
        require_means(Plan((Train(FIT), MODEL)))


@pytest.mark.bad_input
def test_a_training_job_without_files_is_refused(tmp_path):
    with pytest.raises(
        DeployError, match=r"dummy_data is .*, where no files are\. Name another with --dummy-"
    ):
        require_means(Plan((UploadData(tmp_path, "s3://models/e/"),)))
