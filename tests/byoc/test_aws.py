"""The door to boto3: where it leads, and what is said when it is shut."""

import pytest
from botocore.exceptions import ClientError

from byoc.aws import AwsRefusalError, Where, connect, explained, is_loopback

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def keys(monkeypatch):
    """Credentials of nobody's."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:4577", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost:1", True),
        ("http://aws.localhost", True),
        ("https://api.sagemaker.eu-west-1.amazonaws.com", False),
        ("http://192.168.1.2:4577", False),
        ("http://localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_the_world(url, here):
    assert is_loopback(url) is here


def test_what_it_says_first_names_account_region_url_and_side():
    local = Where("123456789012", "eu-west-1", "http://127.0.0.1:1", local=True, partition="aws")
    assert str(local) == "LOCAL: account 123456789012, region eu-west-1, http://127.0.0.1:1"
    aws = Where("123456789012", "eu-west-1", "https://api.sagemaker", local=False, partition="aws")
    assert str(aws) == "AWS: account 123456789012, region eu-west-1, https://api.sagemaker"


def test_an_aws_on_loopback_is_local_and_says_who_calls(s3, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    where = connect("us-east-1").where()
    assert (where.account, where.local, where.url) == ("123456789012", True, s3.url)


@pytest.mark.usefixtures("keys")
def test_without_an_endpoint_url_it_is_aws():
    aws = connect("eu-west-1")
    assert (aws.local, aws.url) == (False, "https://api.sagemaker.eu-west-1.amazonaws.com")


@pytest.mark.bad_input
@pytest.mark.usefixtures("keys")
def test_half_of_the_services_here_and_half_at_aws_is_refused(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
    with pytest.raises(
        AwsRefusalError, match=r"sagemaker would be called on this machine .* and sts at https"
    ):
        _ = connect("eu-west-1").local


@pytest.mark.parametrize(
    ("given", "environ", "region"),
    [
        ("eu-west-1", {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-1"),
        (None, {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-2"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
    ],
)
def test_the_region_is_the_one_given_then_the_environments(monkeypatch, given, environ, region):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert connect(given, environ=environ).region == region


@pytest.mark.bad_input
def test_no_region_is_one_clear_line():
    with pytest.raises(
        AwsRefusalError, match=r"No region is given. Set region in endpoint.toml, --region or"
    ):
        connect()


@pytest.mark.bad_input
def test_no_credentials_is_one_clear_line():
    with pytest.raises(AwsRefusalError, match=r"Unable to locate credentials. Log in again"), explained():
        connect("eu-west-1").where()


@pytest.mark.bad_input
def test_nobody_at_the_endpoint_is_one_clear_line(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between botocore's own attempts
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(AwsRefusalError, match=r"Could not connect to the endpoint URL.*still running"),
        explained(),
    ):
        connect("eu-west-1").where()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ExpiredToken", "GetRole was refused: The words (ExpiredToken). Log in again"),
        ("ResourceLimitExceeded", "The words (ResourceLimitExceeded). Ask Service Quotas for more"),
        ("Odd", "GetRole was refused: The words (Odd)."),
    ],
)
def test_a_refusal_is_told_in_awss_words_with_the_notes_of_its_way(code, told):
    error = ClientError({"Error": {"Code": code, "Message": "The words."}}, "GetRole")
    error.add_note("What exists by now")
    with pytest.raises(AwsRefusalError) as raised, explained():
        raise error
    assert told in str(raised.value)
    assert raised.value.__notes__ == ["What exists by now"]


@pytest.mark.usefixtures("keys")
def test_a_prediction_is_waited_for_and_never_sent_twice():
    config = connect("eu-west-1").client("sagemaker-runtime").meta.config
    assert (config.read_timeout, config.retries["total_max_attempts"]) == (70, 1)
