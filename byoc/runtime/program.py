"""A container program as a folder with `train` and `serve`, and how to run it without a container."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from byoc.errors import ProgramError
from byoc.runtime.process import Command, Process

# Seconds from SIGTERM to SIGKILL on SageMaker: StopTrainingJob's 120, and 30 when an instance is taken
# away (AWS, "Custom Inference Code with Hosting Services").
GRACE_S = {"train": 120.0, "serve": 30.0}

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Program:
    """A folder with `train` and `serve`, and the interpreter that has what they import: ours by default."""

    folder: Path
    python: Path = Path(sys.executable)


@dataclass(frozen=True)
class Place:
    """The folder that one run has to itself: its /opt/ml, HOME and TMPDIR, and its log beside them."""

    root: Path

    @property
    def opt_ml(self) -> Path:
        """What stands for /opt/ml."""
        return self.root / "ml"

    @property
    def log(self) -> Path:
        """Everything that the program writes to stdout and stderr."""
        return self.root.with_suffix(".log")


def environment_of(place: Place, given: Mapping[str, str]) -> dict[str, str]:
    """Return an environment from scratch: nothing of this process's own but the way to its programs.

    So neither the laptop's AWS credentials nor its proxies and Python settings reach the program.
    """
    return {
        "PATH": _path_from(Path(sys.executable)),
        "LANG": "C.UTF-8",
        "HOME": str(place.root / "home"),
        "TMPDIR": str(place.root / "tmp"),
        "PYTHONUNBUFFERED": "1",  # the log is read while it is written
        **given,
    }


def argv_of(program: Program, verb: str) -> list[str]:
    """Return the command of a program for "train" or "serve".

    A Python script runs under the program's interpreter, any other file by itself.

    Raises:
        ProgramError: the folder has no such file.
    """
    file = program.folder / verb
    if not file.is_file():
        raise ProgramError(
            f"{program.folder} has no {verb}. Name a folder with the programs train and serve."
        )
    with file.open("rb") as opened:
        is_python = b"python" in opened.readline(200)
    return [str(program.python), str(file)] if is_python else [str(file)]


def run(
    argv: list[str], place: Place, environment: Mapping[str, str], cwd: Path, grace_s: float = 10.0
) -> Process:
    """Start any command in a place of its own, whose name it bears in messages.

    Raises:
        ProgramError: its working directory cannot be used. A command that cannot be run ends with status
            126 or 127 instead.
    """
    for folder in ("home", "tmp"):
        (place.root / folder).mkdir(parents=True, exist_ok=True)
    whole = environment_of(place, environment)
    return Process(Command(place.root.name, argv, whole, cwd, place.log, grace_s))


def start(program: Program, verb: str, place: Place, environment: Mapping[str, str]) -> Process:
    """Start `train` or `serve` of a program with `place` re-rooted as its /opt/ml.

    SAGEMAKER_BASE_DIR carries the new root, as in aws/sagemaker-inference-toolkit.

    Raises:
        ProgramError: the folder has no such program.
    """
    given = {"PATH": _path_from(program.python), "SAGEMAKER_BASE_DIR": str(place.opt_ml), **environment}
    return run(argv_of(program, verb), place, given, program.folder, GRACE_S[verb])


def _path_from(python: Path) -> str:
    """Return a PATH that finds the interpreter and its packages' commands first; nginx is often in sbin."""
    return f"{python.parent}:{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
