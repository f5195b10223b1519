"""The door to boto3: where it leads, and what is said when it is shut."""

import dataclasses

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from byoc import remedies
from byoc.aws import AwsRefusalError, Where, connect, explained, is_loopback, is_unsettled

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
def test_no_region_is_one_clear_line(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(AwsRefusalError, match=r"specify a region. Set region in endpoint.toml, --region or"):
        connect()


@pytest.mark.bad_input
def test_no_credentials_is_one_clear_line():
    aws = connect("eu-west-1")
    with pytest.raises(AwsRefusalError, match=r"Unable to locate credentials. "), aws.explained():
        aws.where()


@pytest.mark.bad_input
def test_nobody_at_the_endpoint_is_one_clear_line(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between botocore's own attempts
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    aws, told = (
        connect("eu-west-1"),
        r"Could not connect to the endpoint URL.*byoc local up --port 9 && eval ",
    )
    with pytest.raises(AwsRefusalError, match=told), aws.explained():
        aws.where()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ExpiredToken", "GetRole was refused: The words (ExpiredToken). the key's"),
        ("AccessDenied", "GetRole was refused: The words (AccessDenied). the policy's"),
        ("ResourceLimitExceeded", "The words (ResourceLimitExceeded). Ask Service Quotas for more"),
        ("Odd", "GetRole was refused: The words (Odd)."),
    ],
)
def test_a_refusal_is_told_in_awss_words_with_the_notes_of_its_way(code, told):
    error = ClientError({"Error": {"Code": code, "Message": "The words."}}, "GetRole")
    error.add_note("What exists by now")
    here = dataclasses.replace(remedies.AWS, log_in="the key's", denied="the policy's")
    with pytest.raises(AwsRefusalError) as raised, explained(lambda: here):
        raise error
    assert told in str(raised.value)
    assert raised.value.__notes__ == ["What exists by now"]


@pytest.mark.usefixtures("keys")
def test_a_prediction_is_waited_for_and_never_sent_twice():
    config = connect("eu-west-1").client("sagemaker-runtime").meta.config
    assert (config.read_timeout, config.retries["total_max_attempts"]) == (70, 1)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("url", "column"),
    [("http://127.0.0.1:9", remedies.local(9)), ("https://sagemaker.example", remedies.AWS)],
)
def test_the_remedies_are_those_of_where_the_calls_go(monkeypatch, url, column):
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    assert connect("eu-west-1").remedies == column


@pytest.mark.bad_input
@pytest.mark.usefixtures("keys")
def test_another_region_than_the_local_sagemakers_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    told = r"region is eu-west-1, and the local SageMaker at .* is in us-east-1 .* Leave region out"
    with pytest.raises(AwsRefusalError, match=told):
        connect("eu-west-1").where()


@pytest.mark.bad_input
def test_a_profile_that_a_local_sagemaker_has_not_is_to_be_left_out():
    local = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    with pytest.raises(AwsRefusalError, match="has no profiles: leave profile out"):
        connect(profile="work", environ=local)
    with pytest.raises(AwsRefusalError, match="aws configure list-profiles"):
        connect(profile="work", environ={})


@pytest.mark.bad_input
def test_an_answer_that_does_not_come_is_not_taken_for_a_network_that_is_down():
    with pytest.raises(AwsRefusalError, match="It may still be at work"), explained(lambda: remedies.AWS):
        raise ReadTimeoutError(endpoint_url="https://runtime")


def test_the_commands_that_are_told_reach_what_we_reached(tmp_path, monkeypatch):
    config = tmp_path / "config"
    config.write_text('[profile "my work"]\n[default]\nregion = eu-west-1\n')
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert connect("eu-west-2", "my work").options == " --region eu-west-2 --profile 'my work'"
    assert connect(environ={}).options == " --region eu-west-1"


@pytest.mark.parametrize(
    ("code", "message", "is_so"),
    [
        ("ValidationException", "Could not assume role arn:it. Please ensure", True),
        ("ValidationException", 'Could not find endpoint configuration "c".', True),
        ("ValidationException", "1 validation error detected", False),
        ("AccessDeniedException", "not authorized to assume role", False),
    ],
)
def test_what_may_only_not_be_known_yet_is_told_from_what_is_wrong(code, message, is_so):
    assert is_unsettled(ClientError({"Error": {"Code": code, "Message": message}}, "Create")) is is_so
