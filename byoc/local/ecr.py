"""ECR: moto's, which is told of the images that are really there whenever it is asked for them."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from byoc.local.instance import Instance
from byoc.local.manifests import Tagged
from byoc.local.outside import Ask, operation_of
from byoc.local.programs import Programs
from byoc.local.registry import Registry
from byoc.local.wsgi import Answer, Call

_LOOKS_AT_IMAGES = {"DescribeImages", "BatchGetImage", "ListImages"}
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)  # distribution/reference
_NO_SUCH_REPOSITORY = b"RepositoryNotFoundException"


def seed_repository(ecr: Any, name: str) -> None:  # noqa: ANN401 - botocore makes its clients at run time
    """Create the repository of a program. Safe to repeat.

    Args:
        ecr: a botocore client.
        name: of the repository.
    """
    try:
        ecr.create_repository(repositoryName=name)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        return


def add_programs(instance: Instance, named: Mapping[str, Path], ecr: Any) -> None:  # noqa: ANN401
    """Have folders stand for images of an instance that runs; each replaces the one of its name.

    Args:
        named: by repository name, as `checked_program` returns them.
        ecr: a client of that instance, of botocore's making.

    Raises:
        LocalError: what is kept there cannot be read.
    """
    Programs(Path(instance.data)).remember(named)
    for name in named:
        seed_repository(ecr, name)


@dataclass(frozen=True)
class Ecr:
    """A detour of Outside.

    moto never sees a push, as docker pushes to the registry itself, and nobody pushes a program's folder.

    Attributes:
        program: returns the image that stands for the program of a repository's name, if there is one.
        registry: whose images come before that.
        asked: the tags that somebody asked for, by repository: whatever its tag is, it is the program.
    """

    program: Callable[[str], Tagged | None]
    registry: Registry | None = None
    asked: dict[str, set[str]] = field(default_factory=dict)

    def __call__(self, call: Call, ask: Ask) -> Answer:
        """Answer one request to ECR."""
        answer = ask(call)
        if operation_of(call) in _LOOKS_AT_IMAGES and _NO_SUCH_REPOSITORY not in answer.body:
            self._tell(call, ask)
            answer = ask(call)
        return replace(answer, body=self.registry.instead(answer.body)) if self.registry else answer

    def _tell(self, call: Call, ask: Ask) -> None:
        try:
            request = json.loads(call.body)
            repository = str(request["repositoryName"])
            wanted = [str(one.get("imageTag", "")) for one in request.get("imageIds") or []]
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        for image in self._images(repository, filter(_TAG.fullmatch, wanted)):
            document = {
                "repositoryName": repository,
                "imageTag": image.tag,
                "imageDigest": image.digest,
                "imageManifest": image.manifest,
                "imageManifestMediaType": image.media_type,
            }
            headers = {**call.headers, "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.PutImage"}
            ask(replace(call, headers=headers, body=json.dumps(document).encode()))

    def _images(self, repository: str, wanted: Iterable[str]) -> Iterable[Tagged]:
        """Return all images of a repository; of a program under each tag that was ever wanted, as latest."""
        pushed = list(self.registry.images(repository)) if self.registry else []
        image = None if pushed else self.program(repository)
        if image is None:
            return pushed
        # All of them move together: one that stayed behind would be an image of what is no longer there.
        tags = {*self.asked.get(repository, ()), *wanted} - {image.tag}
        self.asked[repository] = tags
        return [image, *(replace(image, tag=tag) for tag in sorted(tags))]
