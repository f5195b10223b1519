"""One line in the log for each call, written through logging or, by a worker of ours, straight to stdout."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping

from byoc_serving.calls import CUSTOM_ATTRIBUTES, INFERENCE_ID, Call

log = logging.getLogger("invocation")

_BODY_AT_MOST = 1000
_WHOLE_AT_MOST = 4096  # bytes that one write to a pipe keeps together (PIPE_BUF), whoever else writes to it


def log_call(call: Call, bodies: bool = False) -> None:
    """Log a call as anything else is logged; with the beginnings of its bodies where they are wanted."""
    if log.isEnabledFor(logging.INFO):
        fields = json.loads(f"{{{_fields(call)}{_bodies(call) if bodies else ''}}}")
        log.info(fields.pop("message"), extra=fields)


class CallLog:
    """Writes the same lines as `log_call` under our formatter, in a tenth of the time; flush() sends them.

    Args:
        write: takes bytes, such as os.write to stdout.
        clock: the time, in seconds since 1970.
        bodies: whether the beginnings of bodies are wanted.
    """

    def __init__(
        self,
        write: Callable[[bytes], object] = lambda line: os.write(1, line),
        clock: Callable[[], float] = time.time,
        bodies: bool = False,
    ) -> None:
        self._bodies = bodies
        self._write = write
        self._clock = clock
        self._second = -1
        self._time = ""
        self._lines: list[str] = []

    def note(self, call: Call) -> None:
        """Take a call down."""
        now = self._clock()
        second = int(now)
        if second != self._second:
            self._second = second
            self._time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        self._lines.append(
            f'{{"time": "{self._time}.{int((now - second) * 1000):03d}Z", "level": "INFO", '
            f'"logger": "invocation", {_fields(call)}{_bodies(call) if self._bodies else ""}}}\n'
        )

    def flush(self) -> None:
        """Write what was taken down, each line in one piece."""
        waiting, self._lines = self._lines, []
        if not waiting:
            return
        text = "".join(waiting).encode()
        if len(text) <= _WHOLE_AT_MOST:
            self._write(text)
            return
        for line in waiting:
            self._write(line.encode())


def _fields(call: Call) -> str:
    """Return what is told of a call, as the members of a JSON object; by hand, as it is done so often."""
    request, response = call.request, call.response
    arrived_s = request.received_s or call.began_s
    ms = (call.ended_s - arrived_s) * 1000
    status = int(response.status) if response else 0
    sent = response.body if response else b""
    said = (
        f'"message": "answered {status} in {ms:.1f} ms", "request_id": {_text(request.request_id)}, '
        f"{_named(call.model) if call.model else ''}"
        f'"model_version": {_text(call.model_version) if call.model_version else "null"}, '
        f'"inference_id": {_header(request.headers, INFERENCE_ID)}, '
        f'"custom_attributes": {_header(request.headers, CUSTOM_ATTRIBUTES)}, "status": {status}, '
        f'"bytes_in": {len(request.body)}, "bytes_out": {len(sent) if isinstance(sent, bytes) else "null"}, '
        f'"ms": {ms:.3f}'
    )
    if not call.predicted_s:
        return said
    wait_ms = (call.began_s - arrived_s + call.predicting_s - call.decoded_s) * 1000
    shape = getattr(call.data, "shape", None)
    return (
        f'{said}, "rows": {shape[0] if shape else "null"}, "together": {call.together}, '
        f'"decode_ms": {(call.decoded_s - call.began_s) * 1000:.3f}, "wait_ms": {wait_ms:.3f}, '
        f'"predict_ms": {(call.predicted_s - call.predicting_s) * 1000:.3f}, '
        f'"encode_ms": {(call.ended_s - call.predicted_s) * 1000:.3f}'
    )


def _named(model: str) -> str:
    return f'"model": {_text(model)}, '


def _bodies(call: Call) -> str:
    sent = call.response.body if call.response else b""
    answer = _beginning(sent) if isinstance(sent, bytes) else "null"
    return f', "request_body": {_beginning(call.request.body)}, "response_body": {answer}'


def _beginning(body: bytes) -> str:
    return json.dumps(body[:_BODY_AT_MOST].decode(errors="replace"))


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    return "null" if value is None else json.dumps(value)


def _text(value: str) -> str:
    return f'"{value}"' if value.isalnum() and value.isascii() else json.dumps(value)
