"""ECR: moto's, with a repository for each program; or pointing at a real registry, with what was pushed."""

import base64
import hashlib
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from byoc.local.outside import Ask, operation_of
from byoc.local.wsgi import Answer, Call

_HOST = re.compile(rb"(https://)?\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")
_HOST_PORT = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}")
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_MANIFESTS = ", ".join(
    [
        _MANIFEST,
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    ]
)
_LOOKS_AT_IMAGES = {"DescribeImages", "BatchGetImage", "ListImages"}
_PATIENCE_S = 10


def seed_repository(ecr: Any, name: str) -> None:  # noqa: ANN401 - botocore makes its clients at run time
    """Create the repository of a program, with an image `latest` that stands for it. Safe to repeat.

    Args:
        ecr: a botocore client.
        name: of the repository.
    """
    config = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 0,
        "digest": _digest_of(name.encode()),
    }
    manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": []})
    try:
        ecr.create_repository(repositoryName=name)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        return
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="latest")


def checked_registry(registry: str) -> str:
    """Return a registry as it was given.

    Raises:
        ValueError: it is not HOST:PORT.
    """
    if not _HOST_PORT.fullmatch(registry):
        raise ValueError(f"the registry is {registry!r}. Give HOST:PORT, such as 127.0.0.1:5000.")
    return registry


@dataclass(frozen=True)
class Registry:
    """A real registry, spoken to in plain http, that ECR's answers point at; a detour of Outside.

    Attributes:
        address: HOST:PORT.
        account: whose ECR it stands for.
    """

    address: str
    account: str

    def __call__(self, call: Call, ask: Ask) -> Answer:
        """Answer one request to ECR.

        moto never sees a push, as docker pushes to the registry itself: when it is asked for images, it is
        told of those that are really there, and asked again.
        """
        answer = ask(call)
        if operation_of(call) in _LOOKS_AT_IMAGES and b"RepositoryNotFoundException" not in answer.body:
            self._tell(call, ask)
            answer = ask(call)
        return replace(answer, body=_HOST.sub(self._instead, answer.body))

    def _instead(self, match: re.Match[bytes]) -> bytes:
        return (b"http://" if match[1] else b"") + self.address.encode()

    def _tell(self, call: Call, ask: Ask) -> None:
        try:
            repository = str(json.loads(call.body)["repositoryName"])
        except (ValueError, KeyError, TypeError):
            return
        for tag, digest, manifest, media_type in self._images(repository):
            document = {
                "repositoryName": repository,
                "imageTag": tag,
                "imageDigest": digest,
                "imageManifest": manifest,
                "imageManifestMediaType": media_type,
            }
            headers = {**call.headers, "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.PutImage"}
            ask(replace(call, headers=headers, body=json.dumps(document).encode()))

    def _images(self, repository: str) -> Iterator[tuple[str, str, str, str]]:
        """Yield tag, digest, manifest and its media type of all that a repository has; nothing where none."""
        tags = self._get(f"{repository}/tags/list", "application/json")
        for tag in (json.loads(tags[0]).get("tags") or []) if tags else []:
            found = self._get(f"{repository}/manifests/{urllib.parse.quote(tag)}", _MANIFESTS)
            if found:
                body, headers = found
                digest = headers.get("Docker-Content-Digest") or _digest_of(body)
                yield tag, digest, body.decode(), headers["Content-Type"]

    def _get(self, path: str, accept: str) -> tuple[bytes, Mapping[str, Any]] | None:
        """Return body and headers, or None where there is no such thing or no registry answers."""
        password = base64.b64encode(f"AWS:{self.account}-auth-token".encode()).decode()
        request = urllib.request.Request(
            f"http://{self.address}/v2/{path}",
            headers={"Accept": accept, "Authorization": f"Basic {password}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_PATIENCE_S) as answer:
                return answer.read(), answer.headers
        except OSError:  # URLError and HTTPError are of its kind
            return None


def _digest_of(manifest: bytes) -> str:
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"
