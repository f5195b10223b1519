"""What a folder's program runs: its command, and the paths that its image would have, found on this machine.

`docker run IMAGE train` puts the verb in place of the image's CMD; ContainerEntrypoint and
ContainerArguments change that as `docker run --entrypoint` does (AWS, "Using Docker containers for training":
the entrypoint alone runs without `train`, and so do arguments alone, behind the image's own ENTRYPOINT).
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from byoc.errors import ProgramError
from byoc.runtime.build import Build, program_of, unreadable, which
from byoc.runtime.images import Folder
from byoc.runtime.program import path_from
from byoc.runtime.words import script_of, unwrapped, without_init

_PYTHON = re.compile(r"python[0-9.]*")


@dataclass(frozen=True)
class Sight:
    """How a program sees this machine: where the folder is, and what the image's paths are called.

    Attributes:
        sources: what of this machine is seen at other paths: path as it is seen -> path on this machine.
    """

    folder: str
    renamed: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        """Return a text with each of the image's paths in it as the program sees it."""
        if not self.renamed:
            return text
        paths = "|".join(re.escape(path) for path in sorted(self.renamed, key=len, reverse=True))
        return re.sub(rf"(?<![\w./-])({paths})(?![\w.-])", lambda found: self.renamed[found[1]], text)

    def source(self, path: str) -> Path:
        """Return where on this machine that is what the program sees at a path."""
        for seen in sorted(self.sources, key=len, reverse=True):
            if path == seen or path.startswith(f"{seen}/"):
                there = Path(self.sources[seen], path.removeprefix(seen).lstrip("/"))
                if there.exists():
                    return there
        return Path(path)


def command_of(
    program: Folder, verb: str, build: Build, entrypoint: Sequence[str], arguments: Sequence[str] | None
) -> tuple[list[str], str]:
    """Return the words that a container would run, and what the user should know about them, or "".

    Raises:
        ProgramError: the folder has no such program, and no Dockerfile that says what to run.
    """
    if entrypoint:
        return _located([*entrypoint, *(arguments or ())], build, program), ""
    own = build.recipe.entrypoint
    found = program_of(build, program.folder, verb) if arguments is None else ""
    if isinstance(own, str):
        if found:
            return [found], _without(own, verb)
        raise ProgramError(_shell_form(program, "ENTRYPOINT", own))
    if arguments is not None:
        return _located([*(own or ()), *arguments], build, program), ""
    words = list(without_init([*(own or ()), verb]))
    if list(unwrapped(words)) == [verb]:
        return ([*words[:-1], found], "") if found else _of_cmd(program, verb, build, words if own else [])
    if found and not _is_here(words, build, program):
        return [found], _without(" ".join(own or ()), verb)
    return _located(words, build, program), ""


def argv_of(words: Sequence[str], program: Folder, sight: Sight) -> list[str]:
    """Return the words as they are run here.

    A Python script of the folder runs under the program's interpreter, as does whatever is called python;
    any other file runs by itself. /usr/bin/env before a file of the folder is left out.

    Raises:
        ProgramError: a file of the folder cannot be read.
    """
    first, *rest = [sight(word) for word in words]
    if PurePosixPath(first).name == "env" and rest and _seen(rest[0], program, sight):
        first, *rest = rest
    if found := _seen(first, program, sight):
        seen, file = found
        return [*([str(program.python)] if _is_python(file) else []), seen, *rest]
    if _PYTHON.fullmatch(PurePosixPath(first).name):
        return [str(program.python), *rest]
    return [first, *rest]


def _of_cmd(program: Folder, verb: str, build: Build, words: list[str]) -> tuple[list[str], str]:
    """Return what runs where there is no program of the verb's name: what hands on to it, else CMD."""
    if words:
        return words, ""
    command = build.recipe.command
    if isinstance(command, str):
        raise ProgramError(_shell_form(program, "CMD", command))
    if command:
        why = f"SageMaker runs {verb} in place of CMD: give the Dockerfile an ENTRYPOINT."
        return _located(command, build, program), why
    raise ProgramError(
        f"{program.folder} has no {verb}. Name a folder with the programs train and serve, or with a "
        "Dockerfile whose ENTRYPOINT says what to run."
    )


def _located(words: Sequence[str], build: Build, program: Folder) -> list[str]:
    """Return a command with the path of its program in place of its name, if the Dockerfile copies that."""
    words = without_init(words)
    before = len(words) - len(unwrapped(words))
    return [
        *words[:before],
        which(build, program.folder, words[before]) or words[before],
        *words[before + 1 :],
    ]


def _is_here(words: Sequence[str], build: Build, program: Folder) -> bool:
    """Whether a command can be run without the base image: its program and its script are here."""
    words = unwrapped(words)
    script = script_of(words)
    if script and not which(build, program.folder, script if "/" in script else f"./{script}"):
        return False
    if which(build, program.folder, words[0]) or _PYTHON.fullmatch(PurePosixPath(words[0]).name):
        return True
    return shutil.which(words[0], path=path_from(program.python)) is not None


def _seen(word: str, program: Folder, sight: Sight) -> tuple[str, Path] | None:
    """Return the file that a command's word means, if it is of the folder: as it is seen, and where it is."""
    if not word.startswith("/"):
        word = f"{sight.folder}/{word}" if "/" not in word else ""
    if not word:
        return None
    inside = os.path.relpath(word, sight.folder)
    file = sight.source(word)
    if str(file) == word:
        if inside.startswith(".."):
            return None
        file = program.folder / inside
    try:
        return (word, file) if file.is_file() else None
    except OSError as error:
        raise unreadable(file, error) from error


def _is_python(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return b"python" in opened.readline(200)
    except OSError as error:
        raise unreadable(file, error) from error


def _without(entrypoint: str, verb: str) -> str:
    return f"The ENTRYPOINT {entrypoint} cannot be run here: {verb} is run without it."


def _shell_form(program: Folder, instruction: str, text: str) -> str:
    return (
        f"The Dockerfile of {program.folder} has {instruction} in shell form ({text}): signals do not reach "
        f'such a program. Write it in exec form: {instruction} ["program", "argument"].'
    )
