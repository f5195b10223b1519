"""Where one container is tried: what its rules share, such as a server and what it answered."""

import shutil
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from byoc.check.early import FirstCalls, first_calls
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.facts import Facts, facts_of
from byoc.check.files import Files, files_of
from byoc.check.flight import wait_until
from byoc.check.launched import with_programs
from byoc.check.question import Address, Sample
from byoc.check.reach import RUNS_ALREADY_S, server_at
from byoc.check.runs import ORDINARY, ServeSetup
from byoc.check.serving import Server
from byoc.check.starts import Starts
from byoc.check.verdict import CannotTestError
from byoc.check.waiting import HiddenError, NotServingError
from byoc.runtime.opt_ml import protect, remove

_OWN_PORT = 8080
_ANSWERS = "invocation-answers"
_ENDING_S = 1.0  # from when a server that ends is not reached any more until its end is seen
# What SageMaker does not give, tried where a container does not start without: all of it, then less.
_EASIEST = ServeSetup(writable_model=True, large_shm=True)
_EASIER = (ServeSetup(writable_model=True), ServeSetup(large_shm=True))

_Made = TypeVar("_Made")


@dataclass
class Lab(Starts):
    """Runs the container in question; as a context manager it leaves nothing behind.

    Attributes:
        never: why there is no shared server, None where there is one or none was wanted yet.
        first: what calls came to when the shared server had just become ready, None where there was none.
        ended: how a shared server ended that nobody had stopped, "" where none did.
    """

    _server: Server | None = None
    never: NotServingError | None = None
    first: FirstCalls | None = None
    ended: str = ""
    _answer: Answer | BrokenCallError | None = None
    _made: dict[Hashable, Any] = field(default_factory=dict)
    _shared: ExitStack = field(default_factory=ExitStack)
    _kept: Server | None = None
    _keeping: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self.close_server()
        self._keeping.close()
        remove(self.work)

    @cached_property
    def facts(self) -> Facts:
        """What the image says of itself."""
        return with_programs(facts_of(self.image), lambda: self.files)

    @cached_property
    def files(self) -> Files:
        """The image's file system."""
        self.progress("the image's files are read")
        return files_of(self.image)

    @property
    def sample(self) -> Sample:
        """The user's sample request.

        Raises:
            CannotTestError: there is none.
        """
        if self.question.sample is None:
            raise CannotTestError("Give a request that it answers: --request FILE --content-type TYPE.")
        return self.question.sample

    @cached_property
    def model(self) -> Path | None:
        """A copy of the model's folder: the user's, or what `train` left; None where neither is known."""
        given = self.question.model
        if given is None and self.facts.has("train"):
            with suppress(CannotTestError):  # it is train-completes that tells why
                given = self.completed.tree.model if self.completed.left else None
        if given is None:
            return None
        copy = self.work / "model"
        try:
            shutil.copytree(given, copy, symlinks=True)
        except OSError as error:  # such as what a container's root has closed to others
            raise CannotTestError(f"The model {given} cannot be read: {error}") from error
        protect(copy)
        return copy

    def server(self) -> Server:
        """Return the server that rules share: started when the first one asks, again when it has died.

        Raises:
            NotServingError: it does not become ready.
        """
        if self.never is not None:
            raise self.never
        if self._server is not None and not self._server.is_alive():
            wait_until(self._server.is_gone, _ENDING_S)
            self.close_server()
        if self._server is None:
            try:
                self._server = self._start()
            except NotServingError as error:
                self.never = error
                raise
        return self._server

    def forget_end(self) -> None:
        """Have no further rule tell that the shared server has ended, or is about to: one has."""
        if self._server is not None and not self._server.is_alive():
            self.close_server()
        self.ended = ""

    def tell_end(self) -> str:
        """Return how a shared server has ended by itself, "" where none has: once, for one rule to tell."""
        told, self.ended = self.ended, ""
        return told

    def once(self, make: Callable[["Lab"], _Made]) -> _Made:
        """Return what a function makes of this lab: made when the first rule asks for it, and remembered."""
        if make not in self._made:
            self._made[make] = make(self)
        made: _Made = self._made[make]
        return made

    def first_answer(self) -> Answer:
        """What the shared server answers to the sample as it is: asked once, and remembered.

        Raises:
            BrokenCallError: no whole answer came.
            CannotTestError: there is no sample, or no server.
        """
        if self._answer is None:
            sample, server = self.sample, self.server()
            self.progress("the sample is sent")
            try:
                self._answer = server.invoke(sample)
            except BrokenCallError as error:
                self._answer = error
        if isinstance(self._answer, BrokenCallError):
            raise self._answer
        return self._answer

    def good_answer(self) -> Answer:
        """The same, where it is 2xx: what the answers to the sample's variants are compared with.

        Raises:
            CannotTestError: it is not.
        """
        why = f"The sample request is not answered with 2xx: see {_ANSWERS}."
        try:
            answer = self.first_answer()
        except BrokenCallError as error:
            raise CannotTestError(why, _ANSWERS) from error
        if not answer.is_good:
            raise CannotTestError(why, _ANSWERS)
        return answer

    @property
    def good_sample(self) -> Sample | None:
        """The user's sample request, where there is one and the shared server answers it with 2xx."""
        try:
            self.good_answer()
        except CannotTestError:
            return None
        return self.question.sample

    @property
    def ease(self) -> ServeSetup:
        """What the shared server is given that SageMaker does not give, as it starts only so.

        Raises:
            NotServingError: it does not become ready in any way.
        """
        self.server()
        return self._ease

    def close_server(self) -> None:
        """End the shared server, if it has not ended by itself; the next who asks gets another."""
        server, self._server = self._server, None
        if server is not None and server.is_gone() and not self.ended:
            status = server.running.process.poll()
            self.ended = f"After calls serve ended by itself, with status {status}{server.tail()}"
        self._shared.close()

    def keep(self, setup: ServeSetup) -> Server:
        """Return a server that is started without a model, and runs on for other rules: one at a time.

        Raises:
            NotServingError: it does not become ready.
        """
        self._keeping.close()
        with ExitStack() as starting:
            server = self._kept = starting.enter_context(self.starting(setup, None))
            self.wait_until_ready(server)
            self._keeping = starting.pop_all()
        return server

    @contextmanager
    def serving(self, setup: ServeSetup = ORDINARY) -> Iterator[Server]:
        """Give a server of the rule's own, which is ready; it ends with the block.

        Raises:
            NotServingError: it does not become ready, or the shared one has not.
        """
        if self.never is not None:
            raise self.never
        with self.starting(setup, self.model) as server:
            self.wait_until_ready(server)
            self.usual_s = self.usual_s or server.ready_s
            if self.first is not None and self.first.are_early:
                self.wait_until_it_answers(server)
            yield server

    def wait_until_it_answers(self, server: Server) -> FirstCalls:
        """Have a server that is ready called until it answers all calls, or for a while."""
        return first_calls(server, self.sample, self.patience_s, self.progress)

    @contextmanager
    def starting(self, setup: ServeSetup, model: Path | None) -> Iterator[Server]:
        """Give a server of the rule's own as `Starts` does; those that run on make room if need be."""
        for server, close in ((self._server, self.close_server), (self._kept, self._keeping.close)):
            if server and server.container and server.container.port == _OWN_PORT:
                close()  # this machine has one such port
        with super().starting(setup, model) as started:
            yield started

    def _start(self) -> Server:
        if isinstance(self.question.target, Address):
            server = server_at(self.question.target)
            server.wait_until_ready(min(self.question.patience_s, RUNS_ALREADY_S), self.progress)
            return server
        try:
            return self._shared_one()
        except HiddenError:
            raise
        except NotServingError as error:
            if self._ease != ORDINARY or not (error.lacks_something and self._serves(_EASIEST)):
                raise
        self._ease = next(filter(self._serves, _EASIER), _EASIEST)
        return self._shared_one()

    def _shared_one(self) -> Server:
        server = self._shared.enter_context(self.serving())
        if self.first is None and self.question.sample is not None:
            self.first = self.wait_until_it_answers(server)
        return server

    def _serves(self, setup: ServeSetup) -> bool:
        try:
            with self.serving(setup):
                return True
        except NotServingError:
            return False
