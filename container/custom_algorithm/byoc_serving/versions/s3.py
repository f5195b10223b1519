"""The one door to S3: locations, the client, bounded reads, and failures in words that say what to do."""

import base64
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from byoc_serving.errors import StorageError
from byoc_serving.versions.parts import CHUNK_BYTES

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError
    from mypy_boto3_s3.client import S3Client

CONNECTIONS = 12  # at once, to upload as to pull
_LONGEST_QUOTE = 400  # of what AWS says; 1,024 characters are left for the whole failure

_DENIED = (
    "Access denied: {uri}: {message}. Allow s3:GetObject (to pull) or s3:PutObject (to upload) on it in the "
    "role. Without s3:ListBucket S3 gives the same answer for an object that does not exist."
)
_BAD_CREDENTIALS = (
    "Bad credentials: {uri}: S3 refused them ({code}: {message}). Renew them, and check the region and the "
    "clock."
)
_NOT_LOGGED_IN = "Bad credentials: {uri}: {error} Log in again: aws sso login, or aws login."
_REASONS = {
    "NoSuchBucket": "No such bucket: {uri}. Check its name and the region, or create it.",
    "NoSuchKey": "Object missing: {uri} is not in S3. Check the model version's URI, or upload it again.",
    "404": "Object missing: {uri} is not in S3. Check the model version's URI, or upload it again.",
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "AllAccessDisabled": _DENIED,
    "InvalidAccessKeyId": _BAD_CREDENTIALS,
    "SignatureDoesNotMatch": _BAD_CREDENTIALS,
    "ExpiredToken": _BAD_CREDENTIALS,
    "InvalidToken": _BAD_CREDENTIALS,
    "TokenRefreshRequired": _BAD_CREDENTIALS,
    "ExpiredTokenException": _BAD_CREDENTIALS,
    "InvalidClientTokenId": _BAD_CREDENTIALS,
    "RequestTimeTooSkewed": _BAD_CREDENTIALS,
    "InvalidRange": "Wrong size: {uri} is shorter than its manifest says. Upload the version again.",
}
_NO_CREDENTIALS = (
    "No credentials: AWS gave none for {uri} ({error}). In a shell: aws configure, AWS_PROFILE, or the "
    "environment of a local SageMaker. In a training job: a role, or the input channel `model`."
)
_UNREACHABLE = (
    "Endpoint unreachable: {uri}: {error}. Check the network, and the VPC's S3 endpoint; under network "
    "isolation pass the model as the input channel `model`."
)
_NOBODY_HERE = (
    "Endpoint unreachable: {uri}: nobody answers at {url}, on this machine. Start what is to answer, or "
    "lead AWS_ENDPOINT_URL elsewhere."
)


class ObjectMissingError(StorageError):
    """There is no such object."""


class AccessDeniedError(StorageError):
    """The credentials do not allow it (or, without s3:ListBucket, there is no such object)."""


class ObjectExistsError(StorageError):
    """A conditional write found that the object is there already."""


class BrokenTransferError(StorageError):
    """The connection failed or ended early; another attempt may succeed."""


_KINDS: dict[str, type[StorageError]] = {
    "NoSuchKey": ObjectMissingError,
    "404": ObjectMissingError,
    "AccessDenied": AccessDeniedError,
    "403": AccessDeniedError,
    "PreconditionFailed": ObjectExistsError,
    "ConditionalRequestConflict": ObjectExistsError,
    "RequestTimeout": BrokenTransferError,  # status 400: the socket was idle for too long
}


@dataclass(frozen=True)
class Location:
    """A bucket and a prefix that is empty or ends in '/'."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The location as s3:// names it."""
        return f"s3://{self.bucket}/{self.prefix}"

    def key(self, path: str) -> str:
        """Return the key of what lies at a relative path."""
        return self.prefix + path

    def below(self, *names: str) -> "Location":
        """Return the location of a folder in this one."""
        return Location(self.bucket, self.prefix + "".join(f"{name}/" for name in names))


def location_from(uri: str) -> Location:
    """Return the location that s3://bucket/prefix names, with or without a last '/'.

    Raises:
        StorageError: it is no such URI.
    """
    if uri.startswith("s3://arn:"):
        raise StorageError(
            f"Bad location: {uri!r} has an ARN for a bucket. Give the bucket's name, or the access point's "
            "alias, which ends in -s3alias: s3://bucket/prefix."
        )
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment or "//" in parts.path:
        raise StorageError(f"Bad location: {uri!r} is not an s3:// URI. Give s3://bucket/prefix.")
    prefix = parts.path.strip("/")
    return Location(parts.netloc, f"{prefix}/" if prefix else "")


def make_client(connections: int) -> "S3Client":
    """Return an S3 client for that many threads, from AWS's usual environment variables and files.

    An endpoint with another host name than AWS's (AWS_ENDPOINT_URL) gets the bucket in the path, since
    buckets are no host names there; botocore does so by itself for an IP address. Digests are checked by
    us, so botocore does not compute checksums of its own on top.
    """
    from botocore.config import Config  # without boto3, which adds to the start of each pull
    from botocore.session import get_session

    config = Config(
        max_pool_connections=connections,
        connect_timeout=10,
        read_timeout=30,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    with explained("s3"):
        session = get_session()
        client = cast("S3Client", session.create_client("s3", config=config))
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        if host.endswith((".amazonaws.com", ".amazonaws.com.cn")) or _is_ip_address(host):
            return client
        config = config.merge(Config(s3={"addressing_style": "path"}))
        return cast("S3Client", session.create_client("s3", config=config))


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    """Return whether a host is this machine."""
    return host == "localhost" or (_is_ip_address(host) and ipaddress.ip_address(host).is_loopback)


def read_object(client: "S3Client", location: Location, path: str, limit: int) -> bytes:
    """Return an object's content, of which at most `limit` + 1 bytes are read."""
    uri = location.uri + path
    with explained(uri):
        body = client.get_object(Bucket=location.bucket, Key=location.key(path))["Body"]
        try:
            return body.read(limit + 1)
        finally:
            body.close()


def read_range(client: "S3Client", location: Location, path: str, start: int, length: int) -> Iterator[bytes]:
    """Yield `length` bytes of an object from `start` on, 1 MiB at a time.

    Raises:
        BrokenTransferError: the connection failed, or ended before all came.
        StorageError: S3 refused, or the object is too short; the message says which.
    """
    uri = location.uri + path
    left = length
    with explained(uri):
        wanted = f"bytes={start}-{start + length - 1}"
        answer = client.get_object(Bucket=location.bucket, Key=location.key(path), Range=wanted)
        body = answer["Body"]
        try:
            if answer["ContentLength"] != length:
                raise StorageError(_REASONS["InvalidRange"].format(uri=uri))
            while left > 0 and (chunk := body.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
        finally:
            body.close()
    if left:
        raise BrokenTransferError(f"Broken transfer: {uri} ended {left} bytes before byte {start + length}.")


def checksum(sha256: str) -> str:
    """Return a hex digest as S3 writes it: base64."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Raise what botocore raises within as a StorageError about `uri`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _explain_answer(error, uri) from error
    except BotoCoreError as error:
        raise _explain_failure(error, uri) from error


def _explain_answer(error: "ClientError", uri: str) -> StorageError:
    told = error.response.get("Error", {})
    code = told.get("Code", "Unknown")
    message = told.get("Message", "no reason was given").rstrip(". ")[:_LONGEST_QUOTE]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if reason := _REASONS.get(code):
        return _KINDS.get(code, StorageError)(reason.format(uri=uri, code=code, message=message))
    kind = BrokenTransferError if status >= 500 else _KINDS.get(code, StorageError)
    return kind(f"S3 refused: {uri}: {error}")


def _explain_failure(error: "BotoCoreError", uri: str) -> StorageError:
    from botocore import exceptions

    match error:
        case (
            exceptions.NoCredentialsError()
            | exceptions.PartialCredentialsError()
            | exceptions.CredentialRetrievalError()
            | exceptions.ProfileNotFound()
            | exceptions.NoAuthTokenError()
        ):
            return StorageError(_NO_CREDENTIALS.format(uri=uri, error=error))
        case exceptions.SSOError() | exceptions.LoginError() | exceptions.TokenRetrievalError():
            return StorageError(_NOT_LOGGED_IN.format(uri=uri, error=error))
        case (
            exceptions.EndpointConnectionError()
            | exceptions.ConnectTimeoutError()
            | exceptions.ProxyConnectionError()
            | exceptions.SSLError()
        ):
            url = urlsplit(str(error.kwargs.get("endpoint_url", "")))
            told = _NOBODY_HERE if _is_here(url.hostname or "") else _UNREACHABLE
            at = f"{url.scheme}://{url.netloc}"
            return StorageError(told.format(uri=uri, url=at, error=str(error).rstrip(".")))
        case exceptions.HTTPClientError() | exceptions.IncompleteReadError():
            return BrokenTransferError(f"Broken transfer: {uri}: {error}")
    return StorageError(f"S3 cannot be used: {uri}: {error}")
