"""The folders that stand for images, by repository name; the data folder keeps them for a later start."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from byoc.local.instance import LocalError, write_private
from byoc.runtime.build import build_of, program_of, unreadable
from byoc.runtime.container import ProgramError

CHECKOUTS = "custom-algorithm"
_FILE = "programs.json"
_VERBS = ("train", "serve")
# ECR API reference, CreateRepository.
_REPOSITORY = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")


@dataclass(frozen=True)
class _Kept:
    """What the file holds: programs by name, and the checkout's own program, as absolute paths."""

    named: Mapping[str, str]
    checkout: str | None = None


@dataclass(frozen=True)
class Programs:
    """The programs of one data folder; read anew each time, as more may be named while it runs."""

    data: Path

    def folders(self) -> dict[str, Path]:
        """Return every folder by its name, whether or not it is there.

        Raises:
            LocalError: what is kept cannot be read.
        """
        kept = self._read()
        checkouts = {CHECKOUTS: kept.checkout} if kept.checkout else {}
        return {name: Path(folder) for name, folder in {**checkouts, **kept.named}.items()}

    def remember(self, named: Mapping[str, Path], checkout: Path | None = None) -> None:
        """Keep more of them; each replaces the one of its name.

        Args:
            named: by repository name, as `--program` gives them.
            checkout: the checkout's own program, which CHECKOUTS stands for unless that is named, too.

        Raises:
            LocalError: what is kept cannot be read.
        """
        before = self._read()
        document = {
            "named": {**before.named, **{name: str(folder) for name, folder in named.items()}},
            "checkout": str(checkout) if checkout else before.checkout,
        }
        write_private(self.data / _FILE, json.dumps(document, indent=2) + "\n")

    def gone(self) -> list[str]:
        """Return a line for each program whose folder is no longer there."""
        return [
            f"The folder of the program {name} is gone or closed: {folder}. Put it back, or name another."
            for name, folder in self.folders().items()
            if not is_there(folder)
        ]

    def _read(self) -> _Kept:
        file = self.data / _FILE
        try:
            kept = _Kept(**json.loads(file.read_text()))
            return _Kept({name: str(folder) for name, folder in kept.named.items()}, kept.checkout)
        except FileNotFoundError:
            return _Kept({})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise LocalError(
                f"{file} names no programs: {error}. Remove it, and name them again with --program."
            ) from error


def is_there(folder: Path) -> bool:
    """Whether there is such a folder, and it may be looked into."""
    return os.access(folder, os.R_OK | os.X_OK) and folder.is_dir()


def named_program(given: str) -> tuple[str, Path]:
    """Return the name and the folder of NAME=DIR.

    Raises:
        LocalError: it is not that, or the folder is no program.
    """
    name, equals, folder = given.partition("=")
    if not name or not equals or not folder:
        raise LocalError(f"The program is {given!r}. Give NAME=DIR.")
    return name, checked_program(name, Path(folder))


def checked_program(name: str, folder: Path) -> Path:
    """Return the absolute path of a folder that has something to run.

    Raises:
        LocalError: ECR would not take the name, or there is no such folder, or nothing to run in it.
    """
    if not _REPOSITORY.fullmatch(name):
        raise LocalError(
            f"The program {name!r} cannot be an ECR repository, which has no tag and no capitals. "
            "Give it a name such as my-model or team/my-model."
        )
    try:
        if not folder.is_dir():
            raise LocalError(f"The program {name} is to be {folder}, which is no folder. Give NAME=DIR.")
        found = folder.resolve()
        runs = _runs(found)
    except OSError as error:
        raise LocalError(f"The program {name} cannot be used: {unreadable(folder, error)}") from error
    except ProgramError as error:
        raise LocalError(f"The program {name} cannot be used: {error}") from error
    if not runs:
        raise LocalError(
            f"The program {name} is to be {folder}, which has nothing to run: neither train nor serve, "
            "nor a Dockerfile, there or one above, that has its ENTRYPOINT or CMD in exec form, "
            '["program", "argument"].'
        )
    return found


def _runs(folder: Path) -> bool:
    """Whether there is `train` or `serve`, or a Dockerfile that says, in words, what to run."""
    build = build_of(folder)
    if any(program_of(build, folder, verb) for verb in _VERBS):
        return True
    return isinstance(build.recipe.entrypoint or build.recipe.command, tuple)
