"""The whole local SageMaker, as clients see it: whom it refuses, what it trains and serves, what lasts."""

import http.client
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from processes import alive, eventually
from sagemaker_user import User, number_program

REPO = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def aws(sagemaker_local_session):
    """One for all tests that leave it as it is."""
    return sagemaker_local_session


def test_a_test_may_have_one_of_its_own(sagemaker_local, aws):
    sagemaker_local.client("s3").create_bucket(Bucket="of-my-own")
    assert "of-my-own" not in [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]


def raw(aws, method="POST", path="/", **headers):
    """Send a request that no client of AWS's would; return its status, type and body."""
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", aws.instance.port, timeout=10)) as connection:
        connection.request(method, path, b"{}", given)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()


def signature(aws, key=None, service="sagemaker"):
    scope = f"{key or aws.instance.access_key}/20261120/us-east-1/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


LIST = {"X_Amz_Target": "SageMaker.ListModels", "Content_Type": "application/x-amz-json-1.1"}


def test_an_unsigned_request_is_refused(aws):
    status, _, body = raw(aws, **LIST)
    assert status == 400
    assert json.loads(body)["__type"] == "MissingAuthenticationTokenException"
    assert raw(aws, "GET", f"/{aws.bucket}")[0] == 403
    assert raw(aws, path="/endpoints/x/invocations")[0] == 403


def test_a_foreign_host_or_origin_is_refused_even_with_the_key(aws):
    signed = LIST | {"Authorization": signature(aws)}
    assert raw(aws, **signed)[0] == 200
    assert raw(aws, **signed, Host=f"evil.example:{aws.instance.port}")[0] == 403
    assert raw(aws, **signed, Origin="https://evil.example")[0] == 403


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sagemaker", "list_models", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("cloudwatch", "list_metrics", "UnrecognizedClientException"),
    ],
)
def test_a_wrong_key_is_refused_in_awss_own_words(aws, service, operation, code):
    session = boto3.session.Session("AKIASOMEBODYELSESKEY", "secret", region_name="us-east-1")
    client = session.client(service, endpoint_url=aws.url)
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)()
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_who_assumes_a_role_is_let_in_with_its_credentials(aws):
    given = aws.client("sts").assume_role(RoleArn=aws.role_arn, RoleSessionName="a-session")["Credentials"]
    session = boto3.session.Session(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name="us-east-1"
    )
    assert session.client("s3", endpoint_url=aws.url).list_buckets()["Buckets"]
    arn = session.client("sts", endpoint_url=aws.url).get_caller_identity()["Arn"]
    assert arn.endswith("assumed-role/SageMakerExecutionRole/a-session")


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("sagemaker", "list_hubs", {}),
        ("sagemaker-runtime", "invoke_endpoint_async", {"EndpointName": "e", "InputLocation": "s3://b/k"}),
        ("sagemaker-featurestore-runtime", "batch_get_record", {"Identifiers": []}),
        ("comprehend", "detect_dominant_language", {"Text": "x"}),
    ],
)
def test_what_is_not_there_is_an_unknown_operation_and_is_not_tried_again(aws, service, operation, request_):
    with pytest.raises(ClientError) as refused:
        getattr(aws.client(service, config=Config(parameter_validation=False)), operation)(**request_)
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    metadata = refused.value.response["ResponseMetadata"]
    assert (metadata["HTTPStatusCode"], metadata["RetryAttempts"]) == (400, 0)


@pytest.mark.parametrize(
    ("service", "operation", "request_", "found"),
    [
        ("sts", "get_caller_identity", {}, lambda said: said["Account"] == "123456789012"),
        ("iam", "get_role", {"RoleName": "SageMakerExecutionRole"}, lambda said: said["Role"]["Arn"]),
        ("ecr", "describe_images", {"repositoryName": "custom-algorithm"}, lambda said: said["imageDetails"]),
        (
            "s3",
            "list_buckets",
            {},
            lambda said: said["Buckets"][0]["Name"].startswith("sagemaker-us-east-1-"),
        ),
        ("cloudwatch", "list_metrics", {}, lambda said: said["Metrics"] == []),
        ("events", "list_rules", {}, lambda said: said["Rules"] == []),
        ("sns", "list_topics", {}, lambda said: said["Topics"] == []),
    ],
)
def test_the_services_around_sagemaker_answer(aws, service, operation, request_, found):
    assert found(getattr(aws.client(service), operation)(**request_))


def test_a_presigned_url_works_without_another_signature(aws):
    s3 = aws.client("s3")
    s3.put_object(Bucket=aws.bucket, Key="a b/ü", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": aws.bucket, "Key": "a b/ü"})
    assert raw(aws, "GET", url.removeprefix(aws.url))[2] == b"content"


def test_what_is_trained_is_served(aws, tmp_path):
    user = User.of(aws.instance, aws.add_program("number", number_program(tmp_path / "number")))
    user.serve("seven", user.train("seven", number="7"))
    said = user.ask("seven")
    assert (said["number"], said["asked"]) == ("7", "?")
    assert aws.client("ecr").describe_images(repositoryName="number")["imageDetails"]
    told = aws.client("logs").get_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream_of(aws, "seven")
    )
    assert [event["message"] for event in told["events"]] == ["loss=0.25;"]


def test_after_an_edit_ecr_has_another_image_of_the_program(aws, tmp_path):
    def digest():
        (image,) = ecr.describe_images(repositoryName="edited", imageIds=[{"imageTag": "latest"}])[
            "imageDetails"
        ]
        return image["imageDigest"]

    folder, ecr = number_program(tmp_path / "edited"), aws.client("ecr")
    aws.add_program("edited", folder)
    first, again = digest(), digest()
    (folder / "serve").write_text("#!/bin/sh\n")
    assert first == again != digest()


def test_embedded_it_ends_with_its_parent_however_that_dies():
    source = (
        "import os, sys; from byoc.local.launch import Asked, embedded\n"
        "with embedded(Asked(port=0), os.environ) as it: \n"
        "    print(it.pid, it.data, it.folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source], cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid, data, folder = parent.stdout.readline().split()
        assert alive(int(pid))
        parent.kill()
    assert eventually(lambda: not alive(int(pid)))
    assert eventually(lambda: not Path(data).exists() and not Path(folder).exists())


def stream_of(aws, job):
    group = "/aws/sagemaker/TrainingJobs"
    streams = aws.client("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")
    return streams["logStreams"][0]["logStreamName"]
