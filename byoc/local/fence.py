"""Who may talk to the local SageMaker: our own host names, no foreign web page, the instance's own key.

Whoever may call it runs programs on this machine. A web page in a browser could reach loopback: its
requests bear its Origin, or, after DNS rebinding, its own host name. Another user of the machine could
too: the access key, which only the owner can read, keeps him out.
"""

import hmac
import urllib.parse

from byoc.local.errors import AwsError
from byoc.local.instance import port_option
from byoc.local.protocols import Protocol, protocol_of
from byoc.local.wire import Request

_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105 - AWS's words
# AWS, "Common Errors" of each service and "List of error codes" of Amazon S3; JSON answers 400, REST 403.
_MISSING = {
    Protocol.JSON: ("MissingAuthenticationTokenException", "Missing Authentication Token", 400),
    Protocol.CBOR: ("MissingAuthenticationTokenException", "Missing Authentication Token", 400),
    Protocol.REST_JSON: ("MissingAuthenticationTokenException", "Missing Authentication Token", 403),
    Protocol.QUERY: ("MissingAuthenticationToken", "Request is missing Authentication Token", 403),
    Protocol.S3: ("AccessDenied", "Access Denied", 403),
}
_UNKNOWN = {
    Protocol.JSON: ("UnrecognizedClientException", _INVALID_TOKEN, 400),
    Protocol.CBOR: ("UnrecognizedClientException", _INVALID_TOKEN, 400),
    Protocol.REST_JSON: ("UnrecognizedClientException", _INVALID_TOKEN, 403),
    Protocol.QUERY: ("InvalidClientTokenId", _INVALID_TOKEN, 403),
    Protocol.S3: (
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        403,
    ),
}


class Fence:
    """Lets in what comes to one of our names, from no other web page, with our key."""

    def __init__(self, port: int, access_key: str) -> None:
        # A shell keeps the keys of an instance that has ended; the next one has others, without --data.
        self._remedy = f' In a shell: eval "$(byoc local env{port_option(port)})"'
        self._keys: tuple[bytes, ...] = (access_key.encode(),)
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._bucket_hosts = f".localhost:{port}"

    def let_in(self, netloc: str) -> None:
        """Be known under one more HOST:PORT, such as that of the Docker bridge's gateway."""
        self._hosts |= {netloc.lower()}

    def issue(self, access_key: str) -> None:
        """Let in another key too: one that our STS has handed out for a role."""
        self._keys += (access_key.encode(),)

    def admit(self, request: Request) -> str:
        """Return the service that a request is signed for, such as "sagemaker" or "s3".

        Raises:
            AwsError: it is not let in.
        """
        headers = request.headers
        host = headers.get("host", "")
        if host not in self._hosts and not self._is_ours(host.lower()):
            raise _denied(request, f"The local SageMaker is not called {host!r}. Use the URL that it gave.")
        origin = headers.get("origin")
        if origin is not None and not self._is_ours(origin.lower().removeprefix("http://")):
            raise _denied(request, f"The local SageMaker answers no web page of {origin}.")
        key, service = _signature_of(request)
        if not key:
            raise AwsError(*_MISSING[protocol_of(request, service)])
        given = key.encode()
        if not any(hmac.compare_digest(given, ours) for ours in self._keys):
            code, message, status = _UNKNOWN[protocol_of(request, service)]
            raise AwsError(code, message + self._remedy, status)
        return service

    def _is_ours(self, netloc: str) -> bool:
        return netloc in self._hosts or netloc.endswith(self._bucket_hosts)


def _denied(request: Request, message: str) -> AwsError:
    xml = protocol_of(request, "") in (Protocol.QUERY, Protocol.S3)
    return AwsError("AccessDenied" if xml else "AccessDeniedException", message, 403)


def _signature_of(request: Request) -> tuple[str, str]:
    """Return the access key and the service of a signature, each "" where there is none.

    In the header (Signature Version 4, or 2 of S3), or in the query of a presigned URL.
    """
    authorization = request.headers.get("authorization")
    if authorization is None:
        given = urllib.parse.parse_qs(request.query)
        if "AWSAccessKeyId" in given:
            return given["AWSAccessKeyId"][-1], "s3"
        return _scope_of(given.get("X-Amz-Credential", [""])[-1])
    _, _, credential = authorization.partition("Credential=")
    if credential:
        return _scope_of(credential.partition(",")[0].strip())
    if authorization.startswith("AWS "):
        return authorization[4:].partition(":")[0], "s3"
    return "", ""


def _scope_of(credential: str) -> tuple[str, str]:
    """Return key and service of KEY/DATE/REGION/SERVICE/aws4_request; Version 4A leaves the region out."""
    parts = credential.split("/")
    return (parts[0], parts[-2].lower()) if len(parts) >= 4 else ("", "")
