"""One S3 request as its operations see it: the bucket, the key, and the ways to read its body."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

from byoc.local.errors import AwsError
from byoc.local.s3.blobs import PIECE_BYTES, Draft
from byoc.local.s3.chunked import ChunkedBody
from byoc.local.s3.errors import invalid_argument, malformed_xml
from byoc.local.s3.integrity import Expected, expected_of, incomplete_body
from byoc.local.s3.store import ObjectStore
from byoc.local.wire import Request, Response

_LARGEST_DOCUMENT = 8 * 1024 * 1024  # completing 10,000 parts with two checksums each takes 3 MB
_LONGEST_KEY = 1024

Result = TypeVar("Result")


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        bucket: "" where the request is about all of them.
        key: "" where it is about the bucket.
        query: decoded; of a repeated name the last.
        headers: by lower-case name, with what a presigned URL says in its query instead.
        body: as it arrives.
    """

    store: ObjectStore
    region: str
    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]

    async def document(self) -> bytes:
        """Return the body of a request that carries XML or JSON (MalformedXML where it is huge)."""
        expected = expected_of(self.headers)
        digests = expected.digests()
        found = bytearray()
        pieces = Pieces(self.body, expected)
        async for piece in pieces:
            found += piece
            if len(found) > _LARGEST_DOCUMENT:
                raise malformed_xml()
        for digest in digests.values():
            digest.update(bytes(found))
        expected.verify(len(found), digests, pieces.trailers)
        return bytes(found)


Operation = Callable[[Call], Awaitable[Response]]


def call_from(request: Request, store: ObjectStore, region: str) -> Call:
    """Return what a request is about; the bucket is in the path, or before ".localhost" in Host.

    Raises:
        AwsError: InvalidURI, KeyTooLongError, InvalidArgument.
    """
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    told = {name.lower(): value for name, value in query.items() if name.lower().startswith("x-amz-")}
    for name, value in told.items():
        if not is_header_text(name + value):  # kept as metadata, it could never be told again
            raise invalid_argument("Give printable ASCII characters, as in a header.", name, value)
    bucket, _, rest = request.path.removeprefix("/").partition("/")
    host = request.headers.get("host", "").partition(":")[0].lower()
    if host.endswith(".localhost"):
        bucket, rest = host.removesuffix(".localhost"), request.path.removeprefix("/")
    return Call(
        store=store,
        region=region,
        method=request.method,
        bucket=decoded(bucket),
        key=checked_key(decoded(rest)),
        query=query,
        headers=told | dict(request.headers),
        body=request.body,
    )


def is_header_text(value: str) -> bool:
    """Whether a value of a query can be a header's."""
    return value.isascii() and value.isprintable()


def decoded(quoted: str) -> str:
    """Return percent-encoded text (InvalidURI where it is not UTF-8)."""
    try:
        return unquote_to_bytes(quoted.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise AwsError("InvalidURI", "Couldn't parse the specified URI.") from error


def checked_key(key: str) -> str:
    """Return a key that is not too long (KeyTooLongError)."""
    if (size := len(key.encode())) > _LONGEST_KEY:
        members = {"Size": size, "MaxSizeAllowed": _LONGEST_KEY}
        raise AwsError("KeyTooLongError", "Your key is too long", members=members)
    return key


async def receive(call: Call, expected: Expected, draft: Draft) -> dict[str, str]:
    """Write a request's body into a draft and return its checksums, by algorithm.

    Two pieces of PIECE_BYTES are in memory at most: one is written while the other arrives.

    Raises:
        AwsError: it is not what the client said (Expected.verify); the draft is the caller's to drop.
    """
    pieces = Pieces(call.body, expected)
    writing: Awaitable[None] | None = None
    gathered: list[bytes] = []
    size = 0
    try:
        async for piece in pieces:
            gathered.append(piece)
            size += len(piece)
            if size >= PIECE_BYTES:
                if writing:
                    await writing
                writing = asyncio.ensure_future(asyncio.to_thread(draft.write, b"".join(gathered)))
                gathered, size = [], 0
    finally:
        if writing:  # whoever drops the draft now shall meet nobody who writes to it
            await writing
    if gathered:
        await asyncio.to_thread(draft.write, b"".join(gathered))
    return expected.verify(draft.size, draft.digests, pieces.trailers)


async def to_the_end(act: Callable[[], Result]) -> Result:
    """Return what comes of an act in a thread; it goes on to its end where its caller is cancelled.

    A client that goes away, and a server that ends, cancel whoever waits, but no thread: whoever cleaned up
    would take from the act what it still uses.
    """
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, act))


class Pieces(AsyncIterator[bytes]):
    """The bytes of an object out of a request's body, as they come.

    Raises IncompleteBody as soon as there are more than expected, and where an aws-chunked body has no end.
    """

    def __init__(self, body: AsyncIterator[bytes], expected: Expected) -> None:
        self._body = body
        self._expected = expected
        self._chunked = ChunkedBody() if expected.chunked else None
        self._came = 0

    @property
    def trailers(self) -> Mapping[str, str]:
        """The headers behind the body."""
        return self._chunked.trailers if self._chunked else {}

    async def __anext__(self) -> bytes:
        while True:
            try:
                piece = await anext(self._body)
            except StopAsyncIteration:
                if self._chunked and not self._chunked.complete:
                    raise incomplete_body(self._expected.size, self._came) from None
                raise
            if self._chunked:
                piece = b"".join(self._chunked.feed(piece))
            self._came += len(piece)
            if self._came > self._expected.size:
                raise incomplete_body(self._expected.size, self._came)
            if piece:
                return piece
