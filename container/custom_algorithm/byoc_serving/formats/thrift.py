"""Structs of Thrift's compact protocol, in which Parquet keeps its footer and the headers of its pages."""

from typing import Any

_BOOLEANS = (1, 2)  # true and false
_BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_LENGTHS = {_BYTE: 1, _DOUBLE: 8}

_MOST_DEPTH = 16
_MOST_VALUES = 1_000_000


class BrokenStructError(ValueError):
    """The bytes are no struct, or break off."""


class CompactReader:
    """Reads structs from `place` on, which it moves, to `end`.

    Args:
        body: the bytes.
        place: where the first struct begins.
        end: where the last one must have ended.
    """

    def __init__(self, body: bytes, place: int, end: int) -> None:
        if not 0 <= place <= end <= len(body):
            raise BrokenStructError
        self.place = place
        self.end = end
        self._body = body
        self._left = _MOST_VALUES

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a struct by their numbers: integers, structs, lists of these; else None.

        Raises:
            BrokenStructError: there is none, or far too much in it.
        """
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 0xF
            number = number + step if step else self._integer()
            fields[number] = None if kind in _BOOLEANS else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401
        self._left -= 1
        if depth > _MOST_DEPTH or self._left < 0:
            raise BrokenStructError
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind not in (_BYTE, _DOUBLE, _BINARY):  # Parquet has no maps
            raise BrokenStructError
        length = _LENGTHS.get(kind) or self._varint()
        self.place += length
        return None

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._varint()
        kind = _BYTE if head & 0xF in _BOOLEANS else head & 0xF
        if size > self.end - self.place:
            raise BrokenStructError
        return [self._value(kind, depth + 1) for _ in range(size)]

    def _integer(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _varint(self) -> int:
        if (value := self._byte()) < 0x80:
            return value
        self.place -= 1
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise BrokenStructError

    def _byte(self) -> int:
        place = self.place
        if place >= self.end:
            raise BrokenStructError
        self.place = place + 1
        return self._body[place]
