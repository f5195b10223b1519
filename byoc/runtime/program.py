"""The place that one run has to itself, an environment from scratch, and any command run in them."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from byoc.runtime.dockerfile import SYSTEM_PATH
from byoc.runtime.process import Command, Process

# Seconds from SIGTERM to SIGKILL on SageMaker: StopTrainingJob's 120, and 30 when an instance is taken
# away (AWS, "Custom Inference Code with Hosting Services").
GRACE_S = {"train": 120.0, "serve": 30.0}


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
        "PATH": path_from(Path(sys.executable)),
        "LANG": "C.UTF-8",
        "HOME": str(place.root / "home"),
        "TMPDIR": str(place.root / "tmp"),
        "PYTHONUNBUFFERED": "1",  # the log is read while it is written
        **given,
    }


def make_folders(place: Place) -> None:
    """Make HOME and TMPDIR."""
    for folder in ("home", "tmp"):
        (place.root / folder).mkdir(parents=True, exist_ok=True)
    (place.root / "tmp").chmod(0o1777)  # as every /tmp


def run(
    argv: list[str], place: Place, environment: Mapping[str, str], cwd: Path, grace_s: float = 10.0
) -> Process:
    """Start any command in a place of its own, whose name it bears in messages.

    Raises:
        ProgramError: its working directory cannot be used. A command that cannot be run ends with status
            126 or 127 instead.
    """
    make_folders(place)
    whole = environment_of(place, environment)
    return Process(Command(place.root.name, argv, whole, cwd, place.log, grace_s, foreign=True))


def path_from(python: Path, also: str = "") -> str:
    """Return a PATH that finds the interpreter and its packages' commands first; nginx is often in sbin."""
    return ":".join(filter(None, (str(python.parent), also, os.environ.get("PATH"), SYSTEM_PATH)))
