"""SHA-256 of a file, whole and part by part, read in 1 MiB chunks."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from byoc_serving.stopping import Check, carry_on

CHUNK_BYTES = 1024 * 1024
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
            for chunk in _chunks(file, part_size):
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
        for chunk in _chunks(file, length):
            check()
            part.update(chunk)
    return part.hexdigest()


def _chunks(file: FileIO, length: int) -> Iterator[bytes]:
    while length > 0 and (chunk := file.read(min(CHUNK_BYTES, length))):
        length -= len(chunk)
        yield chunk
