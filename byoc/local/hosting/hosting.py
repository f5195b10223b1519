"""Keeps endpoints: brings their fleets up, changes one for another while calls go on, ends them."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from byoc.local.hosting import records
from byoc.local.hosting.fleet import Fleet
from byoc.local.hosting.instance import StartError, StoppedError, Workshop, sweep
from byoc.local.hosting.log_shipping import LogShipping
from byoc.local.hosting.plan import Plan
from byoc.local.hosting.records import Document
from byoc.local.hosting.routes import Routes
from byoc.local.hosting.tempo import Tempo
from byoc.local.sagemaker.kinds import ENDPOINT, drop, need, now
from byoc.local.world import World

_DIALERS = 8
_log = logging.getLogger(__name__)


class Hosting:
    """All endpoints; each act on one runs in a thread of its own, as AWS's goes on after its answer.

    The document of an endpoint in the store is the order as well as the record: `deploy` and `resize` go
    towards its "Next", and an act that was cut short by the end of this process is taken up by `restore`.
    Acts on one endpoint come one after another, and one that finds nothing left to do does nothing.

    Attributes:
        routes: the programs that answer, for InvokePlane.
    """

    def __init__(self, world: World, tempo: Tempo | None = None) -> None:
        self._world = world
        self._tempo = tempo or Tempo()
        self.routes = Routes()
        self._logs = LogShipping(world.logs, world.clock)
        self._dialers = ThreadPoolExecutor(_DIALERS, thread_name_prefix="dial")
        self._lock = threading.RLock()
        self._live: dict[str, Fleet] = {}
        self._fleets: set[Fleet] = set()
        self._threads: set[threading.Thread] = set()
        self._turns: dict[str, threading.Lock] = {}
        self._wanting: Counter[str] = Counter()  # how many acts have an endpoint's turn, or wait for it
        self._closing = threading.Event()
        sweep(world)
        self._mark_what_is_to_answer()

    def status(self, endpoint: str) -> str | None:
        """Return an endpoint's EndpointStatus, None where there is none."""
        document = self._world.store.get(ENDPOINT.type, endpoint)
        return None if document is None else str(document["EndpointStatus"])

    def deploy(self, endpoint: str) -> None:
        """Go towards the document's "Next": a new fleet answers before the old one is taken away.

        Where it does not come up, the old one stays (AWS, "Blue/green deployments"), or is started again.
        """
        self._run(self._deploy, endpoint)

    def resize(self, endpoint: str) -> None:
        """Go towards the document's "Next", which differs in counts and weights alone."""
        self._run(self._resize, endpoint)

    def remove(self, endpoint: str) -> None:
        """Take the endpoint away: no more calls; those under way end, its programs, and its document."""
        self._run(self._remove, endpoint)

    def restore(self) -> None:
        """Take up what the process before left: start what was InService, go on with what was under way.

        What was InService and could not be started again by the process before is tried again, too.
        """
        for document in self._world.store.all(ENDPOINT.type):
            name = str(document["EndpointName"])
            if document["EndpointStatus"] == "Deleting":
                self.remove(name)
            elif "Next" in document:
                self.deploy(name)

    def close(self) -> None:
        """End every program within `close_s`; the documents stay as they are, for `restore`."""
        self._closing.set()
        give_up = time.monotonic() + self._tempo.close_s
        with self._lock:
            fleets, acts = list(self._fleets), list(self._threads)
        grace_s = self._tempo.close_grace_s
        ends = [threading.Thread(target=fleet.stop, args=(grace_s,), daemon=True) for fleet in fleets]
        for end in ends:
            end.start()
        for thread in [*ends, *acts]:
            thread.join(max(0.0, give_up - time.monotonic()))
        self._dialers.shutdown(wait=False, cancel_futures=True)
        self._logs.close()

    def _mark_what_is_to_answer(self) -> None:
        """Let no client take an endpoint for what it was, before `restore` has come to it."""
        for document in self._world.store.all(ENDPOINT.type):
            if document["EndpointStatus"] in ("InService", "Failed"):
                self._record(
                    str(document["EndpointName"]),
                    lambda found: records.to_be_restored(found, now(self._world)),
                )

    def _run(self, act: Callable[[str], None], endpoint: str) -> None:
        def run() -> None:
            try:
                with self._turn(endpoint):
                    act(endpoint)
            except StoppedError:
                _log.info("endpoint %s: left as it is until the next start", endpoint)
            except Exception as error:  # noqa: BLE001 - the outermost of its thread; it is logged and recorded
                _log.exception("endpoint %s: an act on it failed", endpoint)
                reason = f"InternalFailure: {error!r}. The local SageMaker's own log has more."
                self._stay(endpoint, reason)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"endpoint-{endpoint}", daemon=True)
        with self._lock:
            if self._closing.is_set():
                return
            self._threads.add(thread)
            thread.start()

    @contextmanager
    def _turn(self, endpoint: str) -> Iterator[None]:
        """Let one act on an endpoint go on, when those before have ended."""
        with self._lock:
            self._wanting[endpoint] += 1
            turn = self._turns.setdefault(endpoint, threading.Lock())
        try:
            with turn:
                yield
        finally:
            with self._lock:
                self._wanting[endpoint] -= 1
                if not self._wanting[endpoint]:
                    del self._wanting[endpoint], self._turns[endpoint]

    def _deploy(self, endpoint: str) -> None:
        document = need(self._world, ENDPOINT, endpoint)
        plan = records.plan_in(document, "Next")
        if plan is None:
            return
        try:
            self._start(endpoint, plan)
        except StartError as error:
            self._fall_back(endpoint, str(error))
        else:
            self._in_service(endpoint, plan)

    def _fall_back(self, endpoint: str, reason: str) -> None:
        """Stay with what ran before, or start that again; where that is what has failed, it has failed."""
        document = need(self._world, ENDPOINT, endpoint)
        before = records.plan_in(document, "Plan")
        if before is None or (endpoint not in self._live and before == records.plan_in(document, "Next")):
            self._failed(endpoint, reason)
            return
        if endpoint not in self._live:
            self._rolling_back(endpoint)
            try:
                self._start(endpoint, before)
            except StartError as error:
                self._failed(endpoint, records.twice_failed(str(error), reason))
                return
        self._in_service(endpoint, before, reason)

    def _start(self, endpoint: str, plan: Plan) -> None:
        """Bring a fleet up and let it answer, in place of the one before, which is drained and ended.

        Raises:
            StartError: it does not come up; nothing of it is left.
            StoppedError: this process ends.
        """
        fleet = self._new_fleet(endpoint, plan)
        try:
            fleet.bring_up()
        except StoppedError:
            raise
        except Exception:
            if endpoint in self._live:
                self._rolling_back(endpoint)
            self._end(fleet)
            raise
        with self._lock:
            before = self._live.get(endpoint)
            self._live[endpoint] = fleet
            self.routes.switch(endpoint, fleet.routes())
        if before is not None:
            before.drain()
            self._end(before)

    def _resize(self, endpoint: str) -> None:
        document = need(self._world, ENDPOINT, endpoint)
        before, plan = records.plan_in(document, "Plan"), records.plan_in(document, "Next")
        fleet = self._live.get(endpoint)
        if plan is None or before is None or fleet is None:
            return
        try:
            fleet.resize(plan)
        except StartError as error:
            self._in_service(endpoint, before, str(error))
        else:
            self._in_service(endpoint, plan)

    def _remove(self, endpoint: str) -> None:
        if self.status(endpoint) != "Deleting":
            return
        with self._lock:  # between the two, a change of the fleet would bring its routes back
            self.routes.remove(endpoint)
            fleet = self._live.pop(endpoint, None)
        if fleet is not None:
            fleet.drain()
            self._end(fleet)
        if not self._closing.is_set():
            drop(self._world, ENDPOINT, endpoint)

    def _new_fleet(self, endpoint: str, plan: Plan) -> Fleet:
        workshop = Workshop(self._world, endpoint, self._logs, self._dialers)
        fleet = Fleet(workshop, plan, self._tempo, lambda changed: self._changed(endpoint, changed))
        with self._lock:
            if self._closing.is_set():
                raise StoppedError
            self._fleets.add(fleet)
        return fleet

    def _end(self, fleet: Fleet) -> None:
        fleet.stop()
        with self._lock:
            self._fleets.discard(fleet)

    def _changed(self, endpoint: str, fleet: Fleet) -> None:
        """Hear that one of a fleet's programs answers no longer, or again."""
        with self._lock:
            if self._live.get(endpoint) is not fleet:
                return
            routes = fleet.routes()
            self.routes.switch(endpoint, routes)
        counts = {variant: len(upstreams) for variant, (_, upstreams) in routes.items()}
        self._record(endpoint, lambda found: records.with_current_counts(found, counts))

    def _in_service(self, endpoint: str, plan: Plan, reason: str = "") -> None:
        if reason:
            _log.warning(
                "endpoint %s: the update failed, %s answers: %s", endpoint, plan.config, _short(reason)
            )
        else:
            _log.info("endpoint %s is InService with %s", endpoint, plan.config)
        self._record(endpoint, lambda found: records.in_service(found, plan, now(self._world), reason))

    def _stay(self, endpoint: str, reason: str) -> None:
        """Record that an act went wrong in a way nobody foresaw: what answered before still does."""
        live = self._live.get(endpoint)
        if live is None:
            self._failed(endpoint, reason)
        else:
            self._in_service(endpoint, live.plan, reason)

    def _rolling_back(self, endpoint: str) -> None:
        self._record(endpoint, lambda found: records.in_status(found, "RollingBack", now(self._world)))

    def _failed(self, endpoint: str, reason: str) -> None:
        _log.error("endpoint %s is Failed: %s", endpoint, _short(reason))
        self._record(endpoint, lambda found: records.failed(found, reason, now(self._world)))

    def _record(self, endpoint: str, change: Callable[[Document], Document]) -> None:
        """Write a change down, unless this process ends: then it is for `restore` to go on."""
        if self._closing.is_set():
            return
        try:
            self._world.store.update(ENDPOINT.type, endpoint, change)
        except KeyError:
            _log.info("endpoint %s is gone", endpoint)


def _short(reason: str) -> str:
    """Return a FailureReason in one line."""
    return " ".join(reason.split())
