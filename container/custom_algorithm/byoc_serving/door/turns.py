"""Whose turn it is in a worker: requests in the order of their coming, those together that may be."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from time import monotonic, perf_counter

from byoc_serving.calls import (
    INFERENCE_ID,
    Request,
    Response,
    answered_at_once,
    error_response,
    request_id_of,
)
from byoc_serving.door.behind import Door, Watched
from byoc_serving.door.connection import Connection
from byoc_serving.door.flask_side import environ_of, response_of
from byoc_serving.door.head import Head
from byoc_serving.door.waiting import Taken, Waiting
from byoc_serving.errors import ServingError
from byoc_serving.invocation import Invocations
from byoc_serving.models.api import REFUSAL, called_model, is_of_models, refused
from byoc_serving.models.models import Held, Models
from byoc_serving.models.registry import Stamp
from byoc_serving.streams import until_sent

log = logging.getLogger("door")

Soon = Callable[[Callable[[], None]], object]
# Does something that takes long beside the loop, and has the loop call what it returns.
Aside = Callable[[Callable[[], Callable[[], None]]], object]

# By its name, and by what tells it from others that had the same name before.
_Model = tuple[str, Stamp | None]

# The loop accepts one connection in each of its rounds, and reads from it two rounds later. Callers who come
# all at once shall be predicted together, and be counted where too many wait; no turn is put off for long.
_ROUNDS_OF_A_NEWCOMER, _LONGEST_PUT_OFF_S = 3, 0.01

_INVOCATIONS = b"/invocations"
_INFERENCE_ID = INFERENCE_ID.encode()
_BUSY = error_response(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "TooManyRequests",
    "Too many requests wait for this worker. Send this one again later, or raise MODEL_SERVER_QUEUE.",
)._replace(headers={"Retry-After": "1"})


class Turns:
    """The requests of one worker.

    Args:
        door: what they are for.
        soon: calls a function when the loop has read what there is to read.
        later: calls a function after so many seconds.
        aside: does what takes long: models are loaded beside the loop, which goes on answering for others.
    """

    def __init__(
        self, door: Door, soon: Soon, later: Callable[[float, Callable[[], None]], object], aside: Aside
    ) -> None:
        self.connections: set[Connection] = set()
        self._door = door
        self._soon = soon
        self._later = later
        self._aside = aside
        self._waiting: deque[Waiting] = deque()
        self._taken: Taken | None = None
        self._at_side = 0
        self._streams = 0
        self._rounds_to_settle = 0
        self._put_off_until_s = 0.0
        self._coming: dict[_Model, list[Waiting]] = {}  # which calls wait for which models
        self._is_due = False
        self._is_last_round = False

    def connection(self) -> Connection:
        """Return a new connection, whose requests wait here."""
        self._rounds_to_settle = _ROUNDS_OF_A_NEWCOMER
        return Connection(self._received, self.connections, self._door.most_bytes)

    def close_quiet_connections(self, quiet_s: float, receiving_s: float | None = None) -> None:
        """Close those on which nothing is answered, and nothing was or came in for so long.

        Args:
            quiet_s: how long.
            receiving_s: the same for a connection on which a request has begun to come in.
        """
        now_s = monotonic()
        longer_s = quiet_s if receiving_s is None else receiving_s
        for connection in list(self.connections):
            patience_s = longer_s if connection.is_receiving else quiet_s
            if not connection.is_busy and now_s - connection.quiet_since_s >= patience_s:
                connection.close()

    def finish(self) -> None:
        """From now on close each connection with its next answer."""
        self._is_last_round = True

    def _received(self, connection: Connection, head: Head, body: bytes) -> None:
        if self._is_last_round:
            head.closes = True
        door, text = self._door, head.text
        request = Request(
            body,
            text(b"content-type"),
            text(b"accept"),
            head,
            request_id_of(text(b"x-request-id")),
            perf_counter(),
        )
        taken = len(self._taken.ones) if self._taken else 0
        if len(self._waiting) + taken + self._at_side + self._streams >= door.most_waiting:
            self._send_away(connection, head, request)
            return
        place = door.slot.begin(request.request_id, text(_INFERENCE_ID))
        one = Waiting(connection, head, request, place)
        if head.method == b"POST":
            if door.models:
                one.model = called_model(head.target)
                one.is_invocation = one.model is not None and door.invocations is not None
            else:
                one.is_invocation = door.invocations is not None and _is_invocations(head.target)
        self._waiting.append(one)
        if not self._is_due:
            self._be_due(one)

    def _be_due(self, one: Waiting) -> None:
        self._is_due = True
        if self._door.wait_s and one.is_invocation and self._may_be_joined(one):
            self._later(self._door.wait_s, self._take_turn)
        else:
            self._soon(self._take_turn)

    def _may_be_joined(self, one: Waiting) -> bool:
        door = self._door
        if door.models:
            return one.model is not None and door.models.together(one.model) > 1
        return door.invocations is not None and door.invocations.together > 1

    def _send_away(self, connection: Connection, head: Head, request: Request) -> None:
        connection.send(_BUSY)
        if head.method != b"POST":
            return
        model = called_model(head.target) if self._door.models else None
        if model is not None or (not self._door.models and _is_invocations(head.target)):
            call = answered_at_once(request, _BUSY, perf_counter(), model)
            self._door.meter.refuse(call)
            self._door.note(call)
            self._door.after()

    def _take_turn(self) -> None:
        if self._rounds_to_settle and self._may_be_put_off():
            self._rounds_to_settle -= 1
            self._soon(self._take_turn)
            return
        self._put_off_until_s = 0.0
        door = self._door
        door.slot.work()
        try:
            if self._taken:
                self._go_on(self._taken)
            elif door.models:
                self._ask_models(door.models, self._waiting.popleft())
            elif self._waiting[0].is_invocation and door.invocations:
                self._invoke(door.invocations, self._waiting.popleft())
            else:
                self._ask_application(self._waiting.popleft())
        finally:
            door.slot.rest()
            self._is_due = bool(self._waiting) or self._taken is not None
            if self._is_due:
                self._soon(self._take_turn)
            door.after()
            door.lives()

    def _may_be_put_off(self) -> bool:
        now_s = monotonic()
        self._put_off_until_s = self._put_off_until_s or now_s + _LONGEST_PUT_OFF_S
        return now_s < self._put_off_until_s

    def _ask_models(self, models: Models, one: Waiting) -> None:
        """Answer a call whose model is in memory, and have it brought there first where it is not."""
        if one.model is None and is_of_models(one.head.target):
            answer = partial(self._answer_from_aside, one)
            self._step_aside(one)
            self._begin_aside(one, lambda: partial(answer, self._applied(one)), answer)
            return
        if one.model is None or one.refusal:
            self._ask_application(one)
            return
        held = one.held or models.hold_if_here(one.model)
        if held is None:
            self._await_model(models, (one.model, models.registry.stamp(one.model)), one)
            return
        one.held = held
        if one.is_invocation:
            self._invoke(held.invocations, one)
        else:
            self._ask_application(one)

    def _await_model(self, models: Models, model: _Model, one: Waiting) -> None:
        """Let a call wait for its model; the first one that does has it brought into memory."""
        self._step_aside(one)
        waiting = self._coming.setdefault(model, [])
        waiting.append(one)
        if len(waiting) == 1:
            refuse = partial(self._refuse_waiting, model)
            self._begin_aside(one, lambda: self._fetched(models, model, one), refuse)

    def _step_aside(self, one: Waiting) -> None:
        self._at_side += 1
        self._door.slot.pass_by(one.place, passed=True)

    def _begin_aside(
        self, one: Waiting, act: Callable[[], Callable[[], None]], refuse: Callable[[Response], None]
    ) -> None:
        try:
            self._aside(act)
        except RuntimeError:  # there are as many threads as there may be
            log.exception("no thread could be started", extra={"request_id": one.request.request_id})
            refuse(_failed(one))

    def _fetched(self, models: Models, model: _Model, one: Waiting) -> Callable[[], None]:
        """Bring a model into memory, in a thread; return what the loop is to do then."""
        try:
            held = models.hold(model[0])
        except ServingError as error:
            return partial(self._refuse_waiting, model, refused(error))
        except Exception:  # else nobody would answer
            log.exception("a model could not be held", extra={"request_id": one.request.request_id})
            return partial(self._refuse_waiting, model, _failed(one))
        return partial(self._resume, model, held)

    def _resume(self, model: _Model, held: Held) -> None:
        calls = self._coming.pop(model)
        for _ in calls[1:]:
            held.keep()
        for one in calls:
            one.held = held
        self._step_back(calls)

    def _refuse_waiting(self, model: _Model, response: Response) -> None:
        calls = self._coming.pop(model)
        if not self._door.invocations:  # the application may have more to say, such as that nobody may ask
            for one in calls:
                one.refusal = response
            self._step_back(calls)
            return
        for one in calls:
            call = answered_at_once(one.request, response, perf_counter(), one.model)
            self._door.meter.note(call)
            self._door.note(call)
            self._answer_from_aside(one, response)

    def _step_back(self, calls: Sequence[Waiting]) -> None:
        """Put calls before all that came while they waited, in the order of their coming."""
        for one in reversed(calls):
            self._at_side -= 1
            self._door.slot.pass_by(one.place, passed=False)
            self._waiting.appendleft(one)
        if not self._is_due:
            self._be_due(calls[0])

    def _answer_from_aside(self, one: Waiting, response: Response) -> None:
        self._at_side -= 1
        self._answer(one, response)
        self._door.after()

    def _invoke(self, invocations: Invocations, first: Waiting) -> None:
        """Answer a call, and with it those behind it that are for the same model and may join."""
        taken = [first]
        most = invocations.together
        waiting = self._waiting
        while len(taken) < most and waiting and _may_join(first, waiting[0]):
            one = waiting.popleft()
            if first.held and not one.held:
                first.held.keep()
                one.held = first.held
            taken.append(one)
        if len(taken) > 1:
            self._door.slot.work_on(len(taken))
        try:
            batch = invocations.take([one.request for one in taken])
        except Exception as error:  # noqa: BLE001 - else nobody would answer, and their places would stay taken
            self._fail(taken, error)
            return
        self._go_on(Taken(invocations, batch, taken))

    def _go_on(self, taken: Taken) -> None:
        """Make one prediction for requests that were taken together, and send the answers that there are."""
        batch, ones, calls = taken.batch, taken.ones, taken.batch.calls
        taken.say_who_is_at_work(self._door.slot)
        self._taken = None
        try:
            answered = taken.invocations.go_on(batch)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(ones, error)
            return
        if batch.calls:
            ones = taken.keep_the_rest(calls)
            self._taken = taken
        for one, call in zip(ones, answered, strict=True):
            self._answer(one, call.answer)
        count, note = self._door.meter.note, self._door.note
        for call in answered:
            count(call)
            note(call)

    def _fail(self, ones: Sequence[Waiting], error: Exception) -> None:
        """Tell requests that a fault of ours keeps them from an answer."""
        for one in ones:
            log.error("a call has no answer", exc_info=error, extra={"request_id": one.request.request_id})
            call = answered_at_once(one.request, _failed(one), perf_counter(), one.model)
            self._answer(one, call.answer)
            self._door.meter.note(call)
            self._door.note(call)

    def _ask_application(self, one: Waiting) -> None:
        self._answer(one, self._applied(one))

    def _applied(self, one: Waiting) -> Response:
        """Return what the application answers."""
        door = self._door
        try:
            environ = environ_of(one.head, one.request.body, door.address, multithread=bool(door.models))
            if one.refusal:
                environ[REFUSAL] = one.refusal
            return response_of(door.application, environ)
        except Exception:
            log.exception("the application failed", extra={"request_id": one.request.request_id})
            return _failed(one)

    def _answer(self, one: Waiting, response: Response) -> None:
        if one.held:
            response = until_sent(response, one.held.release)
        if isinstance(response.body, bytes):
            one.connection.send(response)
            self._door.slot.end(one.place)
            return
        self._streams += 1
        self._door.slot.answered(one.place)
        self._door.slot.pass_by(one.place, passed=True)
        pieces = Watched(response.body, self._door, one.place)
        one.connection.send(until_sent(response._replace(body=pieces), partial(self._end_stream, one)))

    def _end_stream(self, one: Waiting) -> None:
        self._streams -= 1
        self._door.slot.end(one.place)


def _is_invocations(target: bytes) -> bool:
    return target == _INVOCATIONS or target.startswith(_INVOCATIONS + b"?")


def _may_join(first: Waiting, one: Waiting) -> bool:
    if not one.is_invocation or one.model != first.model:
        return False
    return not (first.held and one.held) or one.held.invocations is first.held.invocations


def _failed(one: Waiting) -> Response:
    return error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalServerError",
        "The server failed; its traceback is in the log under this id.",
        {"id": one.request.request_id},
    )
