"""The text of a request body."""

import codecs

from byoc_serving.errors import BadRequestError, UnsupportedMediaTypeError

# Python also calls things a codec that are not charsets: idna, punycode, unicode_escape, zip, ...
_FAMILIES = (
    "ascii",
    "big5",
    "cp",
    "euc",
    "gb",
    "iso2022",
    "iso8859",
    "johab",
    "koi8",
    "mac",
    "shift",
    "tis",
    "utf",
)


def text_of(body: bytes, charset: str | None = None) -> str:
    """Return a body as text, without its byte order mark.

    Args:
        body: the bytes as they came.
        charset: the charset parameter of the Content-Type; UTF-8 where there is none.

    Raises:
        BadRequestError: the bytes are not text in that charset; it names the line and the byte.
        UnsupportedMediaTypeError: the charset is unknown.
    """
    name = _codec_name(charset) if charset else "utf-8"
    try:
        return body.decode(name).removeprefix("\ufeff")
    except UnicodeError as error:
        byte = getattr(error, "start", 0) + 1
        line = body.count(b"\n", 0, byte - 1) + 1
        raise BadRequestError(
            f"The body is not {charset or 'UTF-8'} text: byte {byte}, on line {line}, cannot be decoded. "
            "Send UTF-8, or name the charset in the Content-Type.",
            line=line,
            byte=byte,
        ) from None


def is_utf8(charset: str | None) -> bool:
    """Whether a charset parameter, or its absence, says that the body's bytes are UTF-8 as they are."""
    return charset is None or charset.lower() in ("utf-8", "utf8")


def _codec_name(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        name = ""
    if not name.startswith(_FAMILIES):
        raise UnsupportedMediaTypeError(
            f"The charset {charset!r} is unknown here. Send UTF-8.", charset=charset
        )
    return name
