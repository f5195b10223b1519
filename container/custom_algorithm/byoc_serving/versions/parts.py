"""A file part by part: the digests that a manifest keeps of it, and one part as botocore wants to read it."""

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from byoc_serving.errors import ModelVersionError
from byoc_serving.stopping import Check, carry_on

CHUNK_BYTES = 1024 * 1024  # what is read, hashed or sent at a time
PART_BYTES = 32 * CHUNK_BYTES
_MOST_PARTS = 10_000  # of an S3 multipart upload


@dataclass(frozen=True)
class FileDigest:
    """What a file holds: bytes, SHA-256 of all of them and of each part of part_size bytes."""

    size: int
    sha256: str
    part_size: int
    parts: tuple[str, ...]


def part_size_for(size: int, part_size: int = PART_BYTES) -> int:
    """Return part_size, doubled until `size` bytes make no more parts than S3 allows."""
    while size > part_size * _MOST_PARTS:
        part_size *= 2
    return part_size


def digest_file(path: Path, part_size: int = PART_BYTES, check: Check = carry_on) -> FileDigest:
    """Read a file once and return its digest (OSError as open and read raise it)."""
    part_size = part_size_for(path.stat().st_size, part_size)
    whole, size = hashlib.sha256(), 0
    parts: list[str] = []
    with path.open("rb", buffering=0) as file:
        while True:
            part = hashlib.sha256()
            before = size
            for chunk in chunks(file, part_size):
                check()
                part.update(chunk)
                whole.update(chunk)
                size += len(chunk)
            if size == before:
                return FileDigest(size, whole.hexdigest(), part_size, tuple(parts))
            parts.append(part.hexdigest())


def digest_part(path: Path, start: int, length: int, check: Check = carry_on) -> str:
    """Return the SHA-256 of `length` bytes of a file from `start` on (fewer if it ends before)."""
    part = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        for chunk in chunks(file, length):
            check()
            part.update(chunk)
    return part.hexdigest()


def chunks(file: io.FileIO, length: int) -> Iterator[bytes]:
    """Yield the next `length` bytes of a file, CHUNK_BYTES at a time; fewer if it ends before."""
    while length > 0 and (chunk := file.read(min(CHUNK_BYTES, length))):
        length -= len(chunk)
        yield chunk


class FilePart:
    """A readable, seekable view of `length` bytes of a file; hashes what is read since the last seek to 0."""

    def __init__(self, path: Path, start: int, length: int, alive: Check, *, file_size: int) -> None:
        self._path = path
        self._start = start
        self._length = length
        self._file_size = file_size
        self._alive = alive
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise self.changed() from error
        self._position = 0
        self.seek(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        return self._length

    def tell(self) -> int:
        """Return how many bytes lie behind."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset within the part."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = origin + offset
        self._file.seek(self._start + self._position)
        if self._position == 0:
            self._digest = hashlib.sha256()
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes; raise ModelVersionError if the file has become shorter."""
        self._alive()
        left = self._length - self._position
        wanted = left if size is None or size < 0 else min(size, left)
        chunk = self._file.read(wanted)
        if len(chunk) < wanted:
            raise self.changed()
        self._digest.update(chunk)
        self._position += len(chunk)
        return chunk

    def verify(self, sha256: str) -> None:
        """Raise ModelVersionError unless the file has its size and the part, read to its end, this digest."""
        if self._position < self._length:
            self.seek(0)
            while self.read(CHUNK_BYTES):
                pass
        size = os.fstat(self._file.fileno()).st_size
        if self._digest.hexdigest() != sha256 or size != self._file_size:
            raise self.changed()

    def changed(self) -> ModelVersionError:
        """Return the error of a file that is no longer what was described."""
        return ModelVersionError(
            f"File changed: {self._path} is no longer what its manifest describes. "
            "Let nothing write to the folder, describe it anew and upload it again."
        )
