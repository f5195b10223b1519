"""Starts a container's programs: each run in a place of its own, with a patience learnt from those before."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from byoc.check import runs
from byoc.check.question import Address, Question
from byoc.check.runs import ORDINARY, ServeSetup, TrainSetup
from byoc.check.serving import Server
from byoc.check.training import Trained, Training
from byoc.check.verdict import CannotTestError
from byoc.check.waiting import NotServingError
from byoc.runtime.container import Image, Place

_LONG_TRAINING_S = 60.0
# How long a start may take where another took `usual_s`, and where others have taken all the time in vain.
_START_S, _START_TIMES, _LAST_START_S = 30.0, 5.0, 60.0


@dataclass
class Starts:
    """Starts the container in question.

    Args:
        question: what the user gave.
        work: an empty folder.
        progress: hears what is going on.

    Attributes:
        usual_s: how long the first server took that became ready, None where none has.
    """

    question: Question
    work: Path
    progress: Callable[[str], None] = lambda _text: None
    usual_s: float | None = None
    _ease: ServeSetup = ORDINARY
    _runs: int = 0
    _waited_s: float = 0.0

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

    @contextmanager
    def starting(self, setup: ServeSetup, model: Path | None) -> Iterator[Server]:
        """Give a server of the rule's own, which has only just been started; it ends with the block.

        Args:
            model: the folder that becomes /opt/ml/model, None for an empty one.
        """
        self.progress("serve starts")
        eased = replace(
            setup,
            writable_model=setup.writable_model or self._ease.writable_model,
            large_shm=setup.large_shm or self._ease.large_shm,
        )
        with runs.serving(self.question, self.image, self._place("serve"), model, eased) as server:
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

    @property
    def patience_s(self) -> float:
        """How long a start may take: less than the user allows once it is known what one takes."""
        most_s = self.question.patience_s
        if self.question.thorough:
            return most_s
        if self.usual_s is not None:
            return min(most_s, _START_S + _START_TIMES * self.usual_s)
        return min(most_s, max(_LAST_START_S, most_s - self._waited_s))

    def _place(self, verb: str) -> Place:
        self._runs += 1
        return Place(self.work / f"{self._runs:03}-{verb}")
