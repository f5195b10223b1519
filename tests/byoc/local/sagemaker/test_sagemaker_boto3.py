"""boto3 reads what the plane writes, over a real socket."""

import socket
import threading
import time

import boto3
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError

from byoc.local.asgi import asgi_app

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"


@pytest.fixture
def client(plane):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(asgi_app(plane), lifespan="off", ws="none", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    client = boto3.client(
        "sagemaker",
        endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    yield client
    client.close()
    server.should_exit = True
    thread.join()
    listener.close()


def test_boto3_trains_and_makes_a_model_of_it(client, job_request, program):
    program("touch $ml/model/weights; echo loss=0.5")
    algorithm = {
        **job_request["AlgorithmSpecification"],
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
    }
    request = {**job_request, "AlgorithmSpecification": algorithm, "Tags": [{"Key": "a", "Value": "b"}]}
    arn = client.create_training_job(**request)["TrainingJobArn"]
    waiter = client.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="Job-1", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
    job = client.describe_training_job(TrainingJobName="Job-1")
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert abs(job["CreationTime"].timestamp() - time.time()) < 60
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "Completed"
    assert job["FinalMetricDataList"][0]["Value"] == 0.5
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    container = {"Image": "image", "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    client.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    pages = client.get_paginator("list_models").paginate(PaginationConfig={"PageSize": 1})
    assert [model["ModelName"] for page in pages for model in page["Models"]] == ["m"]
    recent = client.list_training_jobs(CreationTimeAfter=job["CreationTime"].replace(year=2020))
    assert len(recent["TrainingJobSummaries"]) == 1
    client.delete_model(ModelName="m")


@pytest.mark.parametrize(
    ("call", "arguments", "code", "message"),
    [
        ("describe_model", {"ModelName": "m"}, "ValidationException", "Could not find model"),
        ("describe_cluster", {"ClusterName": "c"}, "UnknownOperationException", "DescribeCluster"),
        ("list_models", {"NextToken": "x"}, "ValidationException", "Invalid NextToken"),
    ],
)
def test_boto3_raises_amazons_errors(client, call, arguments, code, message):
    with pytest.raises(ClientError, match=message) as refused:
        getattr(client, call)(**arguments)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
