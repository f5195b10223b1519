"""A request body without its Content-Encoding."""

import zlib

from byoc_serving.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError

_SUPPORTED = ("identity", "gzip")
_GZIP = 16 + zlib.MAX_WBITS
_CHUNK_BYTES = 1 << 16
_MOST_MEMBERS = 10_000


def expanded(body: bytes, content_encoding: str | None, limit_bytes: int | None) -> bytes:
    """Return a body as it was before it was compressed.

    Args:
        body: the bytes as they came.
        content_encoding: the header of that name; none is identity. x-gzip is gzip (RFC 9110, 8.4.1.3).
        limit_bytes: what it may become; None is any length. No more than that is ever held.

    Raises:
        UnsupportedMediaTypeError: it is neither identity nor gzip.
        BadRequestError: the body is not gzip (RFC 1952, of one member or several), or breaks off.
        PayloadTooLargeError: it becomes longer than limit_bytes.
    """
    encoding = (content_encoding or "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaTypeError(
            f"Content-Encoding is {encoding!r}, which is not decoded here. Send the body as it is, or gzip.",
            sent=encoding,
            supported=list(_SUPPORTED),
        )
    try:
        return _members(body, limit_bytes)
    except zlib.error as error:
        raise BadRequestError(
            f"The body is not gzip, as its Content-Encoding says: {error}. Send it whole, or as it is."
        ) from None


def _members(body: bytes, limit_bytes: int | None) -> bytes:
    out = bytearray()
    place = 0
    for _ in range(_MOST_MEMBERS):
        place = _member(body, place, out, limit_bytes)
        if not body[place : place + 1].strip(b"\0") and not body[place:].strip(b"\0"):
            return bytes(out)  # gzip itself lets zeros follow
    raise zlib.error(f"it has over {_MOST_MEMBERS} members")


def _member(body: bytes, place: int, out: bytearray, limit_bytes: int | None) -> int:
    """Append what one member holds, and return where it ends."""
    member = zlib.decompressobj(_GZIP)
    while not member.eof:
        chunk = body[place : place + _CHUNK_BYTES]
        if not chunk:
            raise zlib.error("it breaks off")
        place += len(chunk)
        # One byte more than the limit shows that there is more; 0 would be without bound.
        room = 0 if limit_bytes is None else limit_bytes - len(out) + 1
        out += member.decompress(chunk, room)
        if limit_bytes is not None and len(out) > limit_bytes:
            raise PayloadTooLargeError(
                f"The body expands to more than {limit_bytes} bytes. Send less, or raise "
                "SAGEMAKER_MAX_PAYLOAD_IN_MB.",
                limit_bytes=limit_bytes,
            )
    return place - len(member.unused_data)
