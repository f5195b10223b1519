"""The files of an image: all of them for Docker's, those that a folder brings for a folder."""

import os
import posixpath
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from byoc.check.ignored import ignored_by
from byoc.check.verdict import CannotTestError
from byoc.runtime.build import build_of, unreadable
from byoc.runtime.images import DockerImage, Folder, Image
from byoc.runtime.words import candidates

_HEAD = 4096  # bytes that are kept of a program
_WHOLE = 256 * 1024  # a file up to this size is kept whole, where people put files of their own
# What package managers install, and what the engine mounts: not what somebody wrote for this image.
_INSTALLED = re.compile(
    r"/(?:usr/(?:local/)?(?:lib|lib32|lib64|libexec|share|include|games|sbin)|usr/bin|lib|lib32|lib64|bin|sbin|proc|"
    r"sys|dev|run|boot|var/(?:lib|cache|log)|etc/(?:ssl|ssh|ca-certificates|pki)|opt/conda|opt/nvidia|nix)/.*"
    r"|.*/(?:site-packages|dist-packages|node_modules|lib/python3(?:\.\d+)?)/.*",
    re.DOTALL,
)
_PASSED_OVER = {".git", ".temps", ".venv", "__pycache__", "node_modules"}
_MOST_LINKS = 20
# A process of its own, as byoc may be killed: an export that nobody reads ends, and the container goes, with
# the volumes that a VOLUME of its image made.
_EXPORT = """
container=$("$0" create --network none -- "$1" serve) || exit
"$0" export "$container"
status=$?
"$0" rm --force --volumes "$container" > /dev/null
exit $status
"""
_MOST_KEPT = 256 * 1024 * 1024  # bytes that are kept of all files of an image


@dataclass(frozen=True)
class Entry:
    """A file, folder or link of an image.

    Attributes:
        path: absolute, in the image.
        mode: as of stat(2), its kind included.
        content: of a regular file, as much as was kept of it.
    """

    path: str
    mode: int
    size: int = 0
    link: str = ""
    content: bytes = field(default=b"", repr=False)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_executable(self) -> bool:
        """Whether anybody may execute it."""
        return self.is_file and bool(self.mode & 0o111)


@dataclass(frozen=True)
class Files:
    """An image's files by path.

    Attributes:
        is_whole: whether what is not here is not in the image either.
    """

    entries: Mapping[str, Entry]
    is_whole: bool

    def find(self, path: str) -> Entry | None:
        """Return what a path leads to, links followed; None where nothing is there."""
        for _ in range(_MOST_LINKS):
            folder, name = posixpath.split(posixpath.normpath(path))
            if folder != "/" and (above := self._link_above(folder)):
                path = posixpath.join(above, name)
                continue
            entry = self.entries.get(posixpath.normpath(path))
            if entry is None or not stat.S_ISLNK(entry.mode):
                return entry
            path = posixpath.join(folder, entry.link)
        return None

    def which(self, word: str, path: str, workdir: str) -> Entry | None:
        """Return the file that a command's first word means, as execvp(3) finds it."""
        found = [self.find(candidate) for candidate in candidates(word, path, workdir)]
        if "/" in word:
            return found[0]
        files = [entry for entry in found if entry is not None and entry.is_file]
        executable = [entry for entry in files if entry.is_executable]
        return next(iter(executable or files), None)

    def below(self, folder: str) -> Iterator[Entry]:
        """Yield everything below a folder, in the order of paths."""
        for path in sorted(self.entries):
            if path.startswith(f"{folder.rstrip('/')}/"):
                yield self.entries[path]

    def _link_above(self, folder: str) -> str:
        """Return where a folder is, if a link is on the way to it; else ""."""
        parts = folder.split("/")[1:]
        for count in range(1, len(parts) + 1):
            entry = self.entries.get("/" + "/".join(parts[:count]))
            if entry is not None and stat.S_ISLNK(entry.mode):
                start = posixpath.join(posixpath.dirname(entry.path), entry.link)
                return posixpath.join(start, *parts[count:])
        return ""


def is_own(path: str) -> bool:
    """Whether a path is where people put files of their own, and not where packages are installed."""
    return _INSTALLED.fullmatch(path) is None


def files_of(image: Image) -> Files:
    """Return the files of an image.

    Raises:
        CannotTestError: the engine does not hand them over, or a folder's cannot be read.
        ProgramError: a folder, or its Dockerfile, cannot be read.
    """
    if isinstance(image, DockerImage):
        return Files({entry.path: entry for entry in _exported(image.reference)}, is_whole=True)
    return Files({entry.path: entry for entry in _brought(image)}, is_whole=False)


def _brought(folder: Folder) -> Iterator[Entry]:
    """Yield what a folder's Dockerfile copies, at its path in the image; without a Dockerfile, all."""
    root = folder.folder.resolve()
    build = build_of(root)
    context = build.context or root
    is_ignored = _ignored_by(context) if build.context else lambda _path: False
    for target, inside in (build.copied if build.context else build.files).items():
        base = root / inside
        for path in _tree(base, lambda path: is_ignored(path.relative_to(context).as_posix())):
            try:
                yield _entry(path, posixpath.normpath(posixpath.join(target, path.relative_to(base))))
            except FileNotFoundError:  # it has gone meanwhile
                continue
            except OSError as error:
                raise CannotTestError(str(unreadable(path, error))) from error


def _ignored_by(context: Path) -> Callable[[str], bool]:
    try:
        return ignored_by(context)
    except OSError as error:
        raise CannotTestError(str(unreadable(context, error))) from error


def _tree(base: Path, is_ignored: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a path, and everything below it where it is a folder, that is not to be ignored."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError) and not is_ignored(
            Path(error.filename)
        ):
            raise CannotTestError(str(unreadable(base, error))) from error

    if not is_ignored(base):
        yield base
    for here, folders, names in os.walk(base, onerror=refuse):
        folders[:] = sorted(set(folders) - _PASSED_OVER)
        found = (Path(here, name) for name in sorted((*folders, *names)))
        yield from (path for path in found if not is_ignored(path))


def _entry(file: Path, path: str) -> Entry:
    found = file.lstat()
    if stat.S_ISLNK(found.st_mode):
        return Entry(path, found.st_mode, link=str(file.readlink()))
    content = b""
    if stat.S_ISREG(found.st_mode):
        with file.open("rb") as opened:
            content = opened.read(_WHOLE if found.st_size <= _WHOLE else _HEAD)
    return Entry(path, found.st_mode, found.st_size, content=content)


def _exported(reference: str) -> Iterator[Entry]:
    """Yield the files of an image, from a container that is made for that and never started."""
    reason = ""
    with subprocess.Popen(
        ["sh", "-c", _EXPORT, "docker", reference],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # what ^C does on the terminal of byoc must not leave the container
    ) as export:
        exported, said = cast("IO[bytes]", export.stdout), cast("IO[bytes]", export.stderr)
        try:
            with tarfile.open(fileobj=exported, mode="r|") as archive:
                left = _MOST_KEPT
                for member in archive:
                    entry = _member(archive, member, left > 0)
                    left -= len(entry.content)
                    yield entry
            exported.read()  # to its end: an export whose reader has gone fails
        except tarfile.TarError as error:
            reason = str(error)
        exported.close()
        told = said.read().decode(errors="replace").strip()
    if reason or export.returncode:
        raise CannotTestError(
            f"The Docker engine does not hand over the files of {reference}: {told or reason}"
        )


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, keeps: bool) -> Entry:
    path = posixpath.normpath(f"/{member.name}")
    if member.issym():
        return Entry(path, stat.S_IFLNK | member.mode, link=member.linkname)
    if member.islnk():  # one more name of a file that came before
        return Entry(path, stat.S_IFLNK | member.mode, link=f"/{member.linkname}")
    if not member.isreg():
        return Entry(path, (stat.S_IFDIR if member.isdir() else stat.S_IFCHR) | member.mode)
    wanted = _HEAD if member.mode & 0o111 else 0
    if keeps and is_own(path) and member.size <= _WHOLE:
        wanted = _WHOLE
    opened = archive.extractfile(member) if wanted else None
    return Entry(
        path, stat.S_IFREG | member.mode, member.size, content=opened.read(wanted) if opened else b""
    )
