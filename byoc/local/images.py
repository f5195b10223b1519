"""What the image URI of a request stands for on this machine."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from byoc.local.errors import validation
from byoc.local.instance import write_private
from byoc.runtime import docker
from byoc.runtime.images import DockerImage, Folder, Image

DEFAULT = "custom-algorithm"
ADDED = "programs.json"

_log = logging.getLogger(__name__)
_TAG_OR_DIGEST = re.compile(r"(:[\w.-]+)?(@[\w+.-]+:[0-9a-f]+)?$")


@dataclass(frozen=True)
class Engine:
    """The Docker engine, as far as an image is looked for."""

    find: Callable[[str], DockerImage | None]
    pull: Callable[[str], DockerImage | None]


@dataclass(frozen=True)
class Programs:
    """Folders that stand for images.

    Attributes:
        named: by repository name, as `--program NAME=DIR` gives them.
        default: what any other image of the instance's own account stands for: the checkout's program.
        added: the file in which more are named while it runs (`add_program`).
    """

    named: Mapping[str, Path]
    default: Path | None = None
    added: Path | None = None

    def folder_of(self, repository: str) -> Path | None:
        """Return the folder that is named so."""
        if self.added is not None and repository in (more := _read(self.added)):
            return Path(more[repository])
        return self.named.get(repository)


@dataclass(frozen=True)
class LocalImages:
    """World's images: of the engine, or else a folder.

    Attributes:
        account: whose ECR is ours.
        registry: HOST:PORT of the registry that ECR's answers point at, if any.
    """

    account: str
    programs: Programs
    registry: str | None = None
    engine: Engine = Engine(docker.find_image, docker.pull_image)

    def find(self, image: str) -> Image:
        """Return what an image URI stands for.

        Raises:
            AwsError: nothing here is called so.
        """
        host, repository = parts_of(image)
        found = self.engine.find(image)
        if found is None and host and host == self.registry:
            found = self.engine.pull(image)
        if found is not None:
            return found
        folder = self.programs.folder_of(repository)
        if folder is None and self._is_ours(host):
            folder = self.programs.default
        if folder is None:
            raise validation(
                f"Could not find image {image}: no Docker engine here has it, and no folder stands for it. "
                f"Build or pull it, or start the local SageMaker with --program {repository}=DIR."
            )
        _log.info("image %s is the program in %s", image, folder)
        return Folder(folder)

    def _is_ours(self, host: str) -> bool:
        return host in ("", self.registry) or host.startswith(f"{self.account}.dkr.ecr.")


def add_program(folder: Path, name: str, program: Path) -> None:
    """Have a folder stand for images of a name, in the running instance with this private folder."""
    file = folder / ADDED
    write_private(file, json.dumps(_read(file) | {name: str(program.resolve(strict=True))}))


def _read(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return {}


def parts_of(image: str) -> tuple[str, str]:
    """Return registry host ("" where none is named) and repository of an image URI, without tag and digest.

    Source: distribution/reference: the first component is a host if it has a dot or a colon, or is localhost.
    """
    first, slash, rest = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "", image
    return first, _TAG_OR_DIGEST.sub("", rest)
