"""What the local SageMaker remembers: documents by kind and name, and tags by ARN, in one SQLite file."""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

Document = dict[str, object]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, document TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key)
) WITHOUT ROWID;
"""


class Taken(Exception):  # noqa: N818 - what is the case, for the caller to judge
    """There is a document of this kind and name already."""


class Store:
    """Documents and tags, for any thread; each call is one transaction.

    Args:
        path: the file, made where missing; it and what SQLite keeps beside it are for this user alone.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)

    def insert(self, kind: str, name: str, document: Mapping[str, object]) -> None:
        """Add a document; raise Taken where the name is in use."""
        with self._transaction() as database:
            try:
                database.execute("INSERT INTO documents VALUES (?, ?, ?)", (kind, name, json.dumps(document)))
            except sqlite3.IntegrityError:
                raise Taken(f"{kind} {name}") from None

    def get(self, kind: str, name: str) -> Document | None:
        """Return the document, None where there is none."""
        with self._transaction() as database:
            return _read(database, kind, name)

    def update(self, kind: str, name: str, change: Callable[[Document], Document]) -> Document:
        """Replace a document by what `change` makes of it, and return that; KeyError where it is missing.

        Nobody else reads or writes in between; what `change` raises leaves the document as it was.
        """
        with self._transaction() as database:
            document = _read(database, kind, name)
            if document is None:
                raise KeyError(name)
            changed = change(document)
            database.execute(
                "UPDATE documents SET document = ? WHERE kind = ? AND name = ?",
                (json.dumps(changed), kind, name),
            )
            return changed

    def delete(self, kind: str, name: str) -> bool:
        """Remove a document; say whether it was there."""
        with self._transaction() as database:
            gone = database.execute("DELETE FROM documents WHERE kind = ? AND name = ?", (kind, name))
            return gone.rowcount > 0

    def all(self, kind: str) -> list[Document]:
        """Return every document of a kind, by name."""
        with self._transaction() as database:
            rows = database.execute("SELECT document FROM documents WHERE kind = ? ORDER BY name", (kind,))
            return [json.loads(document) for (document,) in rows]

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of an ARN, by key."""
        with self._transaction() as database:
            return dict(database.execute("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", (arn,)))

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags, in place of those with the same key."""
        with self._transaction() as database:
            rows = [(arn, key, value) for key, value in tags.items()]
            database.executemany("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", rows)

    def untag(self, arn: str, keys: Sequence[str]) -> None:
        """Remove tags; one that is not there is no error."""
        with self._transaction() as database:
            database.executemany("DELETE FROM tags WHERE arn = ? AND key = ?", [(arn, key) for key in keys])

    def forget_tags(self, arn: str) -> None:
        """Remove every tag of an ARN."""
        with self._transaction() as database:
            database.execute("DELETE FROM tags WHERE arn = ?", (arn,))

    def close(self) -> None:
        """Close the file; nothing may be asked afterwards."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _read(database: sqlite3.Connection, kind: str, name: str) -> Document | None:
    row = database.execute(
        "SELECT document FROM documents WHERE kind = ? AND name = ?", (kind, name)
    ).fetchone()
    return None if row is None else json.loads(row[0])
