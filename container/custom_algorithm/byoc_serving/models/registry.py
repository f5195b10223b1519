"""Which models are loaded as SageMaker sees it: a file each, so that all workers know the same."""

import base64
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from byoc_serving.errors import BadRequestError

# As many as AWS's multi-model server lists at once (awslabs/multi-model-server, ManagementRequestHandler).
MOST_LISTED = 100

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """A model: its name, which may be any text, where SageMaker put its files, and its stamp.

    A name that is loaded again, from other files perhaps, has another stamp.
    """

    name: str
    url: str
    stamp: Stamp

    @property
    def document(self) -> dict[str, str]:
        """As SageMaker wants it told."""
        return {"modelName": self.name, "modelUrl": self.url}


class Registry:
    """The models of one container, in a folder that its workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Keep all other threads and workers from locking the same name; the lock ends with its process."""
        with self._path(name, "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:  # closing does not suffice: a process forked in between, by model_fn, has it open too
                fcntl.flock(file, fcntl.LOCK_UN)

    @contextmanager
    def adding(self, name: str, url: str) -> Iterator[Entry]:
        """Give the entry that a name is to have, and put it down unless the block fails."""
        handle, path = tempfile.mkstemp(dir=self._folder, suffix=".new")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump([name, url], file)
            yield Entry(name, url, _stamp(os.stat(path)))  # noqa: PTH116 - as in stamp()
            os.rename(path, self._path(name, "json"))  # noqa: PTH104 - which keeps what the stamp is made of
        finally:
            Path(path).unlink(missing_ok=True)

    def remove(self, name: str) -> bool:
        """Forget a name; return whether it was there."""
        try:
            self._path(name, "json").unlink()
        except FileNotFoundError:
            return False
        return True

    def find(self, name: str) -> Entry | None:
        """Return a name's entry, None where it is not loaded."""
        return _entry(self._path(name, "json"))

    def stamp(self, name: str) -> Stamp | None:
        """Return a name's stamp alone, None where it is not loaded: asked for before every call of it."""
        try:
            return _stamp(os.stat(self._path(name, "json")))  # noqa: PTH116 - half the time of Path.stat
        except FileNotFoundError:
            return None

    def entries(self) -> list[Entry]:
        """Return all, in the order of their names."""
        found = (_entry(path) for path in self._folder.glob("*.json"))
        return sorted((entry for entry in found if entry), key=lambda entry: entry.name)

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.{kind}"


def page_of(
    entries: Sequence[Entry], token: str | None, most: int = MOST_LISTED
) -> tuple[Sequence[Entry], str | None]:
    """Return those of a sorted list that one answer has, and the token for the next, None at the end.

    The token is the last name, so that models which come and go in between hide no other.

    Raises:
        BadRequestError: the token is none of ours.
    """
    after = None if token is None else _name_of(token)
    rest = [entry for entry in entries if after is None or entry.name > after]
    some = rest[:most]
    return some, _token_of(some[-1].name) if len(rest) > most else None


def _token_of(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name_of(token: str) -> str:
    try:
        return base64.b64decode(token, altchars="-_", validate=True).decode()
    except ValueError:
        raise BadRequestError(
            f"next_page_token is {token[:80]!r}. Give the nextPageToken of the answer before, as it was."
        ) from None


def _entry(path: Path) -> Entry | None:
    try:
        with path.open() as file:
            name, url = json.load(file)
            return Entry(name, url, _stamp(os.fstat(file.fileno())))
    except FileNotFoundError:
        return None


def _stamp(told: os.stat_result) -> Stamp:
    return told.st_ino, told.st_mtime_ns
