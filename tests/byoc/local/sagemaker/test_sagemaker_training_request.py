"""A job that could not run is refused before anything is made."""

import re

import pytest

from byoc.local.errors import AwsError

BUCKET = "sagemaker-us-east-1-123456789012"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1"
ALGORITHM = {"TrainingImage": "image", "TrainingInputMode": "File"}
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1}


def channel(name="c", uri=f"s3://{BUCKET}/rows", kind="S3Prefix", **members):
    source = {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}
    return {"InputDataConfig": [{"ChannelName": name, "DataSource": source, **members}]}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"AlgorithmSpecification": None}, "The training job has no AlgorithmSpecification."),
        ({"ResourceConfig": None}, "The training job has no ResourceConfig."),
        ({"ResourceConfig": {"InstanceCount": 1}}, "ResourceConfig has no InstanceType."),
        ({"ResourceConfig": {**RESOURCES, "InstanceCount": 2}}, "several instances (InstanceCount 2)"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "has no TrainingImage"),
        ({"AlgorithmSpecification": {**ALGORITHM, "TrainingInputMode": "Pipe"}}, "TrainingInputMode Pipe"),
        ({"AlgorithmSpecification": {**ALGORITHM, "AlgorithmName": "a"}}, "AlgorithmName"),
        ({"AlgorithmSpecification": {**ALGORITHM, "TrainingImage": "no"}}, "Could not find image no."),
        (
            {
                "AlgorithmSpecification": {
                    **ALGORITHM,
                    "MetricDefinitions": [{"Name": "m", "Regex": "(a"}],
                }
            },
            "Invalid regular expression '(a' in the metric definition m",
        ),
        ({"RoleArn": "arn:aws:iam::123456789012:role/no"}, "Could not assume role"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 2_419_201}}, "Give at most 2419200"),
        (
            {"OutputDataConfig": {"S3OutputPath": "s3://no/x"}},
            "Access denied to OutputDataConfig S3 bucket: no.",
        ),
        ({"OutputDataConfig": {"S3OutputPath": "https://no/x"}}, "Give an S3 URI"),
        ({"CheckpointConfig": {"S3Uri": "s3://no/x"}}, "Access denied to CheckpointConfig S3 bucket: no."),
        ({"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/tmp/c"}}, "checkpoints in /tmp/c"),
        (
            {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/opt/ml/../../etc"}},
            "checkpoints in /opt/ml/../../etc",
        ),
        (channel(uri=f"s3://{BUCKET}/none"), f'No S3 objects found under S3 URL "s3://{BUCKET}/none" given'),
        (channel(uri="s3://no/none"), 'No S3 objects found under S3 URL "s3://no/none" given'),
        (channel(name=".."), "ChannelName .. cannot be used."),
        (channel(kind="AugmentedManifestFile"), "S3DataType AugmentedManifestFile"),
        (channel(InputMode="Pipe"), "channel c: InputMode Pipe"),
        (channel(kind="ManifestFile", InputMode="FastFile"), "FastFile requires S3DataType S3Prefix"),
        (channel(RecordWrapperType="RecordIO"), "channel c: RecordWrapperType RecordIO"),
        (
            {"TensorBoardOutputConfig": {"S3OutputPath": f"s3://{BUCKET}/t"}},
            "does not have TensorBoardOutputConfig yet",
        ),
    ],
)
def test_what_cannot_run_here_is_refused(ask, job_request, put, members, message):
    put("rows/a.csv")
    with pytest.raises(AwsError, match=re.escape(message)) as refused:
        ask("CreateTrainingJob", **{**job_request, **members})
    assert refused.value.code == "ValidationException"
    assert ask("ListTrainingJobs") == {"TrainingJobSummaries": []}


def test_two_channels_of_one_name_are_refused(ask, job_request, put):
    put("rows/a.csv")
    twice = channel()["InputDataConfig"] * 2
    with pytest.raises(AwsError, match="ChannelName c cannot be used twice"):
        ask("CreateTrainingJob", **{**job_request, "InputDataConfig": twice})


def test_what_does_not_change_the_run_is_described_back(ask, job_request, ended):
    given = {
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "DebugHookConfig": {"S3OutputPath": "s3://b/d"},
        "ProfilerConfig": {"DisableProfiler": True},
        "EnableManagedSpotTraining": True,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out", "KmsKeyId": "key"},
    }
    ask("CreateTrainingJob", **{**job_request, **given})
    job = ended()
    assert {member: job[member] for member in given if member != "OutputDataConfig"} == {
        member: value for member, value in given.items() if member != "OutputDataConfig"
    }
    assert job["OutputDataConfig"] == {**given["OutputDataConfig"], "CompressionType": "GZIP"}
    assert job["EnableNetworkIsolation"] is False
    assert job["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is False


def test_a_job_has_the_defaults_that_sdk_v2_reads_when_it_attaches(ask, job_request, ended):
    ask("CreateTrainingJob", **{**job_request, "ResourceConfig": RESOURCES})
    job = ended()
    assert job["OutputDataConfig"]["KmsKeyId"] == ""
    assert job["ResourceConfig"] == {**RESOURCES, "VolumeSizeInGB": 30}


def test_a_job_lives_a_day_where_nothing_is_said(ask, job_request, ended):
    ask("CreateTrainingJob", **{**job_request, "StoppingCondition": None})
    assert ended()["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}


def test_a_name_is_taken_once_in_whichever_case(ask, job_request, ended):
    ask("CreateTrainingJob", **job_request, Tags=[{"Key": "a", "Value": "1"}])
    with pytest.raises(AwsError) as refused:
        ask("CreateTrainingJob", **{**job_request, "TrainingJobName": "job-1"})
    assert refused.value.code == "ResourceInUse"
    assert refused.value.message == (
        "Job name must be unique within an AWS account and region, and a job with this name already exists "
        f"({ARN})"
    )
    assert ask("ListTags", ResourceArn=ARN) == {"Tags": [{"Key": "a", "Value": "1"}]}
    ended()


@pytest.mark.parametrize("operation", ["DescribeTrainingJob", "StopTrainingJob", "DeleteTrainingJob"])
def test_a_job_that_is_not_there_is_not_found(ask, operation):
    with pytest.raises(AwsError) as refused:
        ask(operation, TrainingJobName="none")
    assert (refused.value.code, refused.value.message) == (
        "ValidationException",
        "Requested resource not found.",
    )


def test_jobs_are_listed_and_deleted(ask, job_request, ended):
    for name in ("b", "a"):
        ask("CreateTrainingJob", **{**job_request, "TrainingJobName": name})
        ended(name)
    listed = ask("ListTrainingJobs", StatusEquals="Completed", SortBy="Name")["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in listed] == ["a", "b"]
    assert listed[0]["SecondaryStatus"] == "Completed"
    assert ask("ListTrainingJobs", WarmPoolStatusEquals="InUse") == {"TrainingJobSummaries": []}
    ask("DeleteTrainingJob", TrainingJobName="a")
    assert len(ask("ListTrainingJobs")["TrainingJobSummaries"]) == 1
