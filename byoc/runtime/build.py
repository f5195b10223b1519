"""Where a Dockerfile puts a folder's files, and which of them `train` and `serve` are in the image."""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from byoc.errors import ProgramError
from byoc.runtime.dockerfile import SYSTEM_PATH, Copy, Recipe, parse
from byoc.runtime.view import is_system
from byoc.runtime.words import candidates

OPT_ML = "/opt/ml"
PROGRAM = "/opt/program"
# Folders that are the machine's own: what an image puts into one does not stand for all of it.
_SHARED = re.compile(
    "|(/usr|/usr/local)?/(bin|lib|sbin|src)|/etc|/home|/opt|/opt/ml|/root|/srv|/tmp|/usr|/usr/local|/var"
)
# What SageMaker mounts over.
_RESERVED = re.compile(rf"{OPT_ML}/(checkpoints|input|model|output)(/.*)?")


@dataclass(frozen=True)
class Build:
    """A folder's Dockerfile, and where it puts the folder's files: path in the image -> path in the folder.

    The path in the folder is relative; "." is the folder itself.

    Attributes:
        copied: as `files`, without the folder's place in byoc, and with what SageMaker mounts over.
        context: where the Dockerfile lies; None: there is none.
    """

    recipe: Recipe
    files: Mapping[str, str]
    copied: Mapping[str, str] = field(default_factory=dict)
    context: Path | None = None

    @property
    def path(self) -> str:
        """The image's PATH: what the Dockerfile sets, or what Docker does where it sets none."""
        return self.recipe.environment.get("PATH", SYSTEM_PATH)


def build_of(folder: Path) -> Build:
    """Return what the Dockerfile in a folder, or in the one above, says of the folder; nothing if neither.

    Raises:
        ProgramError: it cannot be read, or not all of the folder.
    """
    try:
        for context in (folder, folder.parent):
            dockerfile = context / "Dockerfile"
            if dockerfile.is_file() and (build := _build(folder, dockerfile)):
                return build
    except OSError as error:
        raise unreadable(folder, error) from error
    return Build(Recipe(), {PROGRAM: "."})


def unreadable(folder: Path, error: OSError) -> ProgramError:
    """Return what to tell of a folder that cannot be read, or of something in it."""
    return ProgramError(
        f"{error.filename or folder} cannot be read: {error.strerror or error}. Give yourself the right to "
        "read it, or run byoc as somebody who has it."
    )


def program_of(build: Build, folder: Path, verb: str) -> str:
    """Return `train` or `serve` as the image has it: its path there, the bare word in a folder alone, or "".

    One that is not on the image's PATH, as far as the Dockerfile tells it, is taken from where it lies: a
    base image has a PATH of its own, and RUN may have linked it.

    Raises:
        ProgramError: the folder cannot be read.
    """
    try:
        found = which(build, folder, verb) or next(_lying_about(build, folder, verb), "")
        return found or (verb if (folder / verb).is_file() else "")
    except OSError as error:
        raise unreadable(folder, error) from error


def which(build: Build, folder: Path, word: str) -> str:
    """Return the path in the image of the copied file that a command's first word means, or ""."""
    paths = candidates(word, build.path, build.recipe.workdir)
    files = {path: file for path in paths if (file := _find(build, folder, path)) is not None}
    executable = (path for path, file in files.items() if os.access(file, os.X_OK))
    return next(executable, next(iter(files), ""))


def _find(build: Build, folder: Path, path: str) -> Path | None:
    """Return the folder's file that an image has at a path; None where the Dockerfile copies none there."""
    for target in sorted(build.copied, key=len, reverse=True):
        if path == target or path.startswith(f"{target}/"):
            file = folder / build.copied[target] / path.removeprefix(target).lstrip("/")
            if file.is_file():
                return file
    return None


def _lying_about(build: Build, folder: Path, name: str) -> Iterator[str]:
    """Yield the paths in the image of copied files of that name, wherever they are put."""
    for target in sorted(build.copied):
        for path in (target, posixpath.join(target, name)):
            if posixpath.basename(path) == name and _find(build, folder, path) is not None:
                yield path


def _build(folder: Path, dockerfile: Path) -> Build | None:
    """Return what a Dockerfile says of a folder; None where it is another's, in the folder above."""
    try:
        recipe = parse(dockerfile.read_text())
    except UnicodeDecodeError as error:
        raise ProgramError(f"{dockerfile} cannot be read: {error}.") from error
    context = dockerfile.parent
    name = "" if context == folder else folder.name
    files = _merged((found for copy in recipe.copies for found in _copied(copy, folder, name)), folder)
    if not files and context != folder:
        return None
    seen = {path: inside for path, inside in files.items() if not _RESERVED.fullmatch(path)}
    return Build(recipe, {PROGRAM: ".", **seen}, files, context)


def _merged(copied: Iterable[tuple[str, str]], folder: Path) -> dict[str, str]:
    """Return the copies by where they go; folders that go to one place are told by what is in them."""
    files: dict[str, str] = {}
    ahead = list(copied)
    while ahead:
        path, inside = ahead.pop(0)
        before = files.get(path)
        if (
            before is None
            or before == inside
            or not all((folder / each).is_dir() for each in (before, inside))
        ):
            files[path] = inside
            continue
        del files[path]
        entries = [
            (each, entry.name) for each in (before, inside) for entry in sorted((folder / each).iterdir())
        ]
        ahead = [(f"{path}/{name}", os.path.normpath(f"{each}/{name}")) for each, name in entries] + ahead
    return files


def _copied(copy: Copy, folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yield where a COPY puts what of a folder; `name` is the folder's in the build context, "" for all."""
    base = copy.destination.rstrip("/")
    into = copy.destination.endswith("/") or len(copy.sources) > 1 or _is_there(base)
    for source in copy.sources:
        pattern = os.path.normpath(source.lstrip("/") or ".")
        if pattern == (name or "."):
            yield from _unpacked(base, folder, folder)
        elif name and pattern == ".":
            yield from _unpacked(f"{base}/{name}", folder, folder)
        elif not name or pattern.startswith(f"{name}/"):
            inside = pattern.removeprefix(f"{name}/") if name else pattern
            for path in sorted(folder.glob(inside)):
                if path.is_dir():
                    yield from _unpacked(base, path, folder)
                else:
                    yield f"{base}/{path.name}" if into else base, str(path.relative_to(folder))


def _is_there(base: str) -> bool:
    """Whether an image has a folder there without its Dockerfile's making it, as far as can be known."""
    return _SHARED.fullmatch(base) is not None or (is_system(base) and Path(base).is_dir())


def _unpacked(base: str, path: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield where the contents of a path are; a folder of the system stays what it is on this machine."""
    if _SHARED.fullmatch(base):
        for entry in sorted(path.iterdir()):
            yield f"{base}/{entry.name}", str(entry.relative_to(folder))
    else:
        yield base, str(path.relative_to(folder))
