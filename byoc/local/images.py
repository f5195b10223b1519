"""What the image URI of a request stands for on this machine."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from byoc.local.errors import validation
from byoc.local.folder_digest import FolderDigests
from byoc.local.manifests import Tagged, stand_in
from byoc.local.programs import Programs, is_there
from byoc.runtime import docker
from byoc.runtime.images import DockerImage, Folder, Image

_log = logging.getLogger(__name__)
_TAG_OR_DIGEST = re.compile(r"(:[\w.-]+)?(@(?P<digest>[\w+.-]+:[0-9a-f]+))?$")


@dataclass(frozen=True)
class Engine:
    """The Docker engine, as far as an image is looked for."""

    find: Callable[[str], DockerImage | None] = docker.find_image
    pull: Callable[[str], DockerImage | None] = docker.pull_image


@dataclass(frozen=True)
class Sources:
    """Where an instance's images come from.

    Attributes:
        registry: HOST:PORT of the registry that ECR's answers point at, if any.
        remedy: how the user of this instance names a program; NAME in it stands for the program's name.
    """

    programs: Programs
    registry: str | None = None
    remedy: str = "Name a folder for it: --program NAME=DIR."


@dataclass(frozen=True)
class LocalImages:
    """World's images: of the engine, or else a program's folder."""

    sources: Sources
    engine: Engine = field(default_factory=Engine)
    digests: FolderDigests = field(default_factory=FolderDigests)
    _told: dict[str, str] = field(default_factory=dict)  # by image, so that the log has a line per change

    def find(self, image: str) -> Image:
        """Return what an image URI stands for.

        Raises:
            AwsError: nothing here is called so.
        """
        host, repository, digest = parts_of(image)
        found = self.engine.find(image)
        if found is None and host and host == self.sources.registry:
            found = self.engine.pull(image)
        return found or Folder(self._folder(image, repository, digest))

    def stand_in(self, repository: str) -> Tagged | None:
        """Return the image that ECR has for a program: another one after each edit in its folder."""
        folder = self.sources.programs.folders().get(repository)
        return stand_in(self.digests.of(folder)) if folder and is_there(folder) else None

    def _folder(self, image: str, repository: str, digest: str) -> Path:
        folder = self.sources.programs.folders().get(repository)
        if folder and is_there(folder):
            current = stand_in(self.digests.of(folder)).digest if digest else digest
            changed = f", which has changed since: now it is {current}" if current != digest else ""
            told = f"the program in {folder}{changed}"
            if self._told.get(image) != told:
                self._told[image] = told
                _log.info("image %s is %s", image, told)
            return folder
        missing = (
            f"the folder of its program is gone or closed: {folder}" if folder else "no program is called so"
        )
        raise validation(
            f"Could not find image {image}: no Docker engine here has it, and {missing}. "
            f"{self.sources.remedy.replace('NAME', repository)}"
        )


def parts_of(image: str) -> tuple[str, str, str]:
    """Return registry host, repository and digest of an image URI, each "" where it has none.

    Source: distribution/reference: the first component is a host if it has a dot or a colon, or is localhost.
    """
    first, slash, rest = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "", image
    end = _TAG_OR_DIGEST.search(rest)
    return first, _TAG_OR_DIGEST.sub("", rest), (end["digest"] if end else None) or ""
