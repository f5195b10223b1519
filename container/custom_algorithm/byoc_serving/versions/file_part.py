"""One part of a file, as botocore wants to read it, and whether it is still what was described."""

import hashlib
import io
import os
from pathlib import Path
from types import TracebackType

from byoc_serving.errors import ModelVersionError
from byoc_serving.stopping import Check
from byoc_serving.versions.digests import CHUNK_BYTES


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

    def __enter__(self) -> "FilePart":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
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
