"""Decides on ranges and preconditions, as RFC 9110 and the S3 API reference have them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from byoc.local.errors import AwsError
from byoc.local.s3.errors import no_such_key, not_implemented, precondition_failed
from byoc.local.s3.records import StoredObject

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Span:
    """`size` bytes from `start` on."""

    start: int
    size: int

    def content_range(self, whole: int) -> str:
        """Return the Content-Range header."""
        return f"bytes {self.start}-{self.start + self.size - 1}/{whole}"


def span_of(header: str | None, size: int) -> Span | None:
    """Return the part of `size` bytes that a Range header asks for; None for all of them.

    What is no single range of bytes is ignored, as RFC 9110 has it.

    Raises:
        AwsError: InvalidRange.
    """
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if not found or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= size:
        raise AwsError(
            "InvalidRange",
            "The requested range is not satisfiable",
            416,
            {"RangeRequested": header, "ActualObjectSize": size},
        )
    return Span(start, end - start)


def part_of(stored: StoredObject, number: str) -> Span:
    """Return where part `number` of an object lies (AwsError where it has none of that number).

    An object that was not uploaded in parts has one.
    """
    sizes = {part.number: part.size for part in stored.parts} or {1: stored.size}
    if not number.isdecimal() or int(number) not in sizes:
        raise AwsError(
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            416,
            {"PartNumberRequested": number, "ActualPartCount": len(sizes)},
        )
    before = sum(size for known, size in sizes.items() if known < int(number))
    return Span(before, sizes[int(number)])


def is_unchanged(headers: Mapping[str, str], stored: StoredObject) -> bool:
    """Whether a reader has the object already, by If-None-Match or If-Modified-Since.

    Raises:
        AwsError: PreconditionFailed (If-Match, If-Unmodified-Since).
    """
    _check_still_the_same(headers, stored)
    if "if-none-match" in headers:
        return _matches(headers["if-none-match"], stored)
    since = _epoch_s(headers.get("if-modified-since"))
    return since is not None and int(stored.modified) <= since


def check_source(headers: Mapping[str, str], stored: StoredObject) -> None:
    """Raise PreconditionFailed where a copy's x-amz-copy-source-if-* do not hold for its source."""
    prefix = "x-amz-copy-source-"
    told = {name[len(prefix) :]: value for name, value in headers.items() if name.startswith(prefix)}
    if is_unchanged(told, stored):
        raise precondition_failed("x-amz-copy-source-If-None-Match or If-Modified-Since")


def check_write(headers: Mapping[str, str], key: str, before: StoredObject | None) -> None:
    """Raise what a conditional write gets for what is there: PreconditionFailed, or NoSuchKey.

    AWS: "How to prevent object overwrites with conditional writes".
    """
    if headers.get("if-none-match", "*") != "*":
        raise not_implemented("If-None-Match with anything but * on a write")
    if "if-none-match" in headers and before:
        raise precondition_failed("If-None-Match")
    if "if-match" in headers:
        if before is None:
            raise no_such_key(key)
        if not _matches(headers["if-match"], before):
            raise precondition_failed("If-Match")


def _check_still_the_same(headers: Mapping[str, str], stored: StoredObject) -> None:
    if "if-match" in headers:
        if not _matches(headers["if-match"], stored):
            raise precondition_failed("If-Match")
        return
    since = _epoch_s(headers.get("if-unmodified-since"))
    if since is not None and int(stored.modified) > since:
        raise precondition_failed("If-Unmodified-Since")


def _matches(header: str, stored: StoredObject) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or stored.etag in tags


def _epoch_s(header: str | None) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except (ValueError, OverflowError):
        return None
