"""The SQLite file that says which object is which file, changed in transactions."""

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from byoc.local.s3.records import Description, ObjectPart, StoredObject

# Keys are blobs: SQLite orders them by their bytes, as S3 orders its listings.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created REAL, location TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (
    bucket TEXT, name TEXT, document TEXT, PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, key BLOB, size INTEGER, etag TEXT, modified REAL, blob TEXT,
    description TEXT, checksums TEXT, checksum_type TEXT, parts TEXT, PRIMARY KEY (bucket, key)
);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT, key BLOB, started REAL, description TEXT,
    algorithm TEXT, checksum_type TEXT, blob TEXT, slot INTEGER
);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT, number INTEGER, size INTEGER, etag TEXT, modified REAL, checksums TEXT,
    blob TEXT, offset INTEGER, PRIMARY KEY (upload, number)
) WITHOUT ROWID;
"""
OBJECT_COLUMNS = "bucket, key, size, etag, modified, blob, description, checksums, checksum_type"

Row = tuple[Any, ...]


def key_bytes(key: str) -> bytes:
    """Return a key as it is kept: UTF-8, or the bytes that were no UTF-8."""
    return key.encode("utf-8", "surrogateescape")


def key_from(stored: bytes) -> str:
    """Return the key that was kept as these bytes."""
    return stored.decode("utf-8", "surrogateescape")


def packed(value: object) -> str:
    """Return a value as it is kept in one column."""
    return json.dumps(value, separators=(",", ":"))


def description_from(packed_description: str) -> Description:
    """Return the description that was kept as this text."""
    return Description(**json.loads(packed_description))


def object_from(row: Row, folder: Path) -> StoredObject:
    """Return the object of a row of OBJECT_COLUMNS, with its parts where that column follows."""
    bucket, key, size, etag, modified, blob, description, checksums, checksum_type, *parts = row
    return StoredObject(
        bucket=bucket,
        key=key_from(key),
        size=size,
        etag=etag,
        modified=modified,
        path=folder / blob,
        description=description_from(description),
        checksums=json.loads(checksums),
        checksum_type=checksum_type,
        parts=tuple(ObjectPart(*part) for part in json.loads(parts[0])) if parts else (),
    )


def put(change: "Change", stored: StoredObject) -> None:
    """Put an object's row in the place of what may be there."""
    row = (
        stored.bucket,
        key_bytes(stored.key),
        stored.size,
        stored.etag,
        stored.modified,
        stored.path.name,
        packed(asdict(stored.description)),
        packed(dict(stored.checksums)),
        stored.checksum_type,
        packed([(part.number, part.size, dict(part.checksums)) for part in stored.parts]),
    )
    change.execute("INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?,?,?,?,?,?)", row)


def _claim(root: Path) -> int:
    """Return an open file that says that this process owns the folder; the kernel frees it with us."""
    file = os.open(root / "in-use", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise BlockingIOError(
            error.errno,
            "another local SageMaker keeps its objects there; end it, or give another folder",
            str(root),
        ) from error
    return file


class Change:
    """A transaction under way."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.forgotten: list[Path] = []

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Change rows; return how many."""
        return self._connection.execute(statement, parameters).rowcount

    def forget(self, path: Path) -> None:
        """Remove a file once all of it is done, and only then."""
        self.forgotten.append(path)


class Catalogue:
    """One connection, for one thread at a time and one process at a time.

    It survives the kill of its process; a power cut may cost the last changes, but not the file.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._claim = _claim(root)
        path = root / "s3.sqlite"
        path.touch(mode=0o600)  # SQLite gives its journal the mode of this file
        self._lock = threading.RLock()
        self._changing: Change | None = None
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file and leave it to another process. Safe to repeat."""
        with self._lock:
            self._connection.close()
            if self._claim >= 0:
                os.close(self._claim)
                self._claim = -1

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return what a query finds."""
        with self._lock:
            return self._connection.execute(query, parameters).fetchall()

    def row(self, query: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row that a query finds."""
        with self._lock:
            found: Row | None = self._connection.execute(query, parameters).fetchone()
            return found

    @contextmanager
    def change(self) -> Iterator["Change"]:
        """Give a transaction, which is undone where the block raises; one within another is part of it."""
        with self._lock:
            if self._changing:
                yield self._changing
                return
            change = self._changing = Change(self._connection)
            try:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield change
            finally:
                self._changing = None
            for path in change.forgotten:
                with suppress(OSError):  # what is done is done; the next start sweeps
                    path.unlink()
