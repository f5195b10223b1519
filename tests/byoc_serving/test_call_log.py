"""call_log: one line for each call, the same by either way."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from byoc_serving.call_log import CallLog, log_call
from byoc_serving.calls import Call, Request, Response, Stages, error_response
from byoc_serving.logs import JsonFormatter

HEADERS = {"x-amzn-sagemaker-custom-attributes": 'trace="é\\ud800"\n', "x-amzn-sagemaker-inference-id": "i-1"}


def predicted(**changes):
    request = Request(b"12345", "text/csv", None, HEADERS, "id-1", 0.5)
    stages = Stages(
        1.0, decoded_s=1.25, predicting_s=1.5, predicted_s=1.75, encoded_s=2.0, ended_s=2.0, together=3
    )
    response = Response(200, b"123", "text/csv")
    return Call(request, stages, **({"data": np.ones((4, 2)), "response": response} | changes))


def refused():
    request = Request(b"", None, None, {}, "a" * 32)
    return Call(request, Stages(1.0, ended_s=1.0015), response=error_response(400, "BadRequest", "no"))


def logged(call, caplog, bodies=False):
    caplog.set_level(logging.INFO, "invocation")
    log_call(call, bodies)
    return json.loads(JsonFormatter().format(caplog.records[-1]))


def written(*calls, bodies=False):
    pieces = []
    log = CallLog(pieces.append, clock=lambda: 1_800_000_000.25, bodies=bodies)
    for call in calls:
        log.note(call)
    log.flush()
    return pieces


@pytest.mark.parametrize("bodies", [False, True])
@pytest.mark.parametrize("call", [predicted(), refused(), predicted(data="no table", model_version="v-1")])
def test_what_is_written_directly_is_what_logging_would_write(call, bodies, caplog):
    [piece] = written(call, bodies=bodies)
    direct = json.loads(piece)
    assert piece.endswith(b"\n")
    assert direct.pop("time") == "2027-01-15T08:00:00.250Z"
    through_logging = logged(call, caplog, bodies)
    assert ("request_body" in direct) is bodies
    del through_logging["time"]
    assert direct == through_logging


def test_a_line_tells_how_long_each_stage_took(caplog):
    told = logged(predicted(), caplog)
    assert told["message"] == "answered 200 in 1500.0 ms"
    assert {name: told[name] for name in ("ms", "decode_ms", "wait_ms", "predict_ms", "encode_ms")} == {
        "ms": 1500.0,
        "decode_ms": 250.0,
        "wait_ms": 750.0,
        "predict_ms": 250.0,
        "encode_ms": 250.0,
    }
    assert (told["rows"], told["together"], told["bytes_in"], told["bytes_out"]) == (4, 3, 5, 3)


def test_a_refused_call_has_no_stages(caplog):
    told = logged(refused(), caplog)
    assert (told["status"], told["ms"]) == (400, 1.5)
    assert "predict_ms" not in told


def test_lines_are_written_together_as_long_as_a_pipe_keeps_them_whole():
    assert len(written(*[refused()] * 8)) == 1
    pieces = written(*[refused()] * 40)
    assert len(pieces) == 40
    assert all(piece.count(b"\n") == 1 for piece in pieces)


def test_nothing_is_written_where_nothing_was_noted():
    assert written() == []


def test_a_quiet_logger_costs_no_line(caplog):
    caplog.set_level(logging.WARNING, "invocation")
    log_call(refused())
    assert caplog.records == []


def test_lines_of_one_prediction_share_its_stages_and_no_others(caplog):
    one, other = predicted(model_version="v-1"), predicted(model_version="v-2")
    other.stages.together, other.stages.encoded_s = 7, 1.875
    calls = [one, replace(one, is_first=False), other, refused(), one]
    told = [json.loads(line) for piece in written(*calls) for line in piece.splitlines()]
    for line, call in zip(told, calls, strict=True):
        through_logging = logged(call, caplog)
        assert {**line, "time": None} == {**through_logging, "time": None}
    assert [line.get("together") for line in told] == [3, 3, 7, None, 3]
