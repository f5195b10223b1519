"""A request and a response as every plane sees them, without the web server around."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        path: as it came, percent-encoded, without the query.
        query: as it came, percent-encoded, without the question mark.
        headers: by lower-case name; of a repeated one the last.
        body: its pieces, as they arrive.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]

    async def read(self) -> bytes:
        """Return the whole body; for small ones."""
        return b"".join([piece async for piece in self.body])


@dataclass(frozen=True)
class Response:
    """One answer; a body that comes in pieces is sent as they come."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Plane = Callable[[Request], Awaitable[Response]]
