"""GetObject, HeadObject and GetObjectAttributes."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping
from typing import IO

from byoc.local.errors import AwsError
from byoc.local.s3.blobs import PIECE_BYTES
from byoc.local.s3.call import Call
from byoc.local.s3.checksums import FULL_OBJECT
from byoc.local.s3.conditions import Span, is_unchanged, part_of, span_of
from byoc.local.s3.describing import checksum_headers, etag_of, headers_of, http_time, overrides_of
from byoc.local.s3.errors import invalid_argument, invalid_request
from byoc.local.s3.markup import Children, answer
from byoc.local.s3.records import StoredObject
from byoc.local.wire import Response

_ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


async def get_object(call: Call) -> Response:
    """Answer GetObject; the bytes come from the file as they are sent."""
    return await asyncio.to_thread(_read, call)


async def head_object(call: Call) -> Response:
    """Answer HeadObject: GetObject without the bytes."""
    return _described(call, _stored(call))[0]


async def get_object_attributes(call: Call) -> Response:
    """Answer GetObjectAttributes."""
    stored = _stored(call)
    wanted = [name.strip() for name in call.headers.get("x-amz-object-attributes", "").split(",")]
    for name in wanted:
        if name not in _ATTRIBUTES:
            raise invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", name)
    told = [pair for pair in _attributes(stored) if pair[0] in wanted]
    response = answer("GetObjectAttributesResponse", told)
    return Response(200, response.body, {**response.headers, "last-modified": http_time(stored.modified)})


def check_version(call: Call) -> None:
    """Raise NoSuchVersion where another version is asked for than the only one, which is called null."""
    version = call.query.get("versionId", "null")
    if version != "null":
        members = {"Key": call.key, "VersionId": version}
        raise AwsError("NoSuchVersion", "The specified version does not exist.", 404, members)


def _stored(call: Call) -> StoredObject:
    check_version(call)
    return call.store.head(call.bucket, call.key)


def _read(call: Call) -> Response:
    check_version(call)
    stored, file = call.store.open(call.bucket, call.key)
    try:
        response, span = _described(call, stored)
    except BaseException:
        file.close()
        raise
    if response.status == 304:
        file.close()
        return response
    return Response(response.status, FileSpan(file, span), response.headers)


def _described(call: Call, stored: StoredObject) -> tuple[Response, Span]:
    """Return the answer without its bytes, and which they are."""
    whole = Span(0, stored.size)
    if is_unchanged(call.headers, stored):
        told = {"etag": etag_of(stored), "last-modified": http_time(stored.modified)}
        return Response(304, headers=told), whole
    span, more = _wanted(call, stored)
    told = headers_of(stored) | overrides_of(call.query) | more
    told["content-length"] = str((span or whole).size)
    if span and span.size:
        told["content-range"] = span.content_range(stored.size)
    elif call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        told |= checksum_headers(stored)
    return Response(206 if span else 200, headers=told), span or whole


def _wanted(call: Call, stored: StoredObject) -> tuple[Span | None, dict[str, str]]:
    number, ranged = call.query.get("partNumber"), call.headers.get("range")
    if number is None:
        return span_of(ranged, stored.size), {}
    if ranged is not None:
        raise invalid_request("Cannot specify both Range header and partNumber query parameter")
    count = {"x-amz-mp-parts-count": str(len(stored.parts))} if stored.parts else {}
    return part_of(stored, number), count


def _attributes(stored: StoredObject) -> Children:
    checksums = _written(stored.checksums)
    parts = [
        ("Part", [("PartNumber", part.number), ("Size", part.size), *_written(part.checksums)])
        for part in stored.parts
        if part.checksums
    ]
    counts = [("TotalPartsCount", len(stored.parts)), ("PartsCount", len(stored.parts))]
    return [
        ("ETag", stored.etag),
        (
            "Checksum",
            [*checksums, ("ChecksumType", stored.checksum_type or FULL_OBJECT)] if checksums else None,
        ),
        ("ObjectParts", [*counts, ("IsTruncated", False), *parts] if stored.parts else None),
        ("StorageClass", stored.description.headers.get("x-amz-storage-class", "STANDARD")),
        ("ObjectSize", stored.size),
    ]


def _written(checksums: Mapping[str, str]) -> Children:
    return [(f"Checksum{name}", value) for name, value in checksums.items()]


class FileSpan(AsyncIterator[bytes]):
    """The bytes of a span of an open file, PIECE_BYTES at a time; close it with `aclose`."""

    def __init__(self, file: IO[bytes], span: Span) -> None:
        self._position = span.start
        self._left = span.size
        # Whoever gives up while another thread reads must not close the file under it.
        self._lock = threading.Lock()
        self._file = file

    async def __anext__(self) -> bytes:
        if not self._left:
            await self.aclose()
            raise StopAsyncIteration
        piece = await asyncio.to_thread(self._read)
        self._position += len(piece)
        self._left -= len(piece)
        return piece

    async def aclose(self) -> None:
        """Close the file. Safe to repeat."""
        with self._lock:
            self._file.close()

    def _read(self) -> bytes:
        with self._lock:
            piece = os.pread(self._file.fileno(), min(PIECE_BYTES, self._left), self._position)
        if not piece:
            raise EOFError("the file of an object is shorter than the object")
        return piece
