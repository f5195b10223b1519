"""A real registry that ECR's answers point at, asked for what was pushed to it."""

import base64
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from byoc.local.manifests import MANIFEST, Tagged, digest_of

_ECR_HOST = re.compile(rb"(https://)?\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")
_HOST_PORT = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}")
_MANIFESTS = ", ".join(
    [
        MANIFEST,
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    ]
)
_PATIENCE_S = 10


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
    """A registry, spoken to in plain http.

    Attributes:
        address: HOST:PORT.
        account: whose ECR it stands for.
    """

    address: str
    account: str

    def instead(self, body: bytes) -> bytes:
        """Return what ECR says with this registry in the place of AWS's own."""
        return _ECR_HOST.sub(lambda match: (b"http://" if match[1] else b"") + self.address.encode(), body)

    def images(self, repository: str) -> Iterator[Tagged]:
        """Yield all that a repository has; nothing where there is none."""
        tags = self._get(f"{repository}/tags/list", "application/json")
        for tag in (json.loads(tags[0]).get("tags") or []) if tags else []:
            found = self._get(f"{repository}/manifests/{urllib.parse.quote(tag)}", _MANIFESTS)
            if found:
                body, headers = found
                digest = headers.get("Docker-Content-Digest") or digest_of(body)
                yield Tagged(tag, digest, body.decode(), headers["Content-Type"])

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
