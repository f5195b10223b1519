"""What can be run: a folder of programs on this machine, or an image of the Docker engine."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# A container with this label listens where SAGEMAKER_BIND_TO_PORT says (AWS, "Create a multi-container
# endpoint"); any other is fixed to port 8080.
BINDS_TO_PORT = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"


@dataclass(frozen=True)
class Folder:
    """A folder with `train` and `serve`, or with a Dockerfile that says what runs instead of them.

    Attributes:
        python: the interpreter that has what its Python programs import: ours by default.
    """

    folder: Path
    python: Path = Path(sys.executable)


@dataclass(frozen=True)
class DockerImage:
    """An image that the engine has, with what `docker image inspect` says of it."""

    reference: str
    labels: Mapping[str, str] = field(default_factory=dict)


Image = Folder | DockerImage


def binds_to_port(labels: Mapping[str, str]) -> bool:
    """Whether a program with these labels listens on the port that it is told."""
    return labels.get(BINDS_TO_PORT, "").lower() == "true"
