"""Walks the opcodes of a pickle, building no object, for what it refers to in `__main__`.

A search for the bytes "__main__" alone would refuse every pickle that merely holds this word. The table of
opcodes is that of Python's pickletools; its own walk, pickletools.genops, will not do for three reasons:

- it reads every argument whole, and an array of 10 GB is one argument; this walk passes over what is long;
- it does not say what the two names of a STACK_GLOBAL (protocol 4, today's default) are: those were pushed,
  or remembered and fetched again, by opcodes before it;
- it ends at the first STOP, and torch's older files are several pickles with raw bytes between.
"""

import pickletools
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from byoc_serving.versions.parts import CHUNK_BYTES

_MAIN = "__main__"
_LONGEST_NAME = 1024
_MOST_NAMES_REMEMBERED = 100_000

_OPCODES = {ord(op.code): op for op in pickletools.opcodes}
_STRINGS = {
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "UNICODE",
    "SHORT_BINSTRING",
    "BINSTRING",
    "STRING",
}
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# joblib writes an array's bytes into the stream right behind this object: no opcodes from there on.
_JOBLIB_ARRAY = ("joblib.numpy_pickle", "NumpyArrayWrapper")

_MODULE = rb"(?:\x8c\x08|X\x08\0\0\0|\x8d\x08\0{7})__main__"
_PUT = rb"(?:\x94|q.|r.{4})?"
_NAME = rb"(?:\x8c.|X.{4})([\w.<>]{1,200}?)"
_BY_OPCODE_C = rb"[ci]__main__\n([\w.<>]{1,200})\n"


class _NoPickleError(Exception):
    """The bytes are no opcodes, or end before STOP."""


class Stream(Protocol):
    """What a walk needs of an open file or decompressor."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""

    def readline(self, size: int, /) -> bytes:
        """Return bytes up to a line feed, at most `size`."""


OpenStream = Callable[[], AbstractContextManager[Stream]]


def main_references(open_stream: OpenStream) -> list[str]:
    """Return the names of what a file of pickles refers to in `__main__`; of no pickle, nothing.

    Where raw bytes lie between the opcodes (joblib's arrays, torch's older files) the rest is searched
    for the byte patterns of such references.
    """
    found: list[str] = []
    with open_stream() as stream:
        walk = _Walk(stream)
        try:
            for module, name in walk.references():
                if (module, name) == _JOBLIB_ARRAY:
                    return [*found, *_matches(stream, walk.main_puts)]
                if module == _MAIN:
                    found.append(name)
        except _NoPickleError:
            if not walk.met_header:
                return found if walk.met_stop else []
        else:
            return found
    with open_stream() as stream:
        return found or list(_matches(stream, set()))


class _Walk:
    """Where the walk stands, and which strings the pickle has put aside to use again."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.met_header = False
        self.met_stop = False
        self.main_puts: set[int] = set()
        self._memo: dict[int, str] = {}
        self._puts = 0

    def references(self) -> Iterator[tuple[str, str]]:
        """Yield (module, name) of every global of every pickle, to the end of the stream."""
        top: deque[str | None] = deque([None, None], maxlen=2)  # what the last two pushes were, if strings
        inside = False
        while code := self._stream.read(1):
            op = _OPCODES.get(code[0])
            if op is None:
                raise _NoPickleError
            inside = op.name != "STOP"
            argument = self._argument(op)
            if op.name in {"GLOBAL", "INST"}:
                module, _, name = argument.partition(" ")
                yield module, name
                top.append(None)
            elif op.name == "STACK_GLOBAL":
                yield top[0] or "", top[1] or "(a name the pickle computes)"
                top.append(None)
            else:
                self._move(op.name, argument, top)
        if inside:
            raise _NoPickleError

    def _move(self, name: str, argument: str, top: "deque[str | None]") -> None:
        if name in _STRINGS:
            top.append(argument)
        elif name == "MEMOIZE":
            self._remember(self._puts, top[-1])
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            self._remember(int(argument), top[-1])
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            top.append(self._memo.get(int(argument)))
        elif name == "PROTO":
            self.met_header = True
        elif name == "STOP":
            self.met_stop = True
            self.main_puts.clear()
            self._memo.clear()
            self._puts = 0
        elif name != "FRAME":
            top.append(None)

    def _remember(self, index: int, text: str | None) -> None:
        self._puts += 1
        if text == _MAIN:
            self.main_puts.add(index)
        if text is not None and (text == _MAIN or len(self._memo) < _MOST_NAMES_REMEMBERED):
            self._memo[index] = text

    def _argument(self, op: pickletools.OpcodeInfo) -> str:
        """Read an opcode's argument: as text where it is a string or a number, else passed over."""
        if op.arg is None:
            return ""
        if op.arg.n == pickletools.UP_TO_NEWLINE:
            lines = [self._line() for _ in range(2 if op.name in {"GLOBAL", "INST"} else 1)]
            return " ".join(lines)
        if op.arg.n in _LENGTH_BYTES:
            return self._text(self._number(_LENGTH_BYTES[op.arg.n]))
        return str(self._number(op.arg.n))

    def _line(self) -> str:
        line = self._stream.readline(CHUNK_BYTES)
        while not line.endswith(b"\n"):
            more = self._stream.readline(CHUNK_BYTES)
            if not more:
                raise _NoPickleError
            line = line[:_LONGEST_NAME] + more[-1:]
        return line[:_LONGEST_NAME].decode("utf-8", "replace").strip("\n'\"")

    def _number(self, size: int) -> int:
        content = self._stream.read(size)
        if len(content) < size:
            raise _NoPickleError
        return int.from_bytes(content, "little")

    def _text(self, length: int) -> str:
        kept = self._stream.read(min(length, _LONGEST_NAME))
        left = length - len(kept)
        while left and (passed := self._stream.read(min(left, CHUNK_BYTES))):
            left -= len(passed)
        if left:
            raise _NoPickleError
        return kept.decode("utf-8", "replace")


def _matches(stream: Stream, main_puts: set[int]) -> Iterator[str]:
    """Yield the names in `__main__` that the rest of a stream refers to, by the bytes of such a reference."""
    gets = [re.escape(b"h" + bytes([put])) for put in main_puts if put < 256]
    gets += [re.escape(b"j" + put.to_bytes(4, "little")) for put in main_puts]
    module = b"(?:" + b"|".join([_MODULE + _PUT, *gets]) + b")"
    pattern = re.compile(b"(?:" + _BY_OPCODE_C + b"|" + module + _NAME + _PUT + rb"\x93)", re.DOTALL)
    tail = b""
    while chunk := stream.read(CHUNK_BYTES):
        window = tail + chunk
        for found in pattern.finditer(window):
            yield (found[1] or found[2]).decode("utf-8", "replace")
        tail = window[-_LONGEST_NAME:]
