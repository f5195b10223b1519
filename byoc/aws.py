"""The one door to boto3: its session, its clients with the right timeouts, and where all of them lead."""

import ipaddress
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)

from byoc import remedies
from byoc.errors import ByocError
from byoc.remedies import Remedies

SERVICES = ("sts", "iam", "s3", "ecr", "logs", "sagemaker", "sagemaker-runtime")

# A container may take 60 s, and callers are advised to wait 70 (SageMaker developer guide, your own inference
# code); what a call costs is a prediction, so nothing is sent twice.
_RUNTIME = Config(connect_timeout=10, read_timeout=70, retries={"total_max_attempts": 1, "mode": "standard"})
_OTHERS = Config(connect_timeout=10, read_timeout=60, retries={"total_max_attempts": 6, "mode": "standard"})

# Each service has a code of its own for the same.
_DENIED = ("AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation")
_BAD_CREDENTIALS = (
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
# What boto3 raises before it asks anybody.
_NO_CALLER = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
    ProfileNotFound,
    NoRegionError,
)
_OTHER_REMEDIES = {
    "ResourceLimitExceeded": "Ask Service Quotas for more, or choose another instance type.",
    "ThrottlingException": "Run it again in a minute.",
}


class AwsRefusalError(ByocError):
    """AWS refused a call, could not be reached, or nobody said who calls; the message has the remedy."""


class UnknownCallerError(AwsRefusalError):
    """Nobody said who calls or where, or the credentials that were given are not taken."""


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
    """A boto3 session and its clients, each made once.

    Args:
        session: all come from it.
        home: the region that the environment names; on this machine there is no other.
    """

    def __init__(self, session: boto3.session.Session, home: str | None = None) -> None:
        self.session = session
        self._home = home
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

    @property
    def options(self) -> str:
        """What the aws CLI needs to reach what we reach, each option with a space before it."""
        profile = self.session.profile_name
        given = {"--region": self.region, "--profile": "" if profile == "default" else profile}
        return "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)

    @property
    def remedies(self) -> Remedies:
        """What to do here about what is missing or refused."""
        return _remedies_at(self.url)

    def explained(self) -> AbstractContextManager[None]:
        """Do as explained does, with the remedies of where the calls go."""
        return explained(lambda: self.remedies)

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
        """Ask STS who calls, and return it with where the calls go.

        Raises:
            AwsRefusalError: they go in part to this machine, or there to another region than its own.
            botocore.exceptions.ClientError: STS refuses.
        """
        local = self.local
        if local and self._home and self._home != self.region:
            raise AwsRefusalError(
                f"region is {self.region}, and the local SageMaker at {self.url} is in {self._home} "
                f"(AWS_REGION). Leave region out of endpoint.toml and the flags."
            )
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
    home = environ.get("AWS_REGION")
    with explained(lambda: _remedies_by(environ)):
        session = boto3.session.Session(region_name=region or home, profile_name=profile)
        if not session.region_name:
            raise NoRegionError
    return Aws(session, home)


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
    return refused(error, *_DENIED)


def is_unsettled(error: Exception) -> bool:
    """Return whether AWS may only not know yet what was made a moment ago, such as a role or a model."""
    return is_missing(error) or (refused(error, "ValidationException") and "assume role" in str(error))


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _remedies_at(url: str) -> Remedies:
    return remedies.local(urlsplit(url).port) if is_loopback(url) else remedies.AWS


def _remedies_by(environ: Mapping[str, str] = os.environ) -> Remedies:
    """Return the remedies of where an environment leads, as far as it alone says so."""
    return _remedies_at(environ.get("AWS_ENDPOINT_URL", ""))


@contextmanager
def explained(here: Callable[[], Remedies] = _remedies_by) -> Iterator[None]:
    """Raise what boto3 raises within as an AwsRefusalError, for the person at the keyboard.

    Args:
        here: returns the remedies of where the calls go; Aws.explained knows it best.

    Raises:
        AwsRefusalError: with the operation, AWS's own words, and what to do.
    """
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, message = told.get("Code", "no code"), (told.get("Message") or "no reason given").rstrip(".")
        kind = UnknownCallerError if code in _BAD_CREDENTIALS else AwsRefusalError
        what = f"{error.operation_name} was refused: {message} ({code})"
        _raise(kind, error, what, _remedy_of(code, here()))
    except (BotoCoreError, Boto3Error) as error:
        kind = UnknownCallerError if isinstance(error, _NO_CALLER) else AwsRefusalError
        _raise(kind, error, str(error).rstrip("."), _remedy_against(error, here()))


def _remedy_of(code: str, here: Remedies) -> str:
    if code in _DENIED:
        return here.denied
    return here.log_in if code in _BAD_CREDENTIALS else _OTHER_REMEDIES.get(code, "")


def _remedy_against(error: Exception, here: Remedies) -> str:
    match error:
        case ProfileNotFound():
            return here.profile
        case NoRegionError():
            return here.region
        case _ if isinstance(error, _NO_CALLER):
            return here.credentials
        case ReadTimeoutError():
            return "It may still be at work: its log has more."
        case EndpointConnectionError() | HTTPClientError():
            return here.unreachable
    return ""


def _raise(kind: type[AwsRefusalError], error: Exception, what: str, remedy: str) -> None:
    refusal = kind(f"{what}. {remedy}".rstrip())
    for note in getattr(error, "__notes__", []):
        refusal.add_note(note)
    raise refusal from error
