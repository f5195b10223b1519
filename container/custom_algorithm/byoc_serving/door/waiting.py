"""The requests of a worker that have no answer yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from byoc_serving.calls import Call, Request, Response
from byoc_serving.door.behind import Slot
from byoc_serving.door.connection import Connection
from byoc_serving.door.head import Head
from byoc_serving.invocation import Batch, Invocations
from byoc_serving.models.models import Held


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits for its turn.

    Attributes:
        model: the name of the one that it calls, among several.
        held: that model, which stays in memory until the request is answered, its last piece included.
        refusal: what is answered where it could not be brought there.
    """

    connection: Connection
    head: Head
    request: Request
    place: int
    is_invocation: bool = False
    model: str | None = None
    held: Held | None = None
    refusal: Response | None = None


@dataclass(slots=True)
class Taken:
    """Requests that were taken together, as long as not all of them are answered.

    Attributes:
        ones: those that are not, as many as the batch has calls.
        is_split: they are not all predicted at once.
    """

    invocations: Invocations
    batch: Batch
    ones: list[Waiting]
    is_split: bool = False

    def say_who_is_at_work(self, slot: Slot) -> None:
        """Note in the worker's slot on which of them it is, where it is not on all."""
        batch = self.batch
        if not self.is_split and len(batch.left) < 2:
            return
        self.is_split = True
        now = {id(call) for call in batch.left[0].calls} if batch.left else set()
        for one, call in zip(self.ones, batch.calls, strict=True):
            slot.pass_by(one.place, passed=id(call) not in now)
        slot.work_on(len(now))

    def keep_the_rest(self, calls: Sequence[Call]) -> list[Waiting]:
        """Return those whose calls have left the batch, and keep the others.

        Args:
            calls: of all of them.
        """
        left = {id(call) for call in self.batch.calls}
        pairs = list(zip(self.ones, calls, strict=True))
        self.ones = [one for one, call in pairs if id(call) in left]
        return [one for one, call in pairs if id(call) not in left]
