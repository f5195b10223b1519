"""What is to be checked, and with what: everything that the user gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from byoc.errors import ByocError
from byoc.runtime.images import DockerImage, Folder

_PORT = 80


@dataclass(frozen=True)
class Address:
    """A server that runs already."""

    host: str
    port: int
    url: str


Target = Folder | DockerImage | Address


@dataclass(frozen=True)
class Sample:
    """A request that the container is to answer with 2xx."""

    body: bytes = field(repr=False)
    content_type: str
    accept: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that SageMaker passes on with it."""
        accept = {} if self.accept is None else {"Accept": self.accept}
        return {"Content-Type": self.content_type, **accept}


@dataclass(frozen=True)
class Question:
    """Everything that the user gives.

    Attributes:
        sample: a request; without it only what needs no right answer is tested.
        model: a folder that becomes /opt/ml/model; without it, what `train` leaves.
        environment: of both programs, as CreateTrainingJob and CreateModel give it.
        instance_type: that the container shall run on.
        patience_s: how long `serve` may take until it answers /ping with 200, and `train` to end.
        thorough: whether it may take long.
        hurries: whether `serve` is waited for no longer once it is clear that /ping will not be answered 200.
    """

    target: Target
    sample: Sample | None = None
    model: Path | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    instance_type: str = "ml.m5.large"
    patience_s: float = 480.0
    thorough: bool = False
    hurries: bool = True


def address_of(url: str) -> Address:
    """Return the server that a URL names.

    Raises:
        ByocError: it is not http://HOST[:PORT].
    """
    parts = urlsplit(url)
    try:
        port = parts.port if parts.port is not None else _PORT
    except ValueError:
        port = 0
    if parts.scheme != "http" or not port:
        raise ByocError(f"{url} cannot be checked. Give http://HOST:PORT of a container that serves.")
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise ByocError(f"{url} cannot be checked. Give http://HOST:PORT alone: the paths are SageMaker's.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(parts.hostname, port, f"http://{host}{'' if port == _PORT else f':{port}'}")
