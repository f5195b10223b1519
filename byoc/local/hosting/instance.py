"""One instance of an endpoint: a program with an /opt/ml of its own, from its start to its end."""

import logging
import secrets
import threading
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field

from byoc.local.errors import AwsError
from byoc.local.hosting import failure
from byoc.local.hosting.log_shipping import LogShipping, Tail
from byoc.local.hosting.model_data import ModelDataError, lay_out
from byoc.local.hosting.plan import VariantPlan
from byoc.local.hosting.upstream import Upstream
from byoc.local.world import World
from byoc.runtime.container import Container, ProgramError, Spec, start
from byoc.runtime.opt_ml import lay_out_serving, remove
from byoc.runtime.program import Place
from byoc.runtime.readiness import ping

_OK = 200
_log = logging.getLogger(__name__)
_SOONEST_LOOK_S = 0.02
_LATEST_LOOK_S = 0.5


class StartError(Exception):
    """An instance did not come up; the message is an endpoint's FailureReason."""


class StoppedError(Exception):
    """An instance was not started, or waited for, any longer, as somebody asked for its end."""


@dataclass(frozen=True)
class Workshop:
    """What every instance of one endpoint is made with."""

    world: World
    endpoint: str
    logs: LogShipping
    dialers: Executor


@dataclass
class Instance:
    """A program; `prepare` and `start` it, wait until it is healthy, `stop` it.

    Attributes:
        id: such as "i-0f3a…", the last part of its log stream.
        stopping: set when its end is asked for.
    """

    workshop: Workshop
    plan: VariantPlan
    id: str = field(default_factory=lambda: f"i-0{secrets.token_hex(8)}")
    stopping: threading.Event = field(default_factory=threading.Event)
    _container: Container | None = None
    _upstream: Upstream | None = None
    _tail: Tail | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _leaving: threading.Lock = field(default_factory=threading.Lock)

    @property
    def place(self) -> Place:
        """Its folder."""
        return Place(self.workshop.world.folder / "endpoints" / self.id)

    @property
    def upstream(self) -> Upstream:
        """The way to it; there from `start` on."""
        assert self._upstream is not None  # noqa: S101 - the order of calls
        return self._upstream

    def prepare(self) -> None:
        """Lay its /opt/ml out; this may take long.

        Raises:
            StartError: the model's data cannot be had.
        """
        artefact = self.place.root / "artefact"
        self.place.root.mkdir(parents=True)
        try:
            lay_out(self.workshop.world.objects, self.plan.container, artefact)
            lay_out_serving(self.place.opt_ml, artefact)
        except ModelDataError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise StartError(f"The model cannot be laid out on this machine: {error}. Make room.") from error

    def start(self) -> None:
        """Start the program; it may still be loading when this returns.

        Raises:
            StartError: there is nothing to run, or it cannot be run here.
            StoppedError: its end was asked for before.
        """
        try:
            spec = self._spec()  # an image may have to be pulled: nobody who ends this shall wait for that
            with self._lock:
                if self.stopping.is_set():
                    raise StoppedError
                self._container = start(spec, self.workshop.world.landlord)
        except (AwsError, ProgramError, OSError) as error:
            raise StartError(str(error)) from error
        if self._container.note:
            _log.warning("endpoint %s: %s", self.workshop.endpoint, self._container.note)
        self._upstream = Upstream(self.id, self._container.dial, self.workshop.dialers)
        group = f"/aws/sagemaker/Endpoints/{self.workshop.endpoint}"
        tail = Tail(self.place.log, group, f"{self.plan.name}/{self.id}")
        self._tail = self.workshop.logs.follow(tail)

    def _spec(self) -> Spec:
        world = self.workshop.world
        region = (
            {} if self.plan.isolated else {"AWS_REGION": world.region, "AWS_DEFAULT_REGION": world.region}
        )
        return Spec(
            name=f"{self.workshop.endpoint}/{self.plan.name}",
            image=world.images.find(self.plan.image),
            verb="serve",
            place=self.place,
            environment={**region, **self.plan.environment},
            read_only_model=True,
            isolated=self.plan.isolated,
        )

    def wait_until_healthy(self) -> None:
        """Return when /ping answers 200; any other answer is "not yet".

        A program that has ended fails at once, where AWS starts it again until the time is over.

        Raises:
            StartError: it ended, or did not answer 200 in time.
            StoppedError: its end was asked for.
        """
        give_up = time.monotonic() + self.plan.startup_timeout_s
        look_s = _SOONEST_LOOK_S
        while True:
            status, body = self.ping()
            if status == _OK:
                return
            ended_with = self.ended_with()
            if self.stopping.is_set():
                raise StoppedError
            if ended_with is not None:
                raise self._unhealthy(f"The program ended with status {ended_with}.")
            if time.monotonic() > give_up:
                answer = f"/ping answered {status}: {body}" if status else f"no answer to /ping: {body}"
                raise self._unhealthy(f"After {self.plan.startup_timeout_s:g} s {answer.strip()}.")
            self.stopping.wait(look_s)
            look_s = min(look_s * 1.3, _LATEST_LOOK_S)

    def ping(self) -> tuple[int, str]:
        """Return the status and body of GET /ping; status 0 and the reason where nobody answers."""
        return ping(self._running().dial)

    def ended_with(self) -> int | None:
        """Return the program's exit status, None while it runs."""
        return self._running().process.poll()

    def stop(self, grace_s: float | None = None) -> None:
        """SIGTERM, SIGKILL after the grace (30 s, or a shorter one); remove its folder. Safe to repeat."""
        self.stopping.set()
        with self._lock:
            container, upstream = self._container, self._upstream
        if upstream is not None:
            upstream.close()  # many a server waits at its end for connections that are idle
        if container is not None:
            container.process.stop(grace_s)
        with self._leaving:
            if self._tail is not None:
                self.workshop.logs.finish(self._tail)
            remove(self.place.root)
            self.place.log.unlink(missing_ok=True)

    def _running(self) -> Container:
        assert self._container is not None  # noqa: S101 - the order of calls
        return self._container

    def _unhealthy(self, outcome: str) -> StartError:
        lines = self._running().process.last_lines(failure.LINES)
        return StartError(failure.failure_reason(self.plan.name, outcome, lines))


def sweep(world: World) -> None:
    """Remove what instances left behind when the local SageMaker was killed."""
    folder = world.folder / "endpoints"
    if folder.is_dir():
        remove(folder)
