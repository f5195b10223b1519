"""Takes the aws-chunked encoding off a body: sizes, signatures and trailers between the bytes.

AWS: "Signature calculations for the Authorization header: transferring payload in multiple chunks". The
signatures are not looked at.
"""

from byoc.local.errors import AwsError

_LONGEST_LINE = 16 * 1024
_END = b"\r\n"


class ChunkedBody:
    """Decodes a body that comes in pieces of any size.

    Attributes:
        complete: whether the last chunk and the trailers have come.
        trailers: the headers behind the last chunk, by lower-case name.
    """

    def __init__(self) -> None:
        self.complete = False
        self.trailers: dict[str, str] = {}
        self._line = b""  # the beginning of a line whose end has not come
        self._left = 0  # bytes of the chunk that have not come
        self._in_trailers = False
        self._after_data = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the bytes of the object in a piece of the body (AwsError where it is malformed)."""
        found: list[bytes] = []
        position = 0
        while position < len(piece) and not self.complete:
            if self._left:
                data = piece[position : position + self._left]
                found.append(data)
                self._left -= len(data)
                self._after_data = self._left == 0
                position += len(data)
            else:
                position = self._take_line(piece, position)
        return found

    def _take_line(self, piece: bytes, position: int) -> int:
        """Return where the next line starts."""
        end = piece.find(b"\n", position)
        stop = len(piece) if end < 0 else end + 1
        self._line += piece[position:stop]
        if len(self._line) > _LONGEST_LINE:
            raise _malformed("a line is too long")
        if end >= 0:
            line, self._line = self._line.rstrip(_END), b""
            self._understand(line)
        return stop

    def _understand(self, line: bytes) -> None:
        if self._after_data:
            if line:
                raise _malformed("a chunk is longer than it says")
            self._after_data = False
        elif self._in_trailers:
            name, _, value = line.decode("latin-1").partition(":")
            if line:
                self.trailers[name.strip().lower()] = value.strip()
            self.complete = not line
        else:
            self._left = _size_of(line)
            self._in_trailers = self._left == 0


def _size_of(line: bytes) -> int:
    try:
        size = int(line.partition(b";")[0], 16)
    except ValueError:
        size = -1
    if size < 0:
        raise _malformed(f"{line[:40]!r} is no chunk size")
    return size


def _malformed(reason: str) -> AwsError:
    return AwsError(
        "InvalidChunkSizeError", f"The body is not the aws-chunked encoding that it says: {reason}."
    )
