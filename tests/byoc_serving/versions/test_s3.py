import socket
import threading

import boto3
import pytest
from botocore import exceptions

from aws_fence import YouReachedForRealAws
from byoc_serving.errors import StorageError
from byoc_serving.versions.s3 import (
    BrokenTransferError,
    Location,
    explained,
    location_from,
    make_client,
    read_object,
    read_range,
)

PLACE = Location("bucket", "p/")


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://b", Location("b", "")),
        ("s3://b/", Location("b", "")),
        ("s3://b/p", Location("b", "p/")),
        ("s3://b/p/q/", Location("b", "p/q/")),
    ],
)
def test_a_location_is_a_bucket_and_a_prefix(uri, location):
    assert location_from(uri) == location
    assert location_from(location.uri) == location


@pytest.mark.parametrize("uri", ["s3://", "bucket/p", "https://b/p", "s3://[", "s3://b//p", "s3://b/p#x"])
def test_what_is_not_an_s3_uri_is_refused(uri):
    with pytest.raises(StorageError, match=r"^Bad location: .* is not an s3:// URI"):
        location_from(uri)


def test_an_access_points_arn_is_refused_with_what_to_give_instead():
    with pytest.raises(StorageError, match=r"^Bad location: 's3://arn:.*alias, which ends in -s3alias"):
        location_from("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/models/p")


def test_a_folder_below_and_a_key():
    below = PLACE.below("name", "version")
    assert below.uri == "s3://bucket/p/name/version/"
    assert below.key("a/b") == "p/name/version/a/b"


def test_the_fence_stops_a_call_to_real_aws():
    client = boto3.client(
        "s3",
        endpoint_url="https://s3.us-east-1.amazonaws.com",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    with pytest.raises(YouReachedForRealAws):
        client.list_buckets()


def test_a_custom_endpoint_has_the_bucket_in_the_path(monkeypatch):
    asked = []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.internal:9000")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    client = make_client(2)
    client.meta.events.register("before-send.s3", lambda request, **_: asked.append(request.url))
    with pytest.raises(YouReachedForRealAws):
        read_object(client, PLACE, "x", 10)
    assert asked == ["http://minio.internal:9000/bucket/p/x"]


class Answers:
    """A server that gives one raw HTTP answer to every request."""

    def __init__(self, answer):
        self.answer = answer
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answer)


@pytest.fixture
def client_for(monkeypatch):
    servers = []

    def make(answer):
        servers.append(Answers(answer))
        monkeypatch.setenv("AWS_ENDPOINT_URL", servers[-1].url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        return make_client(2)

    yield make
    for server in servers:
        server.listening.close()


def http_answer(status, body=b"", length=None):
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        ("404 Not Found", "NoSuchBucket", "No such bucket: s3://bucket/p/x"),
        ("404 Not Found", "NoSuchKey", "Object missing: s3://bucket/p/x"),
        ("403 Forbidden", "AccessDenied", "Access denied: s3://bucket/p/x"),
        ("403 Forbidden", "InvalidAccessKeyId", "Bad credentials: s3://bucket/p/x"),
        ("403 Forbidden", "SignatureDoesNotMatch", "Bad credentials: "),
        ("400 Bad Request", "ExpiredToken", "Bad credentials: "),
        ("400 Bad Request", "TokenRefreshRequired", "Bad credentials: "),
        ("416 Range Not Satisfiable", "InvalidRange", "Wrong size: "),
        ("418 Teapot", "ShortAndStout", "S3 refused: s3://bucket/p/x: "),
    ],
)
def test_each_refusal_of_s3_is_told_in_words(client_for, status, code, reason):
    body = f"<Error><Code>{code}</Code><Message>words</Message></Error>".encode()
    with pytest.raises(StorageError) as error:
        read_object(client_for(http_answer(status, body)), PLACE, "x", 10)
    assert str(error.value).startswith(reason)
    assert not isinstance(error.value, BrokenTransferError)


def test_a_denial_has_amazons_own_words(client_for):
    words = "User is not authorized to perform: kms:Decrypt on resource: the key"
    body = f"<Error><Code>AccessDenied</Code><Message>{words}</Message></Error>".encode()
    with pytest.raises(StorageError, match=f"^Access denied: s3://bucket/p/x: {words}. Allow"):
        read_object(client_for(http_answer("403 Forbidden", body)), PLACE, "x", 10)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.UnauthorizedSSOTokenError(), "Bad credentials: s3://b: The SSO session .* aws sso login"),
        (exceptions.SSOTokenLoadError(error_msg="expired"), "Bad credentials: s3://b: .*expired"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="x"), "Bad credentials: s3://b: "),
        (exceptions.LoginRefreshRequired(), "Bad credentials: s3://b: "),
        (exceptions.NoAuthTokenError(), "No credentials: "),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_login_that_has_expired_is_told_as_such(error, reason):
    with pytest.raises(StorageError, match=f"^{reason}"), explained("s3://b"):
        raise error


@pytest.mark.parametrize(
    "answer",
    [
        http_answer("206 Partial Content", b"four", length=10),
        http_answer("503 Slow Down", b"<Error><Code>SlowDown</Code></Error>"),
        http_answer("400 Bad Request", b"<Error><Code>RequestTimeout</Code></Error>"),
        b"",
    ],
    ids=["cut off", "busy", "too slow", "hung up"],
)
def test_a_transfer_that_another_attempt_may_fix_is_told_apart(client_for, answer):
    with pytest.raises(BrokenTransferError):
        list(read_range(client_for(answer), PLACE, "x", 0, 10))


def test_an_object_that_is_too_short_is_no_broken_transfer(client_for):
    client = client_for(http_answer("206 Partial Content", b"four"))
    with pytest.raises(StorageError, match=r"^Wrong size: s3://bucket/p/x is shorter") as error:
        list(read_range(client, PLACE, "x", 0, 10))
    assert not isinstance(error.value, BrokenTransferError)


def test_an_endpoint_of_this_machine_that_is_not_there_is_told_without_advice_on_networks(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    told = r"^Endpoint unreachable: s3://bucket/p/x: nobody answers at http://127\.0\.0\.1:9, on this machine"
    with pytest.raises(StorageError, match=told):
        read_object(make_client(2), PLACE, "x", 10)


def test_an_endpoint_elsewhere_that_is_not_there_is_told_with_the_remedies():
    told = r"^Endpoint unreachable: s3://b: .*Check the network.*input channel `model`"
    with pytest.raises(StorageError, match=told), explained("s3://b"):
        raise exceptions.EndpointConnectionError(endpoint_url="https://s3.eu-west-1.amazonaws.com")


def test_missing_credentials_are_told_with_the_remedies():
    with pytest.raises(StorageError, match=r"^No credentials: .*input channel `model`"):
        read_object(make_client(2), PLACE, "x", 10)


def test_a_profile_that_does_not_exist_is_told(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    with pytest.raises(StorageError, match=r"^No credentials: .*nobodys"):
        make_client(2)


def test_no_more_is_read_than_the_limit(client_for):
    client = client_for(http_answer("200 OK", b"0123456789"))
    assert read_object(client, PLACE, "x", 3) == b"0123"
