"""A training job really runs its program, and says so as SageMaker does."""

import json
import os
import tarfile

import pytest

from byoc.local.errors import AwsError
from byoc.local.sagemaker import training_jobs
from byoc.local.sagemaker.training_runs import TrainingRuns

BUCKET = "sagemaker-us-east-1-123456789012"
WRITES_A_MODEL = """
mkdir "$ml/model/deep"
cp "$ml/input/data/train/a.csv" "$ml/model/deep/model.txt"
cp "$ml"/input/config/*.json "$ml/output/data/"
env > "$ml/output/data/environment"
echo "loss=0.75; loss=0.5;"
echo "loss=0.25;"
echo "loss=nan;"
"""
WAITS = "echo up\nsleep 60 & wait"


@pytest.fixture
def start(ask, job_request, program):
    """Create a job of a script; further members go into the request."""

    def start(script, **members):
        program(script)
        return ask("CreateTrainingJob", **{**job_request, **members})["TrainingJobArn"]

    return start


@pytest.fixture
def archive(world):
    """Return the files of an archive in the job's output by name."""

    def archive(name, job="Job-1"):
        stored = world.objects.head(BUCKET, f"out/{job}/output/{name}")
        with tarfile.open(stored.path) as opened:
            return {
                member.name: opened.extractfile(member).read().decode()
                for member in opened
                if member.isfile()
            }

    return archive


def keys_of(world):
    return [stored.key for stored in world.objects.walk(BUCKET, "out/")]


def statuses_of(job):
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def channel(uri, name="train", **members):
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
        **members,
    }


def test_a_job_finds_its_data_and_leaves_its_model(world, start, put, ended, archive):
    put("rows/a.csv", b"1,2\n")
    arn = start(
        WRITES_A_MODEL,
        HyperParameters={"rounds": "3"},
        Environment={"MINE": "yes"},
        InputDataConfig=[channel(f"s3://{BUCKET}/rows", ContentType="text/csv")],
        AlgorithmSpecification={
            "TrainingImage": "image",
            "TrainingInputMode": "FastFile",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
    )
    job = ended()
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert archive("model.tar.gz") == {"deep/model.txt": "1,2\n"}
    found = archive("output.tar.gz")
    assert json.loads(found["hyperparameters.json"]) == {"rounds": "3"}
    assert json.loads(found["inputdataconfig.json"]) == {
        "train": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            "ContentType": "text/csv",
        }
    }
    resources = json.loads(found["resourceconfig.json"])
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    environment = dict(line.split("=", 1) for line in found["environment"].splitlines())
    assert environment["TRAINING_JOB_NAME"] == "Job-1"
    assert environment["TRAINING_JOB_ARN"] == arn
    assert (environment["AWS_REGION"], environment["MINE"]) == ("us-east-1", "yes")
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert list(world.folder.iterdir()) == []
    final = job["FinalMetricDataList"]
    assert [(one["MetricName"], one["Value"]) for one in final] == [("loss", 0.25)]
    assert [value for *_, value, _ in world.metrics.values] == [0.75, 0.25]
    namespace, name, _, dimensions = world.metrics.values[0]
    assert (namespace, name) == ("/aws/sagemaker/TrainingJobs", "loss")
    assert dimensions == {"TrainingJobName": "Job-1"}


def test_a_job_passes_through_amazons_secondary_statuses(world, start, ended):
    start("echo one line; touch $ml/model/x")
    job = ended()
    steps = job["SecondaryStatusTransitions"]
    assert [(step["Status"], step["StatusMessage"]) for step in steps] == [
        ("Starting", "Preparing the instances for training"),
        ("Downloading", "Downloading input data"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
    assert all(step["EndTime"] >= step["StartTime"] for step in steps)
    assert [step["EndTime"] for step in steps[:-1]] == [step["StartTime"] for step in steps[1:]]
    assert job["TrainingStartTime"] == steps[1]["StartTime"]
    assert job["TrainingEndTime"] == job["LastModifiedTime"] == steps[-1]["EndTime"]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1  # begun seconds
    ((group, stream), events), *others = world.logs.streams.items()
    assert others == []
    assert group == "/aws/sagemaker/TrainingJobs"
    assert stream.startswith("Job-1/algo-1-1")
    assert [line for _, line in events] == ["one line"]


def test_an_empty_model_is_named_and_not_uploaded(world, start, ended):
    start("true")
    job = ended()
    assert job["TrainingJobStatus"] == "Completed"
    uri = f"s3://{BUCKET}/out/Job-1/output/model.tar.gz"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": uri}
    assert keys_of(world) == []


def test_an_uncompressed_model_goes_up_file_by_file(world, start, ended):
    output = {"S3OutputPath": f"s3://{BUCKET}/out", "CompressionType": "NONE"}
    start("mkdir $ml/model/deep; echo a > $ml/model/deep/a; ln -s /etc $ml/model/l", OutputDataConfig=output)
    job = ended()
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/Job-1/output/model/"
    assert keys_of(world) == ["out/Job-1/output/model/deep/a"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "AlgorithmError: , exit code: 3"),
        ("printf 'no rows\n' > $ml/output/failure; exit 1", "AlgorithmError: no rows, exit code: 1"),
        ("kill -9 $$", "AlgorithmError: , exit code: 137"),
    ],
)
def test_a_failure_has_the_programs_own_reason_and_exit_code(world, start, ended, script, reason):
    start(f"touch $ml/model/half $ml/output/data/why\n{script}")
    job = ended()
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == reason
    assert statuses_of(job)[-2:] == ["Uploading", "Failed"]
    assert keys_of(world) == ["out/Job-1/output/output.tar.gz"]
    assert list(world.folder.iterdir()) == []


def test_a_long_reason_is_cut_to_1024_characters(start, ended):
    start("head -c 5000 /dev/zero | tr '\\0' x > $ml/output/failure; exit 1")
    reason = ended()["FailureReason"]
    assert len(reason) == 1024
    assert reason.endswith("xxx, exit code: 1")


def test_a_stopped_job_still_leaves_its_model(world, start, ask, ended, archive):
    start("trap 'echo told > $ml/model/m; exit 7' TERM\n" + WAITS)
    world.logs.wait_for("up")
    ask("StopTrainingJob", TrainingJobName="Job-1")
    job = ended()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses_of(job) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert "FailureReason" not in job
    assert archive("model.tar.gz") == {"m": "told\n"}
    with pytest.raises(
        AwsError, match="The request was rejected because the training job is in status Stopped"
    ):
        ask("StopTrainingJob", TrainingJobName="Job-1")


def test_a_program_that_ignores_sigterm_is_killed(world, job_request, program, ended):
    program("trap '' TERM\necho up\nwhile true; do sleep 1; done")
    jobs = training_jobs.operations(TrainingRuns(world, grace_s=0.1))
    jobs["CreateTrainingJob"](world, job_request)
    world.logs.wait_for("up")
    jobs["StopTrainingJob"](world, {"TrainingJobName": "job-1"})
    assert ended()["TrainingJobStatus"] == "Stopped"


def test_a_job_that_runs_too_long_is_stopped(start, ended):
    start(WAITS, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = ended()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_entrypoint_and_arguments_take_the_place_of_train(world, start, ended):
    algorithm = {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/sh", "-c"],
        "ContainerArguments": ["echo instead of train"],
    }
    start("exit 9", AlgorithmSpecification=algorithm)
    assert ended()["TrainingJobStatus"] == "Completed"
    assert "instead of train" in world.logs.lines()


def test_an_isolated_program_has_no_aws(start, ended, archive):
    start("env > $ml/output/data/e", EnableNetworkIsolation=True)
    assert ended()["EnableNetworkIsolation"] is True
    assert "AWS_ENDPOINT_URL" not in archive("output.tar.gz")["e"]


def test_checkpoints_come_back_and_go_up_again(world, start, put, ended):
    put("check/deep/1", b"before")
    config = {"S3Uri": f"s3://{BUCKET}/check", "LocalPath": "/opt/ml/mine"}
    start("mv $ml/mine/deep/1 $ml/mine/2", CheckpointConfig=config)
    assert ended()["TrainingJobStatus"] == "Completed"
    assert world.objects.head(BUCKET, "check/2").path.read_bytes() == b"before"


def test_a_program_that_is_not_there_is_the_callers_error(world, ask, job_request, ended):
    (world.images.folders["image"] / "train").unlink()
    ask("CreateTrainingJob", **job_request)
    job = ended()
    assert job["FailureReason"].startswith("ClientError: The container cannot be started. ")
    assert "train" in job["FailureReason"]
    assert list(world.folder.iterdir()) == []


def test_data_that_is_not_gzip_fails_the_job(world, start, put, ended):
    uri = put("rows/a.csv.gz", b"this is no gzip")
    start("true", InputDataConfig=[channel(uri, CompressionType="Gzip")])
    job = ended()
    assert job["FailureReason"].startswith("ClientError: Data download failed:train: ")
    assert statuses_of(job) == ["Starting", "Downloading", "Failed"]
    assert list(world.folder.iterdir()) == []


def test_a_bucket_that_went_missing_fails_the_job(world, start, ask, ended):
    world.objects.create_bucket("brief")
    start("touch $ml/model/m\n" + WAITS, OutputDataConfig={"S3OutputPath": "s3://brief/x"})
    world.logs.wait_for("up")
    world.objects.delete_bucket("brief")
    ask("StopTrainingJob", TrainingJobName="Job-1")
    assert ended()["FailureReason"].startswith("ClientError: Artifact upload failed:")


def test_closing_ends_all_that_runs(world, runs, start, ask):
    start(WAITS)
    world.logs.wait_for("up")
    runs.close()
    job = ask("DescribeTrainingJob", TrainingJobName="Job-1")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: the local SageMaker was stopped")
    assert list(world.folder.iterdir()) == []


def test_what_a_crash_cut_off_is_failed_at_the_next_start(world, job_request, ask):
    left = world.folder / "job-left"
    (left / "ml" / "model").mkdir(parents=True)
    older = world.folder / "job-older"
    older.mkdir()
    (world.folder / "job-older.log").touch()
    document = {
        **job_request,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Training",
        "SecondaryStatusTransitions": [{"Status": "Training", "StartTime": 5.0}],
        "CreationTime": 4.0,
        "Folder": str(left),
    }
    world.store.insert("training-job", "Job-1", {**document, "TrainingJobArn": "arn"})
    TrainingRuns(world)
    job = ask("DescribeTrainingJob", TrainingJobName="Job-1")
    assert job["FailureReason"].startswith("InternalServerError")
    assert statuses_of(job) == ["Training", "Failed"]
    assert list(world.folder.iterdir()) == []


def test_a_stop_between_the_answer_and_the_start_is_not_lost(world, runs, job_request, ask, ended):
    waiting = []
    held, runs.start = runs.start, waiting.append
    ask("CreateTrainingJob", **job_request)
    ask("StopTrainingJob", TrainingJobName="Job-1")
    held(waiting[0])
    assert ended()["TrainingJobStatus"] == "Stopped"


def test_a_job_that_was_closed_while_it_began_is_failed_too(world, runs, start, ended):
    runs.close()
    start(WAITS)
    assert ended()["FailureReason"].startswith("InternalServerError: the local SageMaker was stopped")


def test_a_reason_that_is_a_link_to_this_machine_is_not_told(start, ended, tmp_path):
    (tmp_path / "secret").write_text("mine")
    job = start(f'ln -s {tmp_path / "secret"} "$ml/output/failure"; exit 3')
    assert job
    assert ended()["FailureReason"] == "AlgorithmError: , exit code: 3"


def test_what_is_another_users_does_not_keep_a_job_from_its_end(monkeypatch, start, ended):
    def refuse(path, mode, **_):
        if path.name == "deep":
            raise PermissionError("of root, who made it in a container")
        os.chmod(path, mode)  # noqa: PTH101 - what is replaced here

    monkeypatch.setattr("pathlib.Path.chmod", refuse)
    start('mkdir "$ml/deep"')
    assert ended()["TrainingJobStatus"] == "Completed"


def test_a_metric_that_is_searched_for_without_end_does_not_hold_its_job_up(
    monkeypatch, world, start, ended, job_request, caplog
):
    monkeypatch.setattr("byoc.local.sagemaker.metric_watch.SLOW_S", 0.1)
    definitions = [{"Name": "bad", "Regex": "^(a+)+$"}, {"Name": "loss", "Regex": "loss=(.*)"}]
    algorithm = {**job_request["AlgorithmSpecification"], "MetricDefinitions": definitions}
    start(f"echo {'a' * 40}!; echo loss=0.5", AlgorithmSpecification=algorithm)
    job = ended()
    assert job["TrainingJobStatus"] == "Completed"
    assert [one["MetricName"] for one in job["FinalMetricDataList"]] == ["loss"]
    told = "The metric bad is looked for no more"
    assert any(line.startswith(f"WARNING {told}") for line in world.logs.lines())
    assert told in caplog.text
