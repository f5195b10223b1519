"""Applying a plan: every step reaches AWS, and what exists is known whenever it ends early."""

import io

import pytest

from byoc.deploy.apply import Deployment, apply, options_of, require_sdk
from byoc.deploy.errors import DeployError
from byoc.deploy.plan import Plan
from byoc.deploy.steps import (
    CreateConfig,
    CreateEndpoint,
    CreateModel,
    DeleteEndpoint,
    TagEndpoint,
    Train,
    UpdateEndpoint,
    UploadData,
)
from byoc.sdk import Fit, SdkError
from byoc.stages import Stages

ARTEFACT = "s3://models/job-1/output/model.tar.gz"
FIT = Fit("base", "image", "role", "ml.m5.large", 60, {"model_version": "v"}, {}, "s3://o", (), (), {})
MODEL = CreateModel({"ModelName": "m", "PrimaryContainer": {"Image": "i"}})
CONFIG = CreateConfig({"EndpointConfigName": "c", "ProductionVariants": []})


class FakeAws:
    """An AWS that notes the calls; each description is the next of `told`, an exception is raised."""

    def __init__(self, *told):
        self.told = list(told)
        self.calls = []

    def client(self, _service):
        return self

    def __getattr__(self, operation):
        def call(**given):
            self.calls.append((operation, given))
            if not operation.startswith("describe"):
                return {}
            found = self.told.pop(0)
            if isinstance(found, BaseException):
                raise found
            return found

        return call

    def upload_file(self, *where):
        self.calls.append(("upload_file", where))


def applied(aws, *steps, options=""):
    deployment, out = Deployment(aws, options, sleep=lambda _: None), io.StringIO()
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
    deployment = applied(aws, Train(FIT, "job-1"), MODEL, options=" --region r")
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
    from botocore.exceptions import ClientError

    gone = ClientError({"Error": {"Code": "ValidationException", "Message": "Could not find endpoint"}}, "D")
    aws = FakeAws(
        {"EndpointStatus": "Deleting"}, gone, {"EndpointStatus": "InService", "EndpointConfigName": "c"}
    )
    aws.exceptions, aws.ClientError = aws, ClientError
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
    assert note.splitlines()[1:4] == [
        "  endpoint e: aws sagemaker delete-endpoint --endpoint-name e",
        "  endpoint configuration c: aws sagemaker delete-endpoint-config --endpoint-config-name c",
        "  model m: aws sagemaker delete-model --model-name m",
    ]


def test_a_failed_update_does_not_tell_to_delete_what_answers_on():
    rolled_back = {"EndpointStatus": "InService", "EndpointConfigName": "old", "FailureReason": "no"}
    with pytest.raises(DeployError) as raised:
        applied(FakeAws(rolled_back, {"logStreams": []}), CONFIG, UpdateEndpoint("e", "c"))
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
            "  training job job-1: aws sagemaker stop-training-job --training-job-name job-1",
        ),
        ((CreateEndpoint("e", "c", {}),), "  endpoint e: aws sagemaker delete-endpoint --endpoint-name e"),
        (
            (UpdateEndpoint("e", "c"),),
            "  the update of endpoint e: aws sagemaker describe-endpoint --endpoint-name e",
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


def test_an_interruption_before_anything_is_made_says_so(tmp_path):
    class Interrupts(FakeAws):
        def upload_file(self, *_):
            raise KeyboardInterrupt

    (tmp_path / "a").write_text("1")
    aws = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        applied(aws, UploadData(tmp_path, "s3://models/e/"))
    assert aws.deployment.shown.endswith("Nothing was created.\n")


@pytest.mark.bad_input
def test_without_an_sdk_only_a_plan_that_trains_is_refused(monkeypatch):
    import importlib.metadata

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    require_sdk(Plan((MODEL, CONFIG, Train(FIT, "job-1"))))
    with pytest.raises(
        SdkError, match=r"not installed: python -m pip install 'sagemaker-byoc\[sdk\]'.*--direct"
    ):
        require_sdk(Plan((Train(FIT), MODEL)))


def test_the_commands_that_are_told_reach_what_we_reached():
    assert options_of("eu-west-1", "my work") == " --region eu-west-1 --profile 'my work'"
    assert options_of("eu-west-1", None) == " --region eu-west-1"
