"""The head of an HTTP/1.1 request, parsed by gunicorn's C parser."""

from collections.abc import Iterator, Mapping

from gunicorn_h1c import (
    HttpRequest,
    InvalidHTTPVersion,
    LimitRequestHeaders,
    LimitRequestLine,
    parse_request_fast,
)
from gunicorn_h1c._parser_fast import IncompleteError  # which is another than the package's own

LONGEST_HEAD = 65_536
_MOST_HEADERS = 1_000
_MOST_DIGITS = 15  # of a length: more than any memory, and within what the parser's own integer holds


class BadHeadError(Exception):
    """What came is no request that can be answered; `status` says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Head(Mapping[str, str]):
    """What a request says before its body; its headers as `calls.Headers` has them.

    Args:
        parsed: by gunicorn's parser. Headers are read from it when they are asked for.

    Attributes:
        length: of the body in bytes; None where it comes in chunks.
        size: of the head itself in bytes, up to and with the empty line.
        closes: whether the connection is to be closed after the answer.
    """

    __slots__ = ("_named", "_parsed", "closes", "is_1_0", "length", "method", "size", "target")

    def __init__(self, parsed: HttpRequest, length: int | None) -> None:
        self._parsed = parsed
        self._named: dict[str, str] | None = None
        self.method: bytes = parsed.method
        self.target: bytes = parsed.path
        self.length = length
        self.size: int = parsed.consumed
        self.is_1_0 = is_1_0 = parsed.minor_version == 0
        closes = parsed.connection_close
        self.closes = closes == 1 or (is_1_0 and closes != 0)

    def text(self, name: bytes) -> str | None:
        """Return a header, if it was sent once or more: the first."""
        value = self._parsed.get_header(name)
        return None if value is None else value.decode("latin-1")

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return one header without reading all."""
        value = self._parsed.get_header(name.encode())
        return default if value is None else self._all()[name.lower()]

    def __getitem__(self, name: str) -> str:
        return self._all()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, str]:
        if self._named is None:
            named: dict[str, str] = {}
            for name, value in self._parsed.headers:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                named[key] = f"{named[key]}, {text}" if key in named else text
            self._named = named
        return self._named


def head_of(data: bytes) -> Head | None:
    """Return the head that data begin with, or None where the rest of it is still to come.

    Raises:
        BadHeadError: it is not HTTP/1.x, or more than is taken.
    """
    try:
        parsed = parse_request_fast(
            data,
            limit_request_line=LONGEST_HEAD,
            limit_request_fields=_MOST_HEADERS,
            limit_request_field_size=LONGEST_HEAD,
        )
    except IncompleteError:
        if len(data) > LONGEST_HEAD:
            raise BadHeadError(431, f"The headers are over {LONGEST_HEAD} bytes.") from None
        return None
    except ValueError as error:  # what all of the parser's errors are
        raise BadHeadError(_status(error), f"{error}.") from None
    if parsed.get_header(b"") is not None:
        # RFC 9112, 5.2: a proxy may read such a line as part of the one before; the parser gives it no name.
        raise BadHeadError(400, "A header goes on in a second line.")
    return Head(parsed, _length(parsed))


def _length(parsed: HttpRequest) -> int | None:
    if parsed.has_chunked:
        coding = parsed.get_header(b"transfer-encoding")
        if coding is None or coding.strip().lower() != b"chunked":
            raise BadHeadError(501, "A Transfer-Encoding other than chunked is not read.")
        return None
    if parsed.get_header(b"transfer-encoding") is not None:
        raise BadHeadError(501, "A Transfer-Encoding other than chunked is not read.")
    length = parsed.content_length
    if length <= 0:
        return 0
    text = parsed.get_header(b"content-length")
    if text is None or len(text) > _MOST_DIGITS:
        raise BadHeadError(400, "The Content-Length is too large.")
    return length  # type: ignore[no-any-return]  # of C


def _status(error: Exception) -> int:
    match error:
        case LimitRequestLine():
            return 414
        case LimitRequestHeaders():
            return 431
        case InvalidHTTPVersion():
            return 501
    return 400
