"""Runs a container's program: as a Docker container, in private namespaces, or as a re-rooted process."""

from byoc.errors import ProgramError
from byoc.runtime.docker import start_docker
from byoc.runtime.folder import start_folder
from byoc.runtime.images import DockerImage, Folder, Image
from byoc.runtime.privacy import Privacy, privacy_here
from byoc.runtime.program import Place
from byoc.runtime.spec import Container, Landlord, Spec

# The error too: byoc.local knows no other room of ours.
__all__ = [
    "Container",
    "DockerImage",
    "Folder",
    "Image",
    "Landlord",
    "Place",
    "Privacy",
    "ProgramError",
    "Spec",
    "start",
]


def start(spec: Spec, landlord: Landlord, privacy: Privacy | None = None) -> Container:
    """Start a container's program; it may still be loading when this returns.

    Args:
        privacy: what a folder's program is to have to itself: by default the best that this machine allows.

    Raises:
        ProgramError: there is nothing to run, or it cannot be run here; the message says why.
    """
    image = spec.image
    if isinstance(image, DockerImage):
        return start_docker(spec, image, landlord)
    return start_folder(spec, image, landlord, privacy or privacy_here())
