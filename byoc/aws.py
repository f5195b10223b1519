"""The one door to boto3: its session, its clients with the right timeouts, and where all of them lead."""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from byoc.errors import ByocError

SERVICES = ("sts", "iam", "s3", "ecr", "logs", "sagemaker", "sagemaker-runtime")

# A container may take 60 s, and callers are advised to wait 70 (SageMaker developer guide, your own inference
# code); what a call costs is a prediction, so nothing is sent twice.
_RUNTIME = Config(connect_timeout=10, read_timeout=70, retries={"total_max_attempts": 1, "mode": "standard"})
_OTHERS = Config(connect_timeout=10, read_timeout=60, retries={"total_max_attempts": 6, "mode": "standard"})

_LOG_IN = "Log in again (aws sso login, or aws configure), or name another --profile."
_REMEDIES = {
    "AccessDenied": "Have it allowed in the caller's policy.",
    "AccessDeniedException": "Have it allowed in the caller's policy.",
    "ExpiredToken": _LOG_IN,
    "ExpiredTokenException": _LOG_IN,
    "InvalidClientTokenId": _LOG_IN,
    "UnrecognizedClientException": _LOG_IN,
    "InvalidSignatureException": _LOG_IN,
    "SignatureDoesNotMatch": _LOG_IN,
    "ResourceLimitExceeded": "Ask Service Quotas for more, or choose another instance type.",
    "ThrottlingException": "Run it again in a minute.",
}


class AwsRefusalError(ByocError):
    """AWS refused a call, could not be reached, or nobody said who calls; the message has the remedy."""


@dataclass(frozen=True)
class Where:
    """Where calls go, and who makes them; `partition` is that of ARNs, such as aws or aws-cn."""

    account: str
    region: str
    url: str
    local: bool
    partition: str

    def __str__(self) -> str:
        return f"{'LOCAL' if self.local else 'AWS'}: account {self.account}, region {self.region}, {self.url}"


class Aws:
    """A boto3 session and its clients, each made once."""

    def __init__(self, session: boto3.session.Session) -> None:
        self.session = session
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Return the client of a service."""
        if service not in self._clients:
            config = _RUNTIME if service == "sagemaker-runtime" else _OTHERS
            session: Any = self.session  # its type lists the services by name
            self._clients[service] = session.client(service, config=config)
        return self._clients[service]

    @property
    def region(self) -> str:
        """The region of all calls."""
        return str(self.session.region_name)

    @property
    def url(self) -> str:
        """Where SageMaker's own calls go."""
        return str(self.client("sagemaker").meta.endpoint_url)

    @cached_property
    def local(self) -> bool:
        """Whether this is a stand-in on this machine.

        Raises:
            AwsRefusalError: some services are, and some are not.
        """
        urls = {name: str(self.client(name).meta.endpoint_url) for name in SERVICES}
        here = {name: url for name, url in urls.items() if is_loopback(url)}
        if here and len(here) < len(urls):
            name, url = next((name, url) for name, url in urls.items() if name not in here)
            inside = next(iter(here))
            raise AwsRefusalError(
                f"{inside} would be called on this machine ({here[inside]}) and {name} at {url}. Set "
                "AWS_ENDPOINT_URL, without AWS_ENDPOINT_URL_... of single services, or unset all of them."
            )
        return bool(here)

    def where(self) -> Where:
        """Ask STS who calls, and return it with where the calls go."""
        local = self.local
        identity = self.client("sts").get_caller_identity()
        partition = identity["Arn"].split(":")[1]
        return Where(identity["Account"], self.region, self.url, local, partition)


def connect(
    region: str | None = None, profile: str | None = None, environ: Mapping[str, str] = os.environ
) -> Aws:
    """Return the AWS that the arguments, the environment and ~/.aws lead to, in this order.

    AWS_REGION goes before AWS_DEFAULT_REGION as in the aws CLI; boto3 itself knows the second only.

    Raises:
        AwsRefusalError: there is no such profile, or no region.
    """
    with explained():
        region = region or environ.get("AWS_REGION")
        session = boto3.session.Session(region_name=region, profile_name=profile)
        if not session.region_name:
            raise NoRegionError
    return Aws(session)


def refused(error: Exception, *codes: str) -> bool:
    """Return whether AWS refused a call with one of these codes."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in codes


def is_missing(error: Exception) -> bool:
    """Return whether SageMaker says that what was asked for is not there.

    It has no code for that: "Could not find endpoint ...", "Requested resource not found."
    """
    return refused(error, "ValidationException", "ResourceNotFound", "ResourceNotFoundException") and (
        "not find" in str(error) or "not found" in str(error) or "not exist" in str(error)
    )


def is_denied(error: Exception) -> bool:
    """Return whether the caller may not do this."""
    return refused(error, "AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation")


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@contextmanager
def explained() -> Iterator[None]:
    """Raise what boto3 raises within as an AwsRefusalError, for the person at the keyboard.

    Raises:
        AwsRefusalError: with the operation, AWS's own words, and what to do.
    """
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, message = told.get("Code", "no code"), (told.get("Message") or "no reason given").rstrip(".")
        remedy = _REMEDIES.get(code, "")
        _raise(error, f"{error.operation_name} was refused: {message} ({code}). {remedy}".rstrip())
    except (NoCredentialsError, PartialCredentialsError) as error:
        _raise(error, f"{error}. {_LOG_IN}")
    except ProfileNotFound as error:
        _raise(error, f"{error}. The profiles are in ~/.aws/config: aws configure list-profiles.")
    except NoRegionError as error:
        _raise(error, "No region is given. Set region in endpoint.toml, --region or AWS_REGION.")
    except (EndpointConnectionError, HTTPClientError) as error:
        _raise(error, f"{str(error).rstrip('.')}. Is the network up, and a local SageMaker still running?")
    except (BotoCoreError, Boto3Error) as error:
        _raise(error, f"{str(error).rstrip('.')}.")


def _raise(error: Exception, text: str) -> None:
    refusal = AwsRefusalError(text)
    for note in getattr(error, "__notes__", []):
        refusal.add_note(note)
    raise refusal from error
