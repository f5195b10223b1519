"""One page of a listing: keys and common prefixes in the order of their bytes. Opens nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from byoc.local.s3.records import StoredObject

Walk = Callable[[bytes], Iterator[StoredObject]]  # the objects whose keys come behind these bytes


@dataclass(frozen=True)
class Page:
    """What a listing shows at once.

    Attributes:
        prefixes: what lies behind the first delimiter, rolled up; each counts as one entry.
        last: the key or common prefix that the next page comes behind; "" where there is none.
    """

    objects: tuple[StoredObject, ...]
    prefixes: tuple[str, ...]
    last: str

    @property
    def truncated(self) -> bool:
        """Whether there is more."""
        return bool(self.last)


def page_of(walk: Walk, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Return the next `limit` entries behind `after`, which is a key or a common prefix.

    What is rolled up into a common prefix is jumped over, not read.
    """
    objects: list[StoredObject] = []
    prefixes: list[str] = []
    last = ""
    position: bytes | None = after.encode("utf-8", "surrogateescape")
    if common_prefix(after, prefix, delimiter) == after != "":
        position = behind(after)
    while position is not None and limit > 0:
        start, position = position, None
        for found in walk(start):
            if len(objects) + len(prefixes) == limit:
                return Page(tuple(objects), tuple(prefixes), last)
            rolled_up = common_prefix(found.key, prefix, delimiter)
            last = rolled_up or found.key
            if rolled_up:
                prefixes.append(rolled_up)
                position = behind(rolled_up)
                break
            objects.append(found)
    return Page(tuple(objects), tuple(prefixes), "")


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """Return what a key is rolled up into; "" where it is listed itself."""
    if not delimiter or not key.startswith(prefix):
        return ""
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else ""


def behind(prefix: str) -> bytes:
    """Return what sorts behind all keys with a prefix; 0xFF occurs in no UTF-8."""
    return prefix.encode("utf-8", "surrogateescape") + b"\xff"
