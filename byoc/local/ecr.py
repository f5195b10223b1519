"""ECR: moto's, which is told of the images that are really there whenever it is asked for them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from byoc.local.manifests import Tagged
from byoc.local.outside import Ask, operation_of
from byoc.local.registry import Registry
from byoc.local.wsgi import Answer, Call

_LOOKS_AT_IMAGES = {"DescribeImages", "BatchGetImage", "ListImages"}
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


@dataclass(frozen=True)
class Ecr:
    """A detour of Outside.

    moto never sees a push, as docker pushes to the registry itself, and nobody pushes a program's folder.

    Attributes:
        program: returns the image that stands for the program of a repository's name, if there is one.
        registry: whose images come before that.
    """

    program: Callable[[str], Tagged | None]
    registry: Registry | None = None

    def __call__(self, call: Call, ask: Ask) -> Answer:
        """Answer one request to ECR."""
        answer = ask(call)
        if operation_of(call) in _LOOKS_AT_IMAGES and _NO_SUCH_REPOSITORY not in answer.body:
            self._tell(call, ask)
            answer = ask(call)
        return replace(answer, body=self.registry.instead(answer.body)) if self.registry else answer

    def _tell(self, call: Call, ask: Ask) -> None:
        try:
            repository = str(json.loads(call.body)["repositoryName"])
        except (ValueError, KeyError, TypeError):
            return
        for image in self._images(repository):
            document = {
                "repositoryName": repository,
                "imageTag": image.tag,
                "imageDigest": image.digest,
                "imageManifest": image.manifest,
                "imageManifestMediaType": image.media_type,
            }
            headers = {**call.headers, "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.PutImage"}
            ask(replace(call, headers=headers, body=json.dumps(document).encode()))

    def _images(self, repository: str) -> Iterable[Tagged]:
        pushed = list(self.registry.images(repository)) if self.registry else []
        image = None if pushed else self.program(repository)
        return [image] if image else pushed
