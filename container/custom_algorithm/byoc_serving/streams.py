"""A body that is made while it is sent, and what is to be done when no more of it will be."""

from collections.abc import Callable, Iterable, Iterator

from byoc_serving.calls import Response


def until_sent(response: Response, ended: Callable[[], object]) -> Response:
    """Call `ended` once nothing more of a response's body will be made: at once where it is whole."""
    if isinstance(response.body, bytes):
        ended()
        return response
    return response._replace(body=Stream(response.body, ended))


def close(pieces: object) -> None:
    """Tell what makes pieces that no more are wanted, where it can be told (PEP 3333)."""
    act: Callable[[], None] | None = getattr(pieces, "close", None)
    if act:
        act()


class Stream(Iterator[bytes]):
    """Pieces, and what is called once when they are exhausted, fail, or are wanted no more.

    Args:
        pieces: of a body.
        ended: is called when nothing here refers to them any more.
    """

    def __init__(self, pieces: Iterable[bytes], ended: Callable[[], object]) -> None:
        self._pieces = iter(pieces)
        self._ended: Callable[[], object] | None = ended

    def __next__(self) -> bytes:
        """Return the next piece."""
        try:
            return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the pieces that are left. Safe to repeat."""
        ended, self._ended = self._ended, None
        if ended is None:
            return
        try:
            close(self._pieces)
        finally:
            self._pieces = iter(())
            ended()

    def __del__(self) -> None:
        """Close also what nobody has closed, such as a stream that somebody's hook has replaced."""
        self.close()
