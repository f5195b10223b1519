"""Finds, without unpickling anything, files that hold pickles, and classes pickled from `__main__`.

A class is pickled as a reference: the name of its module and its own. One of `__main__` means the script
that trained; in the container `__main__` is another program, and loading fails there.
"""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from byoc_serving.errors import ModelVersionError
from byoc_serving.versions.opcodes import OpenStream, Stream, main_references
from byoc_serving.versions.parts import CHUNK_BYTES

_MAIN = b"__main__"
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".p")
_NOT_AS_IT_SAYS = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
)


def refuse_main_pickles(path: Path, shown: str) -> None:
    """Refuse a file that holds an object pickled from `__main__`, with bounded memory.

    Looks into pickles of every protocol, joblib's files, the usual compressions, zip archives (torch) and
    .npy arrays of objects. A class that cloudpickle stored by value is no reference and passes.

    Raises:
        ModelVersionError: names the class, the file (`shown`) and the remedy.
    """
    for open_stream in _streams(path):
        name = _main_reference(open_stream)
        if name is not None:
            raise ModelVersionError(
                f"Pickled from __main__: {shown} refers to {name!r} of the script that ran, which no other "
                f"program can load. Move the class or function {name.partition('.')[0]} into a module in "
                "apps/, import it from there in main.py, and train again."
            )


def holds_pickle(path: Path) -> bool:
    """Return whether a file looks like a pickle, or an archive of them, by its first bytes and its name."""
    if path.name.lower().endswith(_PICKLE_SUFFIXES):
        return True
    return any(_starts_as_pickle(open_stream) for open_stream in _streams(path))


def _starts_as_pickle(open_stream: OpenStream) -> bool:
    try:
        with open_stream() as stream:
            head = stream.read(2)
    except _NOT_AS_IT_SAYS:
        return False
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _main_reference(open_stream: OpenStream) -> str | None:
    try:
        with open_stream() as stream:
            if not _mentions_main(stream):
                return None
        return next(iter(main_references(open_stream)), None)
    except _NOT_AS_IT_SAYS:
        return None


def _mentions_main(stream: Stream) -> bool:
    tail = b""
    while chunk := stream.read(CHUNK_BYTES):
        if _MAIN in tail + chunk:
            return True
        tail = chunk[-len(_MAIN) :]
    return False


def _streams(path: Path) -> Iterator[OpenStream]:
    """Yield ways to open each stream of bytes that a file holds: itself, or what is packed in it."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK\x03\x04"):
        yield from _zip_members(path)
    elif unpack := _unpacker(head):
        yield lambda: unpack(path)
    elif head.startswith(b"\x93NUMPY"):
        yield lambda: _after_npy_header(path)
    else:
        yield lambda: path.open("rb")


def _unpacker(head: bytes) -> Callable[[Path], AbstractContextManager[Stream]] | None:
    if head.startswith(b"\x1f\x8b"):
        return gzip.open
    if head.startswith(b"BZh"):
        return bz2.open
    if head.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return lzma.open
    if head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0:  # RFC 1950
        return _open_zlib
    return None


def _zip_members(path: Path) -> Iterator[OpenStream]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except _NOT_AS_IT_SAYS:
        return
    for name in names:
        yield lambda name=name: _open_member(path, name)  # type: ignore[misc]


@contextmanager
def _open_member(path: Path, name: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
        buffered = io.BufferedReader(stream)  # type: ignore[type-var]  # ZipExtFile is a BufferedIOBase
        if buffered.peek(6).startswith(b"\x93NUMPY"):
            _skip_npy_header(buffered)
        yield buffered


@contextmanager
def _after_npy_header(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        _skip_npy_header(file)
        yield file


def _skip_npy_header(file: IO[bytes]) -> None:
    """Pass over the header of an .npy file (numpy.lib.format): an array of objects is a pickle behind it."""
    major = file.read(8)[6:7]
    length_bytes = 2 if major == b"\x01" else 4
    file.read(min(int.from_bytes(file.read(length_bytes), "little"), CHUNK_BYTES))


@contextmanager
def _open_zlib(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file, io.BufferedReader(_ZlibReader(file), CHUNK_BYTES) as stream:
        yield stream


class _ZlibReader(io.RawIOBase):
    """Decompresses a bare zlib stream (joblib's default compression) a chunk at a time."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflater = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(CHUNK_BYTES)
            data = self._inflater.decompress(packed, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            if not packed:
                raise EOFError("the zlib stream ends too early")
        return 0
