"""What the operations of the local SageMaker may use: the services around it, the clock, its folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from byoc.local.s3.store import ObjectStore
from byoc.local.sagemaker.store import Store
from byoc.runtime.container import Image, Landlord


class Logs(Protocol):
    """CloudWatch Logs."""

    def put(self, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Add events, each with its milliseconds since 1970; group and stream are made where missing."""


class Metrics(Protocol):
    """CloudWatch."""

    def put(self, namespace: str, name: str, value: float, dimensions: dict[str, str], at_s: float) -> None:
        """Add one value."""


class Roles(Protocol):
    """IAM, as far as SageMaker asks it."""

    def check(self, role_arn: str) -> None:
        """Raise AWS's error where SageMaker may not assume the role."""


class Images(Protocol):
    """Where the image of a container comes from."""

    def find(self, image: str) -> Image:
        """Return what an image URI stands for; raise AWS's error where there is nothing."""


@dataclass(frozen=True)
class World:
    """All of it; `folder` holds the /opt/ml, HOME, TMPDIR and log of every program."""

    account: str
    region: str
    folder: Path
    store: Store
    objects: ObjectStore
    logs: Logs
    metrics: Metrics
    roles: Roles
    images: Images
    landlord: Landlord
    clock: Callable[[], float]


Operation = Callable[[World, dict[str, object]], dict[str, object]]
