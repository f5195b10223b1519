"""What a client says of an object in headers, and says again to whoever reads it."""

from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import parse_qsl

from byoc.local.errors import AwsError
from byoc.local.s3.checksums import header_of
from byoc.local.s3.errors import invalid_request, not_implemented
from byoc.local.s3.records import BINARY, Description, StoredObject

_METADATA = "x-amz-meta-"
_MOST_METADATA = 2 * 1024
_MOST_TAGS, _LONGEST_TAG_KEY, _LONGEST_TAG_VALUE = 10, 128, 256
_KEPT = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
_OVERRIDES = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
_ABSENT = {
    "x-amz-server-side-encryption-customer-algorithm": "encryption with a key of the customer (SSE-C)",
    "x-amz-object-lock-mode": "object lock",
    "x-amz-object-lock-legal-hold": "object lock",
    "x-amz-write-offset-bytes": "appending to objects",
}
_PRIVATE = ("private", "bucket-owner-full-control")


def description_of(headers: Mapping[str, str]) -> Description:
    """Return what the headers of a write say of the object.

    Raises:
        AwsError: what is asked for is not there, too much, or an access control list.
    """
    refuse_absent(headers)
    kept = {name: headers[name] for name in _KEPT if headers.get(name)}
    encodings = [name.strip() for name in kept.pop("content-encoding", "").split(",")]
    if encoding := ",".join(name for name in encodings if name not in ("", "aws-chunked")):
        kept["content-encoding"] = encoding
    if kept.get("x-amz-storage-class") == "STANDARD":
        del kept["x-amz-storage-class"]
    metadata = {
        name[len(_METADATA) :]: value for name, value in headers.items() if name.startswith(_METADATA)
    }
    if sum(len(name) + len(value) for name, value in metadata.items()) > _MOST_METADATA:
        raise AwsError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            members={"MaxSizeAllowed": _MOST_METADATA},
        )
    tags = checked_tags(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
    return Description(headers.get("content-type") or BINARY, metadata, kept, tags)


def refuse_absent(headers: Mapping[str, str]) -> None:
    """Raise what AWS, or this S3, answers to a write that asks for what it does not have."""
    for name, what in _ABSENT.items():
        if name in headers:
            raise not_implemented(what)
    granted = any(name.startswith("x-amz-grant-") for name in headers)
    if granted or headers.get("x-amz-acl", "private") not in _PRIVATE:
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")


def checked_tags(tags: list[tuple[str, str]]) -> dict[str, str]:
    """Return an object's tags as a dict (AwsError where they are too many or too long)."""
    if len(tags) > _MOST_TAGS:
        raise AwsError("BadRequest", "Object tags cannot be greater than 10")
    if len(dict(tags)) < len(tags):
        raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key")
    for name, value in tags:
        if not 0 < len(name) <= _LONGEST_TAG_KEY:
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid", members={"TagKey": name})
        if len(value) > _LONGEST_TAG_VALUE:
            raise AwsError(
                "InvalidTag", "The TagValue you have provided is invalid", members={"TagValue": value}
            )
    return dict(tags)


def http_time(epoch_s: float) -> str:
    """Return a time as HTTP headers have it: whole seconds."""
    return formatdate(int(epoch_s), usegmt=True)


def etag_of(stored: StoredObject) -> str:
    """Return the ETag with its quotes."""
    return f'"{stored.etag}"'


def headers_of(stored: StoredObject) -> dict[str, str]:
    """Return the headers that come with an object, but for its length and its checksum."""
    told = {
        "content-type": stored.content_type,
        "etag": etag_of(stored),
        "last-modified": http_time(stored.modified),
        "accept-ranges": "bytes",
        "x-amz-server-side-encryption": "AES256",
    }
    told |= stored.description.headers
    told |= {f"{_METADATA}{name}": value for name, value in stored.metadata.items()}
    if stored.description.tags:
        told["x-amz-tagging-count"] = str(len(stored.description.tags))
    return told


def checksum_headers(stored: StoredObject) -> dict[str, str]:
    """Return an object's checksum as headers."""
    told = {header_of(algorithm): checksum for algorithm, checksum in stored.checksums.items()}
    return told | ({"x-amz-checksum-type": stored.checksum_type} if told else {})


def overrides_of(query: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a reader wants to see instead of the object's own (response-*).

    Raises:
        AwsError: a value that cannot be a header's.
    """
    told = {name: query[f"response-{name}"] for name in _OVERRIDES if f"response-{name}" in query}
    for name, value in told.items():
        if not value.isprintable() or not value.isascii():
            raise invalid_request(f"response-{name} is {value!r}. Give printable ASCII characters.")
    return told
