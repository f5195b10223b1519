"""Images as ECR knows them: a tag, a manifest and its digest."""

import hashlib
import json
from dataclasses import dataclass

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class Tagged:
    """An image of a repository under one of its tags."""

    tag: str
    digest: str
    manifest: str
    media_type: str


def digest_of(content: bytes) -> str:
    """Return a digest as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def stand_in(content_digest: str) -> Tagged:
    """Return the image `latest` that stands for content which is no image, such as a program's folder."""
    config = {"mediaType": _CONFIG, "size": 0, "digest": content_digest}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []})
    return Tagged("latest", digest_of(manifest.encode()), manifest, MANIFEST)
