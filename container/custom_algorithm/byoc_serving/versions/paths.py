"""Which relative paths a model version may hold: the same rule when it is described and when it is read."""

from collections.abc import Iterable
from pathlib import PurePosixPath

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
    seen: set[str] = set()
    for path in paths:
        check_path(path)
        if path in seen:
            raise ModelVersionError(f"Path {path!r} repeats. Every file has one place in a model version.")
        seen.add(path)
    for path in seen:
        for parent in PurePosixPath(path).parents:
            if str(parent) in seen:
                raise ModelVersionError(
                    f"Path {str(parent)!r} is both a file and a folder of {path!r}. Rename one."
                )


def check_path(path: str) -> None:
    """Refuse one path, as check_paths does."""
    if reason := _fault(path):
        raise ModelVersionError(
            f"Path {path[:300]!r} {reason}. Rename it: a model version holds plain relative paths."
        )


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
