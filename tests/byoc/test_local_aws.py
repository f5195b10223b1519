"""The embedded AWS: real clients reach it and nothing else, and its ECR points where it is told."""

import os
import signal
import subprocess
import sys
import urllib.request

import boto3
import pytest

from byoc.local.aws import embedded_aws


@pytest.fixture
def client(monkeypatch):
    """Makes boto3 clients from the environment that an embedded AWS gives."""

    def make(aws, service):
        monkeypatch.setattr(os, "environ", aws.environment({"PATH": os.environ["PATH"]}))
        return boto3.session.Session().client(service)

    return make


def test_what_is_put_into_s3_comes_out(client):
    with embedded_aws() as aws:
        s3 = client(aws, "s3")
        s3.create_bucket(Bucket="somewhere")
        s3.put_object(Bucket="somewhere", Key="a/b", Body=b"content")

        assert s3.get_object(Bucket="somewhere", Key="a/b")["Body"].read() == b"content"


def test_only_loopback_is_listened_on():
    with embedded_aws() as aws:
        assert aws.url.startswith("http://127.0.0.1:")


def test_ecr_points_at_the_registry_that_it_is_given(client):
    with embedded_aws(registry="127.0.0.1:5000") as aws:
        ecr = client(aws, "ecr")
        repository = ecr.create_repository(repositoryName="team/model")["repository"]
        (grant,) = ecr.get_authorization_token()["authorizationData"]

    assert repository["repositoryUri"] == "127.0.0.1:5000/team/model"
    assert grant["proxyEndpoint"] == "http://127.0.0.1:5000"


def test_ecr_names_its_own_host_otherwise(client):
    with embedded_aws(region="eu-central-1") as aws:
        (grant,) = client(aws, "ecr").get_authorization_token()["authorizationData"]

    assert grant["proxyEndpoint"] == "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def test_a_registry_that_is_no_host_and_port_is_refused():
    with pytest.raises(ValueError, match=r"Give HOST:PORT"), embedded_aws(registry="http://127.0.0.1"):
        pass


def test_nothing_of_the_users_own_aws_leaks_in():
    users = {
        "AWS_PROFILE": "work",
        "AWS_SESSION_TOKEN": "secret",
        "AWS_ENDPOINT_URL_S3": "http://a",
        "HOME": "/h",
    }

    with embedded_aws() as aws:
        environment = aws.environment(users)

    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"}.isdisjoint(environment)
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert environment["HOME"] == "/h"


def test_a_proxy_of_the_users_is_not_asked_for_loopback():
    with embedded_aws() as aws:
        assert aws.environment({"NO_PROXY": "intranet"})["NO_PROXY"] == "intranet,127.0.0.1"


def test_requests_leave_the_terminal_alone(capfd):
    with embedded_aws() as aws:
        urllib.request.urlopen(aws.url).close()

    assert capfd.readouterr() == ("", "")


def test_the_port_is_free_again_afterwards():
    with embedded_aws() as aws:
        port = int(aws.url.rpartition(":")[2])
    with embedded_aws(port=port) as again:
        assert again.url == aws.url


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_as_a_program_it_prints_its_url_and_ends_cleanly(end):
    command = [sys.executable, "-m", "byoc.local.aws", "--registry", "127.0.0.1:5000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        urllib.request.urlopen(url).close()
        process.send_signal(end)
        out, err = process.communicate(timeout=10)

    assert process.returncode == 0, err
    assert (out, err) == ("", "")


def test_as_a_program_it_says_in_one_line_why_it_did_not_start():
    with embedded_aws() as aws:
        command = [sys.executable, "-m", "byoc.local.aws", "--port", aws.url.rpartition(":")[2]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("The embedded AWS did not start: ")
    assert len(done.stderr.splitlines()) == 1
