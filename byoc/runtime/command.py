"""What a folder's program runs: its command, and the paths that its image would have, found on this machine.

`docker run IMAGE train` puts the verb in place of the image's CMD; ContainerEntrypoint and
ContainerArguments change that as `docker run --entrypoint` does (AWS, "Using Docker containers for training":
the entrypoint alone runs without `train`, and so do arguments alone, behind the image's own ENTRYPOINT).
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from byoc.errors import ProgramError
from byoc.runtime.dockerfile import Copy, Recipe, parse
from byoc.runtime.images import Folder

OPT_ML = "/opt/ml"
PROGRAM = "/opt/program"
# Folders that are the machine's own: what an image puts into one does not stand for all of it.
_SYSTEM = re.compile(
    "|(/usr|/usr/local)?/(bin|lib|sbin|src)|/etc|/home|/opt|/opt/ml|/root|/srv|/tmp|/usr|/usr/local|/var"
)
# What SageMaker mounts over.
_RESERVED = re.compile(rf"{OPT_ML}/(checkpoints|input|model|output)(/.*)?")
_PYTHON = re.compile(r"python[0-9.]*")


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


@dataclass(frozen=True)
class Sight:
    """How a program sees this machine: where the folder is, and what the image's paths are called."""

    folder: str
    renamed: Mapping[str, str]

    def __call__(self, text: str) -> str:
        """Return a text with each of the image's paths in it as the program sees it."""
        if not self.renamed:
            return text
        paths = "|".join(re.escape(path) for path in sorted(self.renamed, key=len, reverse=True))
        return re.sub(rf"(?<![\w./-])({paths})(?![\w.-])", lambda found: self.renamed[found[1]], text)


def build_of(folder: Path) -> Build:
    """Return what the Dockerfile in a folder, or in the one above, says of the folder; nothing if neither.

    Raises:
        ProgramError: it cannot be read.
    """
    for context in (folder, folder.parent):
        dockerfile = context / "Dockerfile"
        if dockerfile.is_file():
            try:
                recipe = parse(dockerfile.read_text())
            except (OSError, UnicodeDecodeError) as error:
                raise ProgramError(f"{dockerfile} cannot be read: {error}.") from error
            name = "" if context == folder else folder.name
            files = {path: inside for copy in recipe.copies for path, inside in _copied(copy, folder, name)}
            if files or context == folder:
                seen = {path: inside for path, inside in files.items() if not _RESERVED.fullmatch(path)}
                return Build(recipe, {PROGRAM: ".", **seen}, files, context)
    return Build(Recipe(), {PROGRAM: "."})


def command_of(
    program: Folder, verb: str, build: Build, entrypoint: Sequence[str], arguments: Sequence[str] | None
) -> tuple[list[str], str]:
    """Return the words that a container would run, and what the user should know about them, or "".

    Raises:
        ProgramError: the folder has no such program, and no Dockerfile that says what to run.
    """
    if entrypoint:
        return [*entrypoint, *(arguments or ())], ""
    if arguments is None and (program.folder / verb).is_file():
        return [verb], ""
    own = build.recipe.entrypoint
    if isinstance(own, str):
        raise ProgramError(_shell_form(program, "ENTRYPOINT", own))
    if arguments is not None:
        return [*(own or ()), *arguments], ""
    if own:
        return [*own, verb], ""
    command = build.recipe.command
    if isinstance(command, str):
        raise ProgramError(_shell_form(program, "CMD", command))
    if command:
        return list(command), f"SageMaker runs {verb} in place of CMD: give the Dockerfile an ENTRYPOINT."
    raise ProgramError(
        f"{program.folder} has no {verb}. Name a folder with the programs train and serve, or with a "
        "Dockerfile whose ENTRYPOINT says what to run."
    )


def argv_of(words: Sequence[str], program: Folder, sight: Sight) -> list[str]:
    """Return the words as they are run here.

    A Python script of the folder runs under the program's interpreter, as does whatever is called python;
    any other file runs by itself. /usr/bin/env before a file of the folder is left out.
    """
    first, *rest = [sight(word) for word in words]
    if PurePosixPath(first).name == "env" and rest and _file(rest[0], program, sight):
        first, *rest = rest
    if file := _file(first, program, sight):
        with file.open("rb") as opened:
            is_python = b"python" in opened.readline(200)
        seen = f"{sight.folder}/{file.relative_to(program.folder)}"
        return [*([str(program.python)] if is_python else []), seen, *rest]
    if _PYTHON.fullmatch(PurePosixPath(first).name):
        return [str(program.python), *rest]
    return [first, *rest]


def _file(word: str, program: Folder, sight: Sight) -> Path | None:
    """Return the file of the folder that a command's word means, if any."""
    inside = os.path.relpath(word, sight.folder) if word.startswith("/") else word
    if inside.startswith("..") or ("/" in word and not word.startswith("/")):
        return None
    file = program.folder / inside
    return file if file.is_file() else None


def _copied(copy: Copy, folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yield where a COPY puts what of a folder; `name` is the folder's in the build context, "" for all."""
    base = copy.destination.rstrip("/")
    into = copy.destination.endswith("/") or len(copy.sources) > 1
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


def _unpacked(base: str, path: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield where the contents of a path are; a folder of the system stays what it is on this machine."""
    if _SYSTEM.fullmatch(base):
        for entry in sorted(path.iterdir()):
            yield f"{base}/{entry.name}", str(entry.relative_to(folder))
    else:
        yield base, str(path.relative_to(folder))


def _shell_form(program: Folder, instruction: str, text: str) -> str:
    return (
        f"The Dockerfile of {program.folder} has {instruction} in shell form ({text}): signals do not reach "
        f'such a program. Write it in exec form: {instruction} ["program", "argument"].'
    )
