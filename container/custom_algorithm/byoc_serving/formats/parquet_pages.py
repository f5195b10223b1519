"""How many rows a Parquet body says that it has, and what its pages say that they become.

pyarrow adds up neither before it unpacks them, and aborts the process when it is asked for the columns of a
broken footer: so the footer and the pages' headers (parquet.thrift) are read here.
"""

from collections.abc import Container, Iterator
from typing import Any

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.thrift import BrokenStructError, CompactReader

_MAGIC = b"PAR1"

# FileMetaData: rows and row groups. RowGroup: columns and rows. ColumnChunk: its metadata, of which codec,
# length and the places of the first pages are looked at.
_FILE_ROWS, _GROUPS, _COLUMNS, _GROUP_ROWS, _METADATA = 3, 4, 1, 3, 3
_CODEC, _LENGTH, _DATA_PLACE, _DICTIONARY_PLACE = 4, 7, 9, 11

# PageHeader: its length unpacked and as it lies there; the headers of data pages, each with its encoding.
_UNPACKED, _PACKED = 2, 3
_DATA_PAGES = {5: 2, 8: 4}
_DELTA_BYTE_ARRAY = 7

# Uncompressed and Snappy pages become at most some 21 times as long; others may a thousand times.
_TAME = (0, 1)


def _page_bytes(body: bytes, column: dict[int, Any], is_text: bool) -> int:
    """Return the length of all of a column's pages, unpacked."""
    start = column[_DATA_PLACE]
    if column.get(_DICTIONARY_PLACE):
        start = min(start, column[_DICTIONARY_PLACE])
    pages = CompactReader(body, start, min(start + column[_LENGTH], len(body)))
    total: int = 0
    while pages.place < pages.end:
        header = pages.struct()
        if is_text and _DELTA_BYTE_ARRAY in _encodings(header):
            raise BadRequestError("The Parquet has text as DELTA_BYTE_ARRAY. Write it with a dictionary.")
        if header[_UNPACKED] < 0 or header[_PACKED] < 0:
            raise BrokenStructError
        total += header[_UNPACKED]
        pages.place += header[_PACKED]
    return total


def _encodings(header: dict[int, Any]) -> Iterator[object]:
    return (header[page].get(encoding) for page, encoding in _DATA_PAGES.items() if page in header)


def _broken() -> BadRequestError:
    return BadRequestError("The body is not Parquet: it is no whole file. Send all of it.")


class Footer:
    """The footer of a Parquet file.

    Args:
        body: the file.

    Raises:
        BadRequestError: it is none, or breaks off.
    """

    def __init__(self, body: bytes) -> None:
        end = len(body) - 8
        if end < 4 or not body.startswith(_MAGIC) or not body.endswith(_MAGIC):
            raise _broken()
        self._body = body
        try:
            length = int.from_bytes(body[end : end + 4], "little")
            self._fields = CompactReader(body, end - length, end).struct()
        except BrokenStructError:
            raise _broken() from None

    def rows(self) -> int:
        """Return how many rows it says that there are (BadRequestError: it does not)."""
        try:
            in_groups = sum(group[_GROUP_ROWS] for group in self._fields[_GROUPS])
            return max(int(self._fields[_FILE_ROWS]), int(in_groups))
        except (LookupError, TypeError):
            raise _broken() from None

    def unpacked_bytes(self, texts: Container[int]) -> int:
        """Return what the pages that may become far longer than they are say that they become.

        Args:
            texts: which columns, from 0, hold text.

        Raises:
            BadRequestError: a page has no header, or text in an encoding in which each may repeat all of the
                one before, so that nothing tells how long they are together.
        """
        try:
            return sum(
                _page_bytes(self._body, column[_METADATA], place in texts)
                for group in self._fields[_GROUPS]
                for place, column in enumerate(group[_COLUMNS])
                if place in texts or column[_METADATA][_CODEC] not in _TAME
            )
        except (BrokenStructError, LookupError, TypeError, AttributeError):
            raise _broken() from None
