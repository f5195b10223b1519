"""Files of bytes: written piece by piece, hashed on the way, complete or gone."""

import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

PIECE_BYTES = 1024 * 1024  # what is in memory at a time


class Digest(Protocol):
    """A hash, as hashlib has them."""

    def update(self, data: bytes, /) -> None:
        """Take in more."""

    def digest(self) -> bytes:
        """Return the hash of all that was taken in."""


def read_pieces(path: Path, start: int, size: int) -> Iterator[bytes]:
    """Yield `size` bytes of a file from `start` on, PIECE_BYTES at a time; fewer where it is shorter."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while size > 0 and (piece := file.read(min(PIECE_BYTES, size))):
            size -= len(piece)
            yield piece


class Draft:
    """Bytes on their way to become an object or a part. Thread-safe.

    Args:
        path: the file; made unless it is shared.
        digests: fed with every byte.
        offset: where in the file the first byte goes.
        shared: others write to the same file, elsewhere in it; discarding leaves it alone.
    """

    def __init__(
        self, path: Path, digests: Mapping[str, Digest], *, offset: int = 0, shared: bool = False
    ) -> None:
        self.path = path
        self.digests = digests
        self.offset = offset
        self.shared = shared
        self.size = 0
        make = 0 if shared else os.O_CREAT | os.O_EXCL
        self._file = os.open(path, os.O_WRONLY | make, 0o600)
        # Whoever gives up while another thread writes must not close the file under it.
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Add bytes (OSError where the disk is full)."""
        with self._lock:
            for digest in self.digests.values():
                digest.update(data)
            rest = memoryview(data)
            while rest:
                written = os.pwrite(self._file, rest, self.offset + self.size)
                self.size += written
                rest = rest[written:]

    def close(self) -> None:
        """Take no more bytes. Safe to repeat."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def discard(self) -> None:
        """Close it and remove the file, if it is this draft's own. Safe to repeat."""
        self.close()
        if not self.shared:
            self.path.unlink(missing_ok=True)


class Blobs:
    """A folder of such files, 0600, each with a name that says nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder

    def new(self) -> Path:
        """Return the path of a file that does not exist yet."""
        return self.folder / uuid.uuid4().hex

    def empty(self) -> Path:
        """Return the path of a new empty file."""
        path = self.new()
        path.touch(mode=0o600, exist_ok=False)
        return path

    def draft(self, digests: Mapping[str, Digest]) -> Draft:
        """Return a draft with a file of its own."""
        return Draft(self.new(), digests)

    @contextmanager
    def drafting(self, digests: Mapping[str, Digest]) -> Iterator[Draft]:
        """Give a draft, which is gone where the block raises and closed where it does not."""
        draft = self.draft(digests)
        try:
            yield draft
            draft.close()
        except BaseException:
            draft.discard()
            raise

    def link(self, path: Path) -> Path:
        """Return a new name for a file that nobody changes (a copy where the disk has no hard links)."""
        copy = self.new()
        try:
            copy.hardlink_to(path)
        except FileNotFoundError:
            raise
        except OSError:
            with self.drafting({}) as draft:
                for piece in read_pieces(path, 0, path.stat().st_size):
                    draft.write(piece)
            return draft.path
        return copy

    def sweep(self, kept: set[str]) -> None:
        """Remove every file but these names: what a killed server left half-written."""
        for entry in os.scandir(self.folder):
            if entry.name not in kept:
                Path(entry.path).unlink(missing_ok=True)
