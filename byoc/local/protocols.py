"""The protocols that AWS speaks: which of them a request is in, and how an error is written in each."""

import json
import uuid
from enum import Enum
from xml.sax.saxutils import escape

from byoc.local.errors import AwsError
from byoc.local.wire import Request, Response

_QUERY_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
_CBOR_TWO_PAIRS = 0xA2
_CBOR_TEXT = 0x60


class Protocol(Enum):
    """One way to put an operation into HTTP (Smithy's names, but for S3's own kind of REST and XML)."""

    JSON = "awsJson"
    CBOR = "rpcv2Cbor"
    REST_JSON = "restJson1"
    QUERY = "awsQuery"
    S3 = "s3"


def protocol_of(request: Request, service: str) -> Protocol:
    """Return what a request speaks; `service` is the one that it is signed for, "" where it is not."""
    headers = request.headers
    if "x-amz-target" in headers:
        return Protocol.JSON
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return Protocol.CBOR
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return Protocol.QUERY
    if service not in ("", "s3") or request.path.startswith("/endpoints/"):
        return Protocol.REST_JSON
    return Protocol.S3


def refusal(error: AwsError, protocol: Protocol) -> Response:
    """Return an error as AWS writes it in a protocol."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id}
    if protocol is Protocol.S3:
        body, content_type = _s3(error, request_id), "application/xml"
    elif protocol is Protocol.QUERY:
        body, content_type = _query(error, request_id), "text/xml"
    elif protocol is Protocol.CBOR:
        body, content_type = _cbor(error), "application/cbor"
        headers["smithy-protocol"] = "rpc-v2-cbor"
    else:
        plain = protocol is Protocol.REST_JSON
        content_type = "application/json" if plain else "application/x-amz-json-1.1"
        body = json.dumps({"__type": error.code, "message": error.message, **error.members}).encode()
        headers["x-amzn-ErrorType"] = error.code
    return Response(error.status, body, headers | {"Content-Type": content_type})


def _s3(error: AwsError, request_id: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"<RequestId>{request_id}</RequestId></Error>"
    ).encode()


def _query(error: AwsError, request_id: str) -> bytes:
    return (
        f'<ErrorResponse xmlns="{_QUERY_NAMESPACE}"><Error><Type>Sender</Type>'
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _cbor(error: AwsError) -> bytes:
    """Return a map of two texts (RFC 8949); the whole of CBOR is not needed for it."""
    pairs = {"__type": error.code, "message": error.message}
    return bytes([_CBOR_TWO_PAIRS]) + b"".join(_cbor_text(name) + _cbor_text(pairs[name]) for name in pairs)


def _cbor_text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) < 24:
        return bytes([_CBOR_TEXT | len(encoded)]) + encoded
    return bytes([_CBOR_TEXT | 25]) + len(encoded).to_bytes(2) + encoded
