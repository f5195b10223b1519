"""The digest of a program's folder: another one after each edit that an image would contain."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

# What no image contains, whether or not a .dockerignore says so: what runs and tools leave behind.
_NEVER = re.compile(r"(.*/)?(__pycache__|[^/]*\.py[co]|\.git|\.temps|\.venv|\.[^/]*_cache)")
_NOTHING = r"(?!)"
_PIECE = 1024 * 1024
_State = tuple[int, int, int]
Ignored = Callable[[str], bool]


class FolderDigests:
    """Digests of folders; a file is read again only if its times or its size have changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_State, str]] = {}

    def of(self, folder: Path) -> str:
        """Return sha256:HEX of the names, modes and bytes of all files, and of a Dockerfile one above."""
        total = hashlib.sha256()
        above = folder.parent / "Dockerfile"
        alone = (folder / "Dockerfile").is_file() or not above.is_file()
        for path, name in [*_files_in(folder), *([] if alone else [(above, "../Dockerfile")])]:
            try:
                total.update(f"{name}\0{self._told(path)}\0".encode(errors="surrogateescape"))
            except FileNotFoundError:  # removed while we looked
                continue
            except PermissionError:
                total.update(f"{name}\0unreadable\0".encode(errors="surrogateescape"))
        return f"sha256:{total.hexdigest()}"

    def _told(self, path: Path) -> str:
        """Return mode and content of a file; of a link only where it leads, as COPY has it."""
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return f"-> {path.readlink()}"
        if not stat.S_ISREG(found.st_mode):
            return f"{found.st_mode:o}"
        state = (found.st_mtime_ns, found.st_ctime_ns, found.st_size)
        known, content = self._known.get(str(path), (None, ""))
        if known != state:
            content = _content(path)
            self._known[str(path)] = (state, content)
        return f"{found.st_mode:o} {content}"


def _content(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _files_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what an image of a folder would contain, each file with its path in it, in one order."""
    ignored = _ignored_in(folder)
    for parent, folders, names in os.walk(folder):
        inside = Path(parent).relative_to(folder)
        folders[:] = sorted(name for name in folders if not ignored((inside / name).as_posix()))
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted([*names, *links]):
            told = (inside / name).as_posix()
            if not ignored(told):
                yield Path(parent, name), told


def _ignored_in(folder: Path) -> Ignored:
    """Return what tells whether a path is left out, by the .dockerignore of the folder's build as well.

    Source: Docker, "Build context", .dockerignore files. One with exceptions (!) is not followed: what is
    left out by mistake would be an edit that nobody sees.
    """
    context = next((at for at in (folder, folder.parent) if (at / "Dockerfile").is_file()), folder)
    prefix = "" if context == folder else f"{folder.name}/"
    try:
        lines = [line.strip() for line in (context / ".dockerignore").read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        lines = []
    if any(line.startswith("!") for line in lines):
        lines = []
    patterns = [_pattern(line) for line in lines if line and not line.startswith("#")]
    any_of_them = re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or _NOTHING)

    def ignored(path: str) -> bool:
        return bool(_NEVER.fullmatch(path) or any_of_them.fullmatch(prefix + path))

    return ignored


def _pattern(line: str) -> str:
    """Return a line of a .dockerignore as an expression on paths; a bad one matches nothing."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", os.path.normpath(line).lstrip("/"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(wild.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts)
    try:
        re.compile(text)
    except re.error:
        return _NOTHING
    return text
