"""Which relative paths a model version may hold: the same rule when it is described and when it is read."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from byoc_serving.errors import ModelVersionError

MANIFEST_NAME = "manifest.json"
STAGING_PREFIX = ".byoc-staging-"

_LONGEST_NAME_BYTES = 255
_LONGEST_PATH_BYTES = 900  # an S3 key ends at 1,024 bytes, the prefix included


def check_paths(paths: Iterable[str]) -> None:
    """Refuse paths that could leave the model directory, hide one another or be our own.

    Raises:
        ModelVersionError: a path is unusable, repeats, or is both a file and a folder; it is named.
    """
    taken = TakenPaths()
    for path in paths:
        check_path(path)
        taken.add_file(path)


def check_path(path: str) -> None:
    """Refuse one path, as check_paths does."""
    if reason := _fault(path):
        raise ModelVersionError(
            f"Path {path[:300]!r} {reason}. Rename it: a model version holds plain relative paths."
        )


def linked_part(folder: Path, path: str) -> Path | None:
    """Return the first part of a path below a folder that is a link, None if none is (OSError as lstat)."""
    for name in path.split("/"):
        folder = folder / name
        if folder.is_symlink():
            return folder
    return None


class TakenPaths:
    """The files and folders met so far; refuses a path that is already taken by the other kind, or twice."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add_file(self, path: str) -> None:
        """Take a path for a file, and its parents for folders (ModelVersionError if one is taken)."""
        if path in self._files:
            raise ModelVersionError(f"Path {path!r} repeats. Every file has one place in a model version.")
        self._refuse(path if path in self._folders else None)
        self._add_parents(path)
        self._files.add(path)

    def add_folder(self, path: str) -> None:
        """Take a path for a folder, as add_file does; it may be met again."""
        self._refuse(path if path in self._files else None)
        self._add_parents(path)
        self._folders.add(path)

    def _add_parents(self, path: str) -> None:
        parents = {str(parent) for parent in PurePosixPath(path).parents}
        self._refuse(next(iter(parents & self._files), None))
        self._folders |= parents

    def _refuse(self, clash: str | None) -> None:
        if clash is not None:
            raise ModelVersionError(f"Path {clash!r} is both a file and a folder. Rename one.")


def _fault(path: str) -> str | None:
    names = path.split("/")
    faults = {
        "has a backslash, a NUL or another character that does not travel": not path.isprintable()
        or "\\" in path,
        "is absolute": path.startswith("/"),
        "is a folder key, as the S3 console makes them, not a file": path.endswith("/"),
        "has an empty, '.' or '..' part": not {"", ".", ".."}.isdisjoint(names),
        f"is longer than {_LONGEST_PATH_BYTES} bytes": _size(path) > _LONGEST_PATH_BYTES,
        f"has a part of over {_LONGEST_NAME_BYTES} bytes": any(_size(n) > _LONGEST_NAME_BYTES for n in names),
        "is reserved for the model version itself": path == MANIFEST_NAME
        or names[0].startswith(STAGING_PREFIX),
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
