"""The buckets and objects of the local S3: files in a folder, found by name and in order of their keys."""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from byoc.local.s3.blobs import Blobs, Digest, read_pieces
from byoc.local.s3.catalogue import (
    OBJECT_COLUMNS,
    Catalogue,
    key_bytes,
    object_from,
    packed,
    put,
)
from byoc.local.s3.errors import bucket_not_empty, no_such_bucket, no_such_key
from byoc.local.s3.records import BINARY, Bucket, Description, StoredObject
from byoc.local.s3.uploads import Uploads

Condition = Callable[[StoredObject | None], None]

_FIRST_ROWS, _MOST_ROWS = 16, 1000  # fetched at a time while walking
_ATTEMPTS = 10
_FIND = f"SELECT {OBJECT_COLUMNS}, parts FROM objects WHERE bucket = ? AND key = ?"  # noqa: S608 - constants


def behind(prefix: bytes) -> bytes:
    """Return what sorts behind every key that starts with `prefix` and before all others behind those.

    0xFF occurs in no UTF-8, and in other keys nobody has a run of them.
    """
    return prefix + b"\xff" * 8


def always(_before: StoredObject | None) -> None:
    """Allow every write."""


class ObjectStore:
    """An S3 in a folder. Thread-safe; one process at a time; what it keeps survives a kill.

    Args:
        root: made where missing, 0700; everything in it is 0600.
        clock: epoch seconds.

    Raises:
        BlockingIOError: another process uses the folder.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._catalogue = Catalogue(root)
        self.blobs = Blobs(root / "blobs")
        self.uploads = Uploads(self._catalogue, self.blobs, clock)
        self.uploads.forget_old()
        self.blobs.sweep(self._files_in_use())

    def close(self) -> None:
        """Leave the folder to another process. Safe to repeat."""
        self._catalogue.close()

    def create_bucket(self, name: str, location: str = "") -> bool:
        """Make a bucket; return whether it is new. Safe to repeat."""
        with self._catalogue.change() as change:
            row = (name, self._clock(), location)
            return change.execute("INSERT OR IGNORE INTO buckets VALUES (?, ?, ?)", row) > 0

    def delete_bucket(self, name: str) -> None:
        """Remove an empty bucket with its settings and uploads under way (NoSuchBucket, BucketNotEmpty)."""
        with self._catalogue.change() as change:
            self.bucket(name)
            if self._catalogue.row("SELECT 1 FROM objects WHERE bucket = ?", (name,)):
                raise bucket_not_empty(name)
            change.execute("DELETE FROM settings WHERE bucket = ?", (name,))
            change.execute("DELETE FROM buckets WHERE name = ?", (name,))
        self.uploads.forget_bucket(name)

    def has_bucket(self, name: str) -> bool:
        """Whether there is such a bucket."""
        return self._catalogue.row("SELECT 1 FROM buckets WHERE name = ?", (name,)) is not None

    def bucket(self, name: str) -> Bucket:
        """Return a bucket (NoSuchBucket)."""
        if row := self._catalogue.row("SELECT * FROM buckets WHERE name = ?", (name,)):
            return Bucket(*row)
        raise no_such_bucket(name)

    def buckets(self) -> list[Bucket]:
        """Return all buckets by name."""
        return [Bucket(*row) for row in self._catalogue.rows("SELECT * FROM buckets ORDER BY name")]

    def setting(self, bucket: str, name: str) -> str | None:
        """Return a document kept for a bucket, such as its policy (NoSuchBucket)."""
        self.bucket(bucket)
        query = "SELECT document FROM settings WHERE bucket = ? AND name = ?"
        row = self._catalogue.row(query, (bucket, name))
        return row[0] if row else None

    def keep_setting(self, bucket: str, name: str, document: str | None) -> None:
        """Keep a document for a bucket; None removes it (NoSuchBucket)."""
        with self._catalogue.change() as change:
            self.bucket(bucket)
            change.execute("DELETE FROM settings WHERE bucket = ? AND name = ?", (bucket, name))
            if document is not None:
                change.execute("INSERT INTO settings VALUES (?, ?, ?)", (bucket, name, document))

    def find(self, bucket: str, key: str) -> StoredObject | None:
        """Return an object, or None (NoSuchBucket)."""
        row = self._catalogue.row(_FIND, (bucket, key_bytes(key)))
        if row is None:
            self.bucket(bucket)
            return None
        return object_from(row, self.blobs.folder)

    def head(self, bucket: str, key: str) -> StoredObject:
        """Return an object (NoSuchBucket, NoSuchKey)."""
        if found := self.find(bucket, key):
            return found
        raise no_such_key(key)

    def open(self, bucket: str, key: str) -> tuple[StoredObject, IO[bytes]]:
        """Return an object with its bytes, which stay what they are when it is replaced; close them.

        Raises:
            AwsError: NoSuchBucket, NoSuchKey.
        """
        for _ in range(_ATTEMPTS):
            stored = self.head(bucket, key)
            with suppress(FileNotFoundError):  # it was replaced between the two
                return stored, stored.path.open("rb")
        raise no_such_key(key)

    def walk(self, bucket: str, prefix: str = "", after: bytes = b"") -> Iterator[StoredObject]:
        """Yield the objects under a prefix in the order of their keys' bytes, from behind `after` on.

        What is written meanwhile may or may not be seen, as on AWS (NoSuchBucket).
        """
        self.bucket(bucket)
        first = key_bytes(prefix)
        rows = _FIRST_ROWS
        query = (
            f"SELECT {OBJECT_COLUMNS} FROM objects "  # noqa: S608 - nothing but a constant
            "WHERE bucket = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
        )
        while True:
            found = self._catalogue.rows(query, (bucket, after, first, behind(first), rows))
            for row in found:
                yield object_from(row, self.blobs.folder)
            if len(found) < rows:
                return
            after, rows = found[-1][1], min(rows * 4, _MOST_ROWS)

    def keep(self, new: StoredObject, condition: Condition = always) -> StoredObject:
        """Put an object in the place of what may be there, at once and as a whole.

        Args:
            new: its file lies in `blobs` already and is the store's from now on; the time is set here.
            condition: told what is there; raises to refuse the write, and then the file stays the caller's.

        Raises:
            AwsError: NoSuchBucket.
        """
        new = replace(new, modified=self._clock())
        with self._catalogue.change() as change:
            before = self.find(new.bucket, new.key)
            condition(before)
            put(change, new)
            if before:
                change.forget(before.path)
        return new

    def put_file(
        self, bucket: str, key: str, file: Path, content_type: str | None = None, *, move: bool = False
    ) -> StoredObject:
        """Make a file an object: a copy of it, or with `move` the file itself, which is gone then.

        Raises:
            AwsError: NoSuchBucket.
            OSError: the file cannot be read, or the disk is full.
        """
        self.bucket(bucket)
        md5 = hashlib.md5(usedforsecurity=False)
        if move:
            path, size = self._moved_in(file, md5)
        else:
            with self.blobs.drafting({"MD5": md5}) as draft:
                for piece in read_pieces(file, 0, file.stat().st_size):
                    draft.write(piece)
            path, size = draft.path, draft.size
        described = Description(content_type or BINARY)
        try:
            return self.keep(StoredObject(bucket, key, size, md5.hexdigest(), 0.0, path, described))
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def describe(self, bucket: str, key: str, change: Callable[[Description], Description]) -> None:
        """Change what is said of an object, such as its tags (NoSuchBucket, NoSuchKey)."""
        with self._catalogue.change() as connection:
            described = packed(asdict(change(self.head(bucket, key).description)))
            row = (described, bucket, key_bytes(key))
            connection.execute("UPDATE objects SET description = ? WHERE bucket = ? AND key = ?", row)

    def remove(self, bucket: str, key: str, condition: Condition = always) -> None:
        """Remove an object where it is there (NoSuchBucket, and what the condition raises)."""
        with self._catalogue.change() as change:
            before = self.find(bucket, key)
            condition(before)
            change.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key_bytes(key)))
            if before:
                change.forget(before.path)

    def _moved_in(self, file: Path, md5: Digest) -> tuple[Path, int]:
        path, size = self.blobs.new(), 0
        shutil.move(file, path)
        path.chmod(0o600)
        for piece in read_pieces(path, 0, path.stat().st_size):
            md5.update(piece)
            size += len(piece)
        return path, size

    def _files_in_use(self) -> set[str]:
        query = "SELECT blob FROM objects UNION SELECT blob FROM uploads UNION SELECT blob FROM parts"
        return {row[0] for row in self._catalogue.rows(query)}
