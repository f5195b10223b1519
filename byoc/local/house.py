"""Builds the planes of one local SageMaker and what they share, opens it, and closes it again."""

import logging
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path

from byoc.local import iam
from byoc.local.application import Application, Planes
from byoc.local.cloudwatch import CloudWatchLogs, CloudWatchMetrics
from byoc.local.ecr import Ecr, seed_repository
from byoc.local.fence import Fence
from byoc.local.hosting import endpoints
from byoc.local.hosting.hosting import Hosting
from byoc.local.hosting.invoke import InvokePlane
from byoc.local.images import LocalImages, Sources
from byoc.local.instance import Instance, Keys, around_the_proxy, program_settings
from byoc.local.log_cap import drop_oldest
from byoc.local.outside import Detour, Outside
from byoc.local.registry import Registry
from byoc.local.s3.plane import S3Plane
from byoc.local.s3.store import ObjectStore
from byoc.local.sagemaker import endpoint_configs, models, tags, training_jobs
from byoc.local.sagemaker.plane import SageMakerPlane
from byoc.local.sagemaker.store import Store
from byoc.local.sagemaker.training_runs import TrainingRuns
from byoc.local.sts import issuing
from byoc.local.world import Operation, World
from byoc.runtime.container import Landlord

_log = logging.getLogger(__name__)
Listening = Callable[[socket.socket], None]


def operations_of(runs: TrainingRuns, hosting: Hosting) -> dict[str, Operation]:
    """Return every operation of the SageMaker plane by its name."""
    return {
        **models.OPERATIONS,
        **endpoint_configs.OPERATIONS,
        **tags.OPERATIONS,
        **training_jobs.operations(runs),
        **endpoints.operations(hosting),
    }


class House:
    """Everything behind the port of one instance.

    Args:
        facts: who it is.
        sources: where its images come from.
        listen, forget: of the web server, for the networks of programs.
    """

    def __init__(
        self,
        facts: Instance,
        sources: Sources,
        listen: Listening,
        forget: Listening,
    ) -> None:
        self._facts = facts
        self._fence = Fence(facts.port, facts.access_key)
        images = LocalImages(sources)
        self._outside = _outside(facts, self._fence, images)
        landlord = Landlord(facts.port, listen, self._environment, forget)
        self._world = self._new_world(images, landlord)
        self._runs = TrainingRuns(self._world)
        self._hosting = Hosting(self._world)
        self.answer = Application(self._fence, self._planes())

    def open(self) -> None:
        """Bring back what was in service before a restart, and load moto, beside the first requests."""
        for name, begin in (("moto", self._outside.warm), ("restore", self._hosting.restore)):
            threading.Thread(target=begin, name=name, daemon=True).start()

    def close(self) -> None:
        """End every program; what is kept stays as it is."""
        for ending in (self._runs.close, self._hosting.close, self._world.objects.close):
            try:
                ending()
            except Exception:  # noqa: BLE001 - the others have to end all the same
                _log.exception("%s failed", ending)

    def _planes(self) -> Planes:
        operations = operations_of(self._runs, self._hosting)
        return Planes(
            invoke=InvokePlane(self._world, self._hosting),
            sagemaker=SageMakerPlane(self._world, operations),
            s3=S3Plane(self._world.objects, self._facts.region),
            outside=self._outside,
        )

    def _new_world(self, images: LocalImages, landlord: Landlord) -> World:
        data = Path(self._facts.data)
        programs = data / "programs"
        programs.mkdir(mode=0o700, exist_ok=True)
        objects = ObjectStore(data / "objects")
        objects.create_bucket(self._facts.bucket)
        return World(
            account=self._facts.account,
            region=self._facts.region,
            folder=programs,
            store=Store(data / "sagemaker.sqlite"),
            objects=objects,
            logs=CloudWatchLogs(self._outside),
            metrics=CloudWatchMetrics(self._outside),
            roles=iam.IamRoles(self._outside, self._facts.account),
            images=images,
            landlord=landlord,
            clock=time.time,
        )

    def _environment(self, url: str) -> Mapping[str, str]:
        """Return the variables of a program that sees us at `url`, under which we answer from now on."""
        place = urllib.parse.urlsplit(url)
        self._fence.let_in(place.netloc)
        keys = Keys(self._facts.access_key, self._facts.secret_key)
        no_proxy = around_the_proxy({"NO_PROXY": place.hostname or ""})
        return program_settings(url, self._facts.region, keys) | no_proxy


def _outside(facts: Instance, fence: Fence, images: LocalImages) -> Outside:
    sources = images.sources

    def seed_repositories(outside: Outside) -> None:
        for name in sources.programs.folders():
            seed_repository(outside.client("ecr"), name)

    registry = Registry(sources.registry, facts.account) if sources.registry else None
    detours: dict[str, Detour] = {
        "iam": iam.simulate,
        "sts": issuing(fence.issue),
        "ecr": Ecr(images.stand_in, registry),
    }
    return Outside(
        facts.region, facts.access_key, detours, [iam.seed_role, seed_repositories], {"logs": drop_oldest}
    )
