"""Who is let in, and what the others are told in the words of the protocol that they speak."""

import json
import xml.etree.ElementTree as ET

import pytest

from byoc.local.errors import AwsError
from byoc.local.fence import Fence
from byoc.local.protocols import Protocol, protocol_of, refusal
from byoc.local.wire import Request

KEY = "AKIAOURSOURSOURSOURS"


async def nothing():
    return
    yield


def request(path="/", query="", service="sagemaker", key=KEY, method="POST", **headers):
    given = {"host": "127.0.0.1:4577"}
    if key is not None:
        scope = f"{key}/20261120/us-east-1/{service}/aws4_request"
        given["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    given |= {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return Request(method, path, query, given, nothing())


@pytest.fixture
def fence():
    return Fence(4577, KEY)


@pytest.mark.parametrize("service", ["sagemaker", "s3", "iam"])
def test_a_request_with_our_key_is_let_in_and_its_service_known(fence, service):
    assert fence.admit(request(service=service)) == service


@pytest.mark.parametrize("host", ["localhost:4577", "LOCALHOST:4577", "my.bucket.localhost:4577"])
def test_every_name_of_ours_is_let_in(fence, host):
    assert fence.admit(request(host=host)) == "sagemaker"


@pytest.mark.parametrize(
    "host",
    ["", "evil.example:4577", "127.0.0.1", "127.0.0.1:80", "localhost:4577.evil.example", "127.0.0.2:4577"],
)
def test_a_foreign_host_is_refused(fence, host):
    with pytest.raises(AwsError, match="is not called") as refused:
        fence.admit(request(host=host))
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "origin", ["null", "https://evil.example", "http://localhost:8888", "http://127.0.0.1"]
)
def test_a_foreign_web_page_is_refused_even_with_the_key(fence, origin):
    with pytest.raises(AwsError, match="answers no web page") as refused:
        fence.admit(request(origin=origin))
    assert refused.value.status == 403


def test_a_web_page_of_our_own_is_let_in(fence):
    assert fence.admit(request(origin="http://localhost:4577")) == "sagemaker"


def test_a_gateway_is_let_in_from_when_it_is_told_of(fence):
    with pytest.raises(AwsError):
        fence.admit(request(host="172.17.0.1:4577"))
    fence.let_in("172.17.0.1:4577")
    assert fence.admit(request(host="172.17.0.1:4577")) == "sagemaker"


@pytest.mark.parametrize(
    ("query", "service"),
    [
        (f"X-Amz-Credential={KEY}%2F20261120%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0", "s3"),
        (f"AWSAccessKeyId={KEY}&Signature=0&Expires=1", "s3"),
    ],
)
def test_a_presigned_url_is_let_in(fence, query, service):
    assert fence.admit(request("/bucket/key", query, key=None, method="GET")) == service


def test_the_old_and_the_region_less_signature_are_let_in(fence):
    assert fence.admit(request(key=None, authorization=f"AWS {KEY}:c2lnbmVk")) == "s3"
    scope = f"{KEY}/20261120/s3/aws4_request"
    assert (
        fence.admit(request(key=None, authorization=f"AWS4-ECDSA-P256-SHA256 Credential={scope}, X=1"))
        == "s3"
    )


TARGET = {"x_amz_target": "SageMaker.ListModels"}
FORM = {"content_type": "application/x-www-form-urlencoded; charset=utf-8"}
CBOR = {"smithy_protocol": "rpc-v2-cbor"}


@pytest.mark.parametrize(
    ("headers", "path", "missing", "unknown"),
    [
        (TARGET, "/", "MissingAuthenticationTokenException", "UnrecognizedClientException"),
        (
            CBOR,
            "/service/x/operation/y",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
        ),
        (FORM, "/", "MissingAuthenticationToken", "InvalidClientTokenId"),
        (
            {},
            "/endpoints/x/invocations",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
        ),
    ],
)
def test_no_key_and_a_wrong_key_are_refused_by_awss_own_codes(fence, headers, path, missing, unknown):
    for key, code in ((None, missing), ("AKIASOMEBODYELSESKEY", unknown), ("ключ", unknown), ("", missing)):
        with pytest.raises(AwsError) as refused:
            fence.admit(request(path, key=key, **headers))
        assert refused.value.code == code


def test_who_has_the_key_of_an_earlier_life_is_told_how_to_get_the_new_one():
    for port, remedy in ((4577, 'eval "$(byoc local env)"'), (5000, 'eval "$(byoc local env --port 5000)"')):
        with pytest.raises(AwsError) as refused:
            Fence(port, KEY).admit(request(key="AKIASOMEBODYELSESKEY", host=f"127.0.0.1:{port}", **TARGET))
        assert refused.value.message.startswith("The security token included in the request is invalid.")
        assert refused.value.message.endswith(remedy)


def test_s3_has_codes_of_its_own(fence):
    with pytest.raises(AwsError) as refused:
        fence.admit(request("/bucket/key", key=None, method="GET"))
    assert refused.value.code == "AccessDenied"
    with pytest.raises(AwsError) as refused:
        fence.admit(request("/bucket/key", key="AKIASOMEBODYELSESKEY", service="s3", method="GET"))
    assert refused.value.code == "InvalidAccessKeyId"


@pytest.mark.parametrize("authorization", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=", "Basic QUtJQQ=="])
def test_what_is_no_signature_counts_as_none(fence, authorization):
    with pytest.raises(AwsError) as refused:
        fence.admit(request(key=None, authorization=authorization, **TARGET))
    assert refused.value.code == "MissingAuthenticationTokenException"


def test_an_error_is_written_as_each_protocol_has_it():
    error = AwsError("Code", "a <message>")
    assert json.loads(refusal(error, Protocol.JSON).body) == {"__type": "Code", "message": "a <message>"}
    query = ET.fromstring(refusal(error, Protocol.QUERY).body)
    assert query.findtext(".//{*}Code") == "Code"
    assert ET.fromstring(refusal(error, Protocol.S3).body).findtext("Message") == "a <message>"
    assert refusal(error, Protocol.CBOR).body == b"\xa2\x66__type\x64Code\x67message\x6ba <message>"


def test_a_long_text_in_cbor_has_its_length_in_two_bytes():
    body = refusal(AwsError("Code", "x" * 300), Protocol.CBOR).body
    assert body.endswith(b"\x79\x01\x2c" + b"x" * 300)


def test_an_unsigned_request_of_no_known_protocol_counts_as_s3():
    assert protocol_of(request("/anything", key=None), "") is Protocol.S3
    assert protocol_of(request("/2015-03-31/functions"), "lambda") is Protocol.REST_JSON
