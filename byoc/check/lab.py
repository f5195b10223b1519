"""Where one container is tried: what its rules share, and a place for each run of it."""

import shutil
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from byoc.check import runs
from byoc.check.early import FirstCalls, first_calls
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.facts import Facts, facts_of
from byoc.check.files import Files, files_of
from byoc.check.flight import wait_until
from byoc.check.launched import with_programs
from byoc.check.question import Address, Question, Sample
from byoc.check.reach import RUNS_ALREADY_S, server_at
from byoc.check.runs import ORDINARY, ServeSetup, TrainSetup
from byoc.check.serving import Server
from byoc.check.training import Trained, Training
from byoc.check.verdict import CannotTestError
from byoc.check.waiting import HiddenError, NotServingError
from byoc.runtime.container import Image, Place
from byoc.runtime.opt_ml import protect, remove

_OWN_PORT = 8080
_ANSWERS = "invocation-answers"
_LONG_TRAINING_S = 60.0
_ENDING_S = 1.0  # from when a server that ends is not reached any more until its end is seen
# How long a start may take where another took `usual_s`, and where others have taken all the time in vain.
_START_S, _START_TIMES, _LAST_START_S = 30.0, 5.0, 60.0
# What SageMaker does not give, tried where a container does not start without: all of it, then less.
_EASIEST = ServeSetup(writable_model=True, large_shm=True)
_EASIER = (ServeSetup(writable_model=True), ServeSetup(large_shm=True))

_Made = TypeVar("_Made")


@dataclass
class Lab:
    """Runs the container in question; as a context manager it leaves nothing behind.

    Args:
        question: what the user gave.
        work: an empty folder.
        progress: hears what is going on.

    Attributes:
        never: why there is no shared server, None where there is one or none was wanted yet.
        usual_s: how long the first server took that became ready, None where none has.
        first: what calls came to when the shared server had just become ready, None where there was none.
        ended: how a shared server ended that nobody had stopped, "" where none did.
    """

    question: Question
    work: Path
    progress: Callable[[str], None] = lambda _text: None
    _runs: int = 0
    _ease: ServeSetup = ORDINARY
    _server: Server | None = None
    never: NotServingError | None = None
    usual_s: float | None = None
    first: FirstCalls | None = None
    ended: str = ""
    _waited_s: float = 0.0
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

    @property
    def image(self) -> Image:
        """The container.

        Raises:
            CannotTestError: only the address of a server is known.
        """
        if isinstance(self.question.target, Address):
            raise CannotTestError("Only a running server was given: name its image or its folder.")
        return self.question.target

    @property
    def confines(self) -> bool:
        """Whether this machine can take something away from the container."""
        return runs.confines(self.image)

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
    def trained(self) -> Trained:
        """One run of `train` as SageMaker starts it, with the user's hyperparameters and channels."""
        return self.train(TrainSetup())

    @property
    def completed(self) -> Trained:
        """The same, if it ended well.

        Raises:
            CannotTestError: it did not.
        """
        if self.trained.status != 0:
            raise CannotTestError("train does not complete: see train-completes.", "train-completes")
        return self.trained

    @cached_property
    def hindered(self) -> Trained:
        """One run of `train` that fails at its end, as it cannot write its model.

        Raises:
            CannotTestError: it does not complete otherwise either, or has written one all the same.
        """
        if not self.completed.left:
            raise CannotTestError("train leaves no model, so it cannot be hindered from writing one.")
        run = self.train(TrainSetup(read_only_model=True))
        if run.left:
            raise CannotTestError("/opt/ml/model cannot be made read-only here: that takes bwrap or Docker.")
        return run

    def train(self, setup: TrainSetup) -> Trained:
        """Run `train` to its end, or to that of our patience."""
        with self.training(setup) as run:
            return run.wait(self.question.patience_s, self.progress)

    @contextmanager
    def training(self, setup: TrainSetup) -> Iterator[Training]:
        """Give a run of `train`; it ends with the block.

        Raises:
            CannotTestError: it is not the first, and each takes long.
        """
        first: Trained | None = self.__dict__.get("trained")
        if first is not None and first.seconds > _LONG_TRAINING_S and not self.question.thorough:
            raise CannotTestError(f"train takes {first.seconds:.0f} s: with --all it is run again for this.")
        self.progress("train runs")
        with runs.training(self.question, self.image, self._place("train"), setup) as run:
            yield run

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

    def wait_until_ready(self, server: Server) -> None:
        """Return when a server that was just started answers /ping with 200.

        Raises:
            NotServingError: it does not become ready in the time that it may take.
        """
        began = time.monotonic()
        try:
            server.wait_until_ready(self.patience_s, self.progress, hurries=self.question.hurries)
        except NotServingError:
            self._waited_s += time.monotonic() - began
            raise

    def wait_until_it_answers(self, server: Server) -> FirstCalls:
        """Have a server that is ready called until it answers all calls, or for a while."""
        return first_calls(server, self.sample, self.patience_s, self.progress)

    @property
    def patience_s(self) -> float:
        """How long a start may take: less than the user allows once it is known what one takes."""
        most_s = self.question.patience_s
        if self.question.thorough:
            return most_s
        if self.usual_s is not None:
            return min(most_s, _START_S + _START_TIMES * self.usual_s)
        return min(most_s, max(_LAST_START_S, most_s - self._waited_s))

    @contextmanager
    def starting(self, setup: ServeSetup, model: Path | None) -> Iterator[Server]:
        """Give a server of the rule's own, which has only just been started; it ends with the block.

        Args:
            model: the folder that becomes /opt/ml/model, None for an empty one.
        """
        self.progress("serve starts")
        for server, close in ((self._server, self.close_server), (self._kept, self._keeping.close)):
            if server and server.container and server.container.port == _OWN_PORT:
                close()  # this machine has one such port
        eased = replace(
            setup,
            writable_model=setup.writable_model or self._ease.writable_model,
            large_shm=setup.large_shm or self._ease.large_shm,
        )
        with runs.serving(self.question, self.image, self._place("serve"), model, eased) as server:
            yield server

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

    def _place(self, verb: str) -> Place:
        self._runs += 1
        return Place(self.work / f"{self._runs:03}-{verb}")
