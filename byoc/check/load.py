"""Calls of several clients at once: each one call, or without pause while a rule looks at something else.

Whoever ends the check, such as by ^C, waits for no call: each is made by a daemon thread, which nobody joins
then.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self, TypeVar

from byoc.check.exchange import Answer, BrokenCallError

_PAUSE_S = 0.01  # after a call that broke: a dead server is not to be asked without end
_LONGEST_QUEUE_S = 20.0  # SageMaker waits 60 s for an answer

_Made = TypeVar("_Made")


def at_once(call: Callable[[], _Made], clients: int) -> list[_Made]:
    """Have so many clients make a call at the same time; return what they come to when all have ended.

    What the first raises that does is raised.
    """
    made: list[Future[_Made]] = [Future() for _ in range(clients)]
    for number, future in enumerate(made):
        threading.Thread(target=_make, args=(call, future), name=f"call-{number}", daemon=True).start()
    return [future.result() for future in made]


def _make(call: Callable[[], _Made], made: "Future[_Made]") -> None:
    try:
        made.set_result(call())
    except Exception as error:  # noqa: BLE001 - it is raised where the call is waited for
        made.set_exception(error)


def crowd(most: int, call_s: float) -> int:
    """Return how many clients are to call at once: fewer where one process would be long busy with them."""
    return max(1, min(most, int(_LONGEST_QUEUE_S / max(call_s, 0.001))))


@dataclass
class Load:
    """Clients that call until the block ends.

    Attributes:
        call: makes one call.
        clients: how many call at the same time.
        answers: those that came.
        broken: why others did not, and how many seconds after the block's begin their calls were made.
    """

    call: Callable[[], Answer]
    clients: int
    answers: list[Answer] = field(default_factory=list)
    broken: list[tuple[str, float]] = field(default_factory=list)
    _ends: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _began: float = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        for number in range(self.clients):
            thread = threading.Thread(target=self._run, name=f"load-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Exception):
            self.end()  # or calls under way would meet another rule
        else:
            self.call_no_more()

    def call_no_more(self) -> None:
        """Make no further call; those under way go on. Safe to repeat."""
        self._ends.set()

    def end(self) -> None:
        """Make no further call, and return when those under way have ended. Safe to repeat."""
        self.call_no_more()
        for thread in self._threads:
            thread.join()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def _run(self) -> None:
        while not self._ends.is_set():
            made = self.seconds
            try:
                self.answers.append(self._shared(self.call()))
            except BrokenCallError as error:
                self.broken.append((str(error), made))
                self._ends.wait(_PAUSE_S)

    def _shared(self, answer: Answer) -> Answer:
        """Return an answer whose body is the first one's where both are alike: thousands are kept."""
        first = self.answers[0] if self.answers else answer
        return replace(answer, body=first.body) if answer.body == first.body else answer
