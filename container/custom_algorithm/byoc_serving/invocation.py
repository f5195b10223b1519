"""Requests -> responses: the whole of /invocations, without any web framework."""

import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from byoc_serving.algorithm import Context, is_meant_for_the_process
from byoc_serving.answers import answer_of, headers_of
from byoc_serving.batching import Joined, joined
from byoc_serving.call_log import log_call
from byoc_serving.calls import (
    CUSTOM_ATTRIBUTES,
    INFERENCE_ID,
    Call,
    Headers,
    Request,
    Response,
    Stages,
    error_response,
    not_ready,
    refusal,
)
from byoc_serving.copies import Copies
from byoc_serving.errors import ChildError, NotReadyError, RequestError, ServingError
from byoc_serving.formats.arrays import refuse_missing, without_names
from byoc_serving.formats.charsets import text_of
from byoc_serving.formats.codecs import ENCODERS, decode, encode
from byoc_serving.formats.compression import expanded
from byoc_serving.formats.negotiation import JSON, MediaType, media_type, negotiate, preferred
from byoc_serving.loading import LoadedModel, Loading
from byoc_serving.memory import Memory
from byoc_serving.metrics.meter import Meter
from byoc_serving.metrics.own import OwnMetrics
from byoc_serving.metrics.table import Table
from byoc_serving.records import NotByRecordError, by_record, complaint, records_of, with_stated_header
from byoc_serving.settings import Settings

log = logging.getLogger("invocation")

MOST_TOGETHER = 256

# Of the timeout, at which the worker would be ended with all its calls.
_MENDING_SHARE = 0.5

# The statuses of failures that may be one record's only.
_OF_A_RECORD = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)

# What AWS's inference toolkit hands over as text (aws/sagemaker-inference-toolkit, content_types.py).
_TEXT_TYPES = (JSON, "text/csv")
_ENCODED = tuple(ENCODERS)

# Callers repeat the same few headers: what they say is worked out once.
_media_type = functools.lru_cache(256)(media_type)
_negotiated = functools.lru_cache(256)(negotiate)
_preferred = functools.lru_cache(256)(preferred)


@dataclass(frozen=True)
class Shared:
    """What a model has in common with the others of its process.

    Attributes:
        copies: the models in memory, the children of this one among them.
        meter: counts each call when it has its response, and is the user's code's `context.metrics`.
        name: by which this one is called, where there are several.
    """

    copies: Copies
    meter: Meter = field(default_factory=lambda: Meter(Table.private()))
    name: str | None = None


@dataclass(slots=True)
class Batch:
    """Calls that were taken together.

    Attributes:
        calls: those that have not been handed out with their answers.
        stages: of all of them, until each is predicted.
        loaded: the model that answers; None where there is none.
        left: the predictions that are still to be made, each at once, and what is to be mended.
    """

    calls: list[Call]
    stages: Stages
    loaded: LoadedModel | None
    left: deque[Joined] = field(default_factory=deque)


class Invocations:
    """The invocations of one process: threads may share it, a fork before the first load is safe.

    Args:
        settings: of the process.
        model_dir: where the model is; the settings' own unless told otherwise.
        note: is told of each call when it has its response.
        finish: makes of a loaded model the one that is used.
        shared: with others; by default it is alone.

    Attributes:
        loading: how far the model is.
        note: as given.
        meter: that which is shared.
    """

    def __init__(
        self,
        settings: Settings,
        model_dir: Path | None = None,
        note: Callable[[Call], None] = log_call,
        finish: Callable[[LoadedModel], LoadedModel] = lambda model: model,
        shared: Shared | None = None,
    ) -> None:
        shared = shared or Shared(Copies(Memory(settings.models_mb)))
        self._copies = shared.copies
        self.loading = Loading(settings, model_dir or settings.model_dir, finish, self._copies)
        self.note = note
        self.meter = shared.meter
        self._name = shared.name
        self._default_accept = settings.default_accept
        self._most_bytes = settings.max_payload_bytes
        self._placeholder = settings.bad_record
        self._mending_s = settings.timeout_s * _MENDING_SHARE

    def begin(
        self,
        workers: int,
        meter: Meter,
        note: Callable[[Call], None],
        finish: Callable[[LoadedModel], LoadedModel],
    ) -> LoadedModel:
        """Be one of several processes: load, unless that was before the fork, finish and return the model.

        Raises:
            ServingError: it failed, now or before.
        """
        self.meter, self.note = meter, note
        self._copies.begin(workers)
        self.loading.change(finish)
        return self.loading.load()

    def load(self) -> None:
        """Load the algorithm and the model, once (ServingError: it failed, now or before)."""
        self.loading.load()

    @property
    def together(self) -> int:
        """How many requests `take` is to be given at once: more than one only where that pays."""
        return MOST_TOGETHER if self.loading.batch_rows else 1

    def respond(self, request: Request) -> Response:
        """Answer a request, loading first where nobody did; failures are answers too, not exceptions."""
        meter = self.meter
        with meter.lock:
            meter.in_flight += 1
        try:
            batch = self.take([request])
            [call] = batch.calls
            while batch.calls:
                self.go_on(batch)
        finally:
            with meter.lock:
                meter.in_flight -= 1
        with meter.lock:
            meter.note(call)
        self.note(call)
        return call.answer

    def take(self, requests: Sequence[Request]) -> Batch:
        """Begin to answer requests: decode them, and join those that can be predicted together."""
        stages = Stages(time.perf_counter())
        calls = [Call(request, stages, model=self._name) for request in requests]
        loaded = self._loaded(calls)
        batch = Batch(calls, stages, loaded)
        if loaded is None:
            return batch
        for call in calls:
            call.model_version = loaded.version
            try:  # not by _try: this is done for each of many calls
                self._decode(call, loaded)
            except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
                call.response = _told(call, error)
        stages.decoded_s = time.perf_counter()
        batch.left.extend(joined(calls, loaded.batch_rows))
        if self._placeholder:
            batch.left.extend(Joined([call]) for call in calls if call.response)
        return batch

    def go_on(self, batch: Batch) -> list[Call]:
        """Make one prediction of a batch that has calls; return those that are answered, in their order.

        So a caller of it may turn to other things in between, however many predictions there are. It is to
        send the answer of each call, and then to pass the call to `meter.note` and `note`. Where a prediction
        for several calls fails, one for each half of them is left: whose row it was shows in the end.
        """
        if batch.left and batch.loaded:
            self._predict(batch.left.popleft(), batch, batch.loaded)
        answered, batch.calls = batch.calls, []
        if batch.left:
            later = {id(call) for group in batch.left for call in group.calls}
            batch.calls = [call for call in answered if id(call) in later]
            answered = [call for call in answered if id(call) not in later]
        now_s = time.perf_counter()
        for call in answered:
            call.stages.ended_s = now_s
            if call.response is None:
                raise RuntimeError("a call ended without a response")
        return answered

    def _loaded(self, calls: Sequence[Call]) -> LoadedModel | None:
        try:
            return self.loading.load()
        except NotReadyError as error:
            reason: ServingError = error
        except ServingError as error:
            log.exception("the model cannot be served", extra={"request_id": calls[0].request.request_id})
            reason = error
        for call in calls:
            call.response = not_ready(str(reason), self.loading.state)
        return None

    def _decode(self, call: Call, loaded: LoadedModel) -> None:
        """Settle the types and make the data (RequestError: the caller did something wrong)."""
        request, algorithm = call.request, loaded.algorithm
        body = expanded(request.body, request.headers.get("content-encoding"), self._most_bytes)
        content_type = _media_type(request.content_type or JSON)
        if algorithm.needs_context:
            choose = _preferred if algorithm.output_fn or algorithm.transform_fn else _negotiated
            call.accept = choose(request.accept, _ENCODED, self._default_accept)
            call.context = _context(loaded, request, self.meter.own)
        else:
            call.accept = _negotiated(request.accept, _ENCODED, self._default_accept)
        if algorithm.transform_fn:
            call.data = _user_body(body, content_type), content_type.name
        elif algorithm.input_fn:
            call.data = algorithm.input_fn(_user_body(body, content_type), content_type.name, call.context)
        else:
            if self._placeholder:
                content_type = with_stated_header(body, content_type, loaded.names)
            data = decode(body, content_type, loaded.n_features)
            if not loaded.allow_nan:
                refuse_missing(data)
            call.data = without_names(loaded.check(data, request.request_id) if loaded.check else data)

    def _predict(self, group: Joined, batch: Batch, loaded: LoadedModel) -> None:
        """Predict calls whose data were joined, and encode their answers; or leave it to the batch."""
        if len(group.calls) > 1:
            if not self._predict_together(group, batch.stages, loaded):
                batch.left.extendleft(reversed(group.halves()))
            elif self._placeholder:
                batch.left.extend(
                    Joined([call]) for call in group.calls if call.answer.status in _OF_A_RECORD
                )
            return
        [call] = group.calls
        until_s = time.perf_counter() + self._mending_s
        if call.response is None:
            call.stages = Stages(batch.stages.began_s, batch.stages.decoded_s)
            _try(call, self._predict_alone, loaded)
            call.stages.encoded_s = time.perf_counter()
        if self._placeholder:
            _try(call, functools.partial(self._mend, placeholder=self._placeholder, until_s=until_s), loaded)

    def _predict_together(self, group: Joined, decoded: Stages, loaded: LoadedModel) -> bool:
        stages = Stages(decoded.began_s, decoded.decoded_s, time.perf_counter(), together=len(group.calls))
        try:
            prediction = loaded.predict(group.data, None)
            parts = group.parts(prediction)
        except BaseException as error:
            if is_meant_for_the_process(error):
                raise
            return False
        stages.predicted_s = time.perf_counter()
        for call, part in zip(group.calls, parts, strict=True):
            call.stages, call.is_first = stages, False
            try:  # as in take
                self._encode(call, part, loaded)
            except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
                call.response = _told(call, error)
        group.calls[0].is_first = True
        stages.encoded_s = time.perf_counter()
        return True

    def _predict_alone(self, call: Call, loaded: LoadedModel) -> None:
        algorithm, stages = loaded.algorithm, call.stages
        stages.predicting_s = time.perf_counter()
        if algorithm.transform_fn:
            body, content_type = call.data
            result = algorithm.transform_fn(loaded.model, body, content_type, call.accept, call.context)
            stages.predicted_s = time.perf_counter()
            call.response = answer_of(result, call.accept, call.context)
            return
        prediction = loaded.predict(call.data, call.context)
        stages.predicted_s = time.perf_counter()
        self._encode(call, prediction, loaded)

    def _encode(self, call: Call, prediction: Any, loaded: LoadedModel) -> None:  # noqa: ANN401 - of any type
        algorithm = loaded.algorithm
        if algorithm.output_fn:
            result = algorithm.output_fn(prediction, call.accept, call.context)
            call.response = answer_of(result, call.accept, call.context)
            return
        call.response = Response(200, encode(prediction, call.accept), call.accept, headers_of(call.context))

    def _mend(self, call: Call, loaded: LoadedModel, placeholder: str, until_s: float) -> None:
        """Answer a failed call of several records by record, where its types have any and time is left."""
        if call.response is None or call.response.status not in _OF_A_RECORD:
            return
        request = call.request
        headers = Headers({k: v for k, v in request.headers.items() if k != "content-encoding"})

        def answer(lines: bytes, lines_type: MediaType) -> Response:
            part = Request(lines, str(lines_type), call.accept, headers, request.request_id)
            one = Call(part, Stages(time.perf_counter()))
            self._decode(one, loaded)
            self._predict_alone(one, loaded)
            return one.answer

        try:
            body = expanded(request.body, request.headers.get("content-encoding"), self._most_bytes)
            content_type = _media_type(request.content_type or JSON)
            records = records_of(body, with_stated_header(body, content_type, loaded.names))
            if not records or not records.lines:
                return
            call.response = by_record(
                records, call.accept, placeholder, answer, lambda: time.perf_counter() >= until_s
            )
        except (RequestError, NotByRecordError) as error:
            log.warning(f"no placeholder: {error}", extra={"request_id": request.request_id})
            return
        if records.bad:  # none where the whole failed, and each of its parts did not
            log.warning(complaint(records), extra={"request_id": request.request_id})


def _try(call: Call, act: Callable[[Call, LoadedModel], None], loaded: LoadedModel) -> None:
    """Do one thing for a call; should it fail, that is its response."""
    try:
        act(call, loaded)
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
        call.response = _told(call, error)


def _told(call: Call, error: BaseException) -> Response:
    """Return the answer to a call in which something was raised."""
    if not isinstance(error, RequestError):
        return _failed(call, error)
    try:  # the user's code may raise its own, with details that cannot be sent
        return refusal(error)
    except BaseException as unsendable:  # noqa: BLE001 - the user's code may raise anything
        return _failed(call, unsendable)


def _failed(call: Call, error: BaseException) -> Response:
    """Log an exception with its traceback under the request's id; tell the caller the id only."""
    if is_meant_for_the_process(error):
        raise error
    request_id = call.request.request_id
    log.error("the algorithm failed", exc_info=error, extra={"request_id": request_id})
    who = str(error) if isinstance(error, ChildError) else "The algorithm failed"
    return error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalServerError",
        f"{who}; its traceback is in the log under this id.",
        {"id": request_id},
    )


def _context(loaded: LoadedModel, request: Request, metrics: OwnMetrics) -> Context:
    return Context(
        metrics=metrics,
        model_dir=str(loaded.model_dir),
        request_id=request.request_id,
        inference_id=request.headers.get(INFERENCE_ID),
        custom_attributes=request.headers.get(CUSTOM_ATTRIBUTES),
        content_type=request.content_type,
        accept=request.accept,
        headers=request.headers,
    )


def _user_body(body: bytes, content_type: MediaType) -> str | bytes:
    """Return what the user's own function gets: text for the types that are text, else bytes."""
    is_text = content_type.name in _TEXT_TYPES
    return text_of(body, content_type.parameters.get("charset")) if is_text else body
