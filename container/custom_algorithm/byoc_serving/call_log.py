"""One line in the log for each call, written through logging or, by a worker of ours, straight to stdout."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping

from byoc_serving.calls import CUSTOM_ATTRIBUTES, INFERENCE_ID, Call, Stages, rows_of

log = logging.getLogger("invocation")

_BODY_AT_MOST = 1000
_WHOLE_AT_MOST = 4096  # bytes that one write to a pipe keeps together (PIPE_BUF), whoever else writes to it

# By hand, as it is done so often: bytes are filled in faster than text, and need not be encoded.
_ANSWERED = (
    b'"message": "answered %d in %.1f ms", "request_id": %b, "inference_id": %b, "custom_attributes": %b, '
    b'"status": %d, "bytes_in": %d, "bytes_out": %b, "ms": %.3f, '
)
_ROWS = b'"rows": %b, "wait_ms": %.3f, '
_STAGES = b', "together": %d, "decode_ms": %.3f, "predict_ms": %.3f, "encode_ms": %.3f'


def log_call(call: Call, bodies: bool = False) -> None:
    """Log a call as anything else is logged; with the beginnings of its bodies where they are wanted."""
    if log.isEnabledFor(logging.INFO):
        more = _bodies(call) if bodies else b""
        fields = json.loads(b"{%b%b%b}" % (_fields(call), _common_fields(call), more))
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
        self._time = b""
        self._begin = b""  # of the lines that flush() will send
        self._lines: list[bytes] = []
        self._stages: Stages | None = None  # of the last call: the next one's may be the same
        self._common = b""

    def note(self, call: Call) -> None:
        """Take a call down."""
        if not self._lines:
            self._begin = self._beginning()
        if call.stages is not self._stages:
            self._stages, self._common = call.stages, _common_fields(call)
        more = _bodies(call) if self._bodies else b""
        self._lines.append(b"%b%b%b%b}\n" % (self._begin, _fields(call), self._common, more))

    def flush(self) -> None:
        """Write what was taken down, each line in one piece."""
        waiting, self._lines, self._stages = self._lines, [], None
        if not waiting:
            return
        text = b"".join(waiting)
        if len(text) <= _WHOLE_AT_MOST:
            self._write(text)
            return
        for line in waiting:
            self._write(line)

    def _beginning(self) -> bytes:
        now = self._clock()
        second = int(now)
        if second != self._second:
            self._second = second
            self._time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        milliseconds = int((now - second) * 1000)
        return b'{"time": "%b.%03dZ", "level": "INFO", "logger": "invocation", ' % (self._time, milliseconds)


def _fields(call: Call) -> bytes:
    """Return what is told of a call alone, as members of a JSON object; others are to follow."""
    request, stages, response = call.request, call.stages, call.answer
    arrived_s, sent = request.received_s or stages.began_s, response.body
    ms = (stages.ended_s - arrived_s) * 1000
    status = int(response.status)
    said = _ANSWERED % (
        status,
        ms,
        _text(request.request_id),
        _header(request.headers, INFERENCE_ID),
        _header(request.headers, CUSTOM_ATTRIBUTES),
        status,
        len(request.body),
        b"%d" % len(sent) if isinstance(sent, bytes) else b"null",
        ms,
    )
    if not stages.predicted_s:
        return said
    wait_ms = stages.waited_s(arrived_s) * 1000
    rows = rows_of(call.data)
    return said + _ROWS % (b"null" if rows is None else b"%d" % rows, wait_ms)


def _common_fields(call: Call) -> bytes:
    """Return what is told alike of all calls with the same stages."""
    stages = call.stages
    model = b'"model": %b, ' % _text(call.model) if call.model else b""
    said = b'%b"model_version": %b' % (model, _text(call.model_version) if call.model_version else b"null")
    if not stages.predicted_s:
        return said
    return said + _STAGES % (
        stages.together,
        (stages.decoded_s - stages.began_s) * 1000,
        (stages.predicted_s - stages.predicting_s) * 1000,
        (stages.encoded_s - stages.predicted_s) * 1000,
    )


def _bodies(call: Call) -> bytes:
    sent = call.answer.body
    answer = _shown(sent) if isinstance(sent, bytes) else b"null"
    return b', "request_body": %b, "response_body": %b' % (_shown(call.request.body), answer)


def _shown(body: bytes) -> bytes:
    return json.dumps(body[:_BODY_AT_MOST].decode(errors="replace")).encode()


def _header(headers: Mapping[str, str], name: str) -> bytes:
    value = headers.get(name)
    return b"null" if value is None else json.dumps(value).encode()


def _text(value: str) -> bytes:
    text = f'"{value}"' if value.isalnum() and value.isascii() else json.dumps(value)
    return text.encode()
