"""Loads, unloads, lists and finds models by name: what SageMaker asks of a multi-model container."""

import logging
import math
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from byoc_serving.algorithm import Algorithm, bind
from byoc_serving.call_log import log_call
from byoc_serving.calls import Call, Request, Response, answered_at_once
from byoc_serving.copies import Copies, Copy, Wanted
from byoc_serving.errors import BadRequestError, ConflictError, NotFoundError
from byoc_serving.family import size_without_children
from byoc_serving.invocation import Invocations, Shared
from byoc_serving.loading import LoadedModel
from byoc_serving.metrics.meter import Meter
from byoc_serving.metrics.table import Table
from byoc_serving.models.peers import Peers
from byoc_serving.models.registry import Entry, Registry, page_of
from byoc_serving.settings import Settings
from byoc_serving.versions.manifest import verify_model

log = logging.getLogger("models")

# A worker that is at work for longer than the timeout is killed; a little later, its memory is free.
_BEYOND_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Held:
    """A model that stays in memory until it is released as often as it was held.

    Attributes:
        keep: holds it once more.
    """

    invocations: Invocations
    release: Callable[[], None]
    keep: Callable[[], None]


class Models:
    """The models of one container, as one of its processes has them. Any thread may ask.

    Args:
        settings: of the process.
        copies: its models in memory, which may leave when memory is short and come back when they are called.
        note: is told of each call when it has its response.
        finish: makes of a loaded model the one that is used.

    Attributes:
        note: is told of each call when it has its response.
        meter: counts the calls of all of them.
        copies: as given.
        algorithm: of apps/, which all share; None before it was needed.
    """

    def __init__(
        self,
        settings: Settings,
        copies: Copies,
        note: Callable[[Call], None] = log_call,
        finish: Callable[[LoadedModel], LoadedModel] = lambda model: model,
    ) -> None:
        self._finish = finish
        self.note = note
        self.meter = Meter(Table.private())
        self._peers: Peers | None = None
        self._settings = settings
        self.copies = copies
        self.algorithm: Algorithm | None = None
        self._registry: Registry | None = None
        self._opening = threading.Lock()
        self._coming: set[str] = set()
        self._loads: tuple[str, float] | None = None  # which one now, and since when

    def begin(
        self,
        workers: int,
        meter: Meter,
        note: Callable[[Call], None],
        finish: Callable[[LoadedModel], LoadedModel],
        peers: Peers,
    ) -> None:
        """Be one of several processes (AlgorithmError: apps/ cannot be used, for whatever model)."""
        self.meter, self.note, self._finish = meter, note, finish
        self.algorithm = bind(self._settings)
        self.copies.begin(workers)
        self.copies.memory.begin()
        self._peers = peers
        peers.listen(self.drop_unloaded)

    def load(self, name: str, url: str) -> Entry:
        """Load a model from the folder that SageMaker has put it into.

        Raises:
            ConflictError: it is loaded already.
            InsufficientMemoryError: it does not fit.
            BadRequestError: there is no such folder, or it is not below that of the settings.
            ServingError: it cannot be used; the message says why.
        """
        _check_folder(name, url, self._settings.base_dir)
        with self.registry.locked(name):
            if self.registry.find(name):
                raise ConflictError(f"The model {name!r} is loaded already. DELETE it first to load it anew.")
            self._coming.add(name)
            try:
                with self.registry.adding(name, url) as entry:
                    self.copies.release(
                        self.copies.take(self._wanted(entry, partial(self._load_first, entry)))
                    )
            finally:
                self._coming.discard(name)
        log.info(f"the model {name!r} is loaded")
        return entry

    def unload(self, name: str) -> None:
        """Forget a model in all workers; its memory is free when this returns (NotFoundError: none such)."""
        with self.registry.locked(name):
            if not self.registry.remove(name):
                raise self._not_loaded(name)
            in_time = self.drop_unloaded()
            if self._peers:
                in_time &= self._peers.ask(self._patience_s)
        if not in_time:
            log.warning(f"the model {name!r} is unloaded, and some worker still uses it")
        log.info(f"the model {name!r} is unloaded")

    def describe(self, name: str) -> Entry:
        """Return a loaded model's entry (NotFoundError: there is none)."""
        if entry := self.registry.find(name):
            return entry
        raise self._not_loaded(name)

    def listed(self, token: str | None) -> tuple[Sequence[Entry], str | None]:
        """Return some of the loaded models, and the token for the next (BadRequestError: a bad one)."""
        return page_of(self.registry.entries(), token)

    def hold(self, name: str) -> Held:
        """Return a loaded model for use, bringing it into memory first where it is not.

        Raises:
            NotFoundError: it is not loaded.
            InsufficientMemoryError: it does not fit just now.
            ServingError: it cannot be used any more.
        """
        entry = self.describe(name)
        return self._held(self.copies.take(self._wanted(entry, partial(self._load_again, entry))))

    def hold_if_here(self, name: str) -> Held | None:
        """Return a loaded model for use if it is in memory: that takes no time."""
        stamp = self.registry.stamp(name)
        copy = self.copies.take_if_here(name, stamp) if stamp else None
        return self._held(copy) if copy else None

    def together(self, name: str) -> int:
        """How many calls of a model may be answered at once; one where it is not in memory yet."""
        held = self.hold_if_here(name)
        if held is None:
            return 1
        try:
            return held.invocations.together
        finally:
            held.release()

    def note_unheld(self, name: str, request: Request, response: Response) -> None:
        """Count and note a call of a model that could not be held."""
        call = answered_at_once(request, response, time.perf_counter(), name)
        with self.meter.lock:
            self.meter.note(call)
        self.note(call)

    def drop_unloaded(self) -> bool:
        """Drop what is in memory here and not loaded any more; return whether that ended in time."""
        return self.copies.drop(self._is_unloaded, self._patience_s)

    def overdue(self) -> str | None:
        """Return the name of the model that has been loading for longer than SAGEMAKER_STARTUP_TIMEOUT."""
        name, since_s = self._loads or ("", math.inf)
        return name if time.monotonic() - since_s > self._settings.startup_timeout_s else None

    @property
    def registry(self) -> Registry:
        """The models as all workers know them; of this process alone where no `serve` gave it a folder."""
        if self._registry is None:
            with self._opening:  # two of them would each know other models
                self._registry = self._registry or self._opened()
        return self._registry

    def _opened(self) -> Registry:
        folder = self._settings.run_dir
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="models-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Registry(folder / "models")

    @property
    def _patience_s(self) -> float:
        return self._settings.timeout_s + _BEYOND_TIMEOUT_S

    def _wanted(self, entry: Entry, load: Callable[[], Invocations]) -> Wanted[Invocations]:
        folder = Path(entry.url)
        return Wanted(
            key=entry.name,
            label=entry.name,
            load=load,
            size=lambda: size_without_children(folder),
            stamp=entry.stamp,
            group=str(folder),
        )

    def _load_first(self, entry: Entry) -> Invocations:
        with self._noted(entry.name):
            for warning in verify_model(self._settings, Path(entry.url)):
                log.warning(warning)
            return self._load(entry)

    def _load_again(self, entry: Entry) -> Invocations:
        if self.registry.stamp(entry.name) != entry.stamp:  # unloaded between the call and here
            raise self._not_loaded(entry.name)
        with self._noted(entry.name):
            return self._load(entry)

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        """Note that a model is loaded within a block: there is one at a time."""
        self._loads = name, time.monotonic()
        try:
            yield
        finally:
            self._loads = None

    def _load(self, entry: Entry) -> Invocations:
        shared = Shared(self.copies, self.meter, entry.name)
        invocations = Invocations(self._settings, Path(entry.url), self.note, self._finish, shared)
        invocations.load()
        if self.algorithm is None:  # not the model's own, which may hold the model
            self.algorithm = bind(self._settings)
        return invocations

    def _is_unloaded(self, wanted: Wanted[Any]) -> bool:
        name = wanted.key
        return (
            isinstance(name, str) and name not in self._coming and self.registry.stamp(name) != wanted.stamp
        )

    def _held(self, copy: Copy[Invocations]) -> Held:
        return Held(copy.value, partial(self.copies.release, copy), partial(self.copies.keep, copy))

    def _not_loaded(self, name: str) -> NotFoundError:
        return NotFoundError(f"The model {name!r} is not loaded. POST its name and url to /models first.")


def _check_folder(name: str, url: str, base: Path) -> None:
    """Refuse what is no folder of a model: all files in one are measured, some are read and named."""
    path = Path(url)
    if base not in path.parents or ".." in path.parts:
        raise BadRequestError(
            f"The model {name!r} is said to be in {url[:80]!r}. Give the path of a folder below {base}."
        )
    try:
        os.scandir(path).close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadRequestError(
            f"The model {name!r} is not in the folder {url[:80]!r}, which cannot be opened: {reason}."
        ) from None
