"""meter, table, families, page: what calls count up to, over processes that die, in Prometheus' format."""

import os
import signal

import numpy as np
import pytest

from byoc_serving.calls import Call, Request, Response, Stages
from byoc_serving.metrics.families import Standing, families
from byoc_serving.metrics.meter import Meter
from byoc_serving.metrics.page import page
from byoc_serving.metrics.table import Table, tables_in
from scrape import scraped

IDLE = Standing(ready=0, in_flight=0, waiting=0, memory={})


def call(status=200, body=b"123", is_first=True, **changes):
    times = {
        "began_s": 1.0,
        "decoded_s": 1.25,
        "predicting_s": 1.5,
        "predicted_s": 1.75,
        "encoded_s": 2.0,
        "ended_s": 2.0,
    }
    request, response = (
        Request(b"12345", "text/csv", None, {}, "id-1", 0.5),
        Response(status, body, "text/csv"),
    )
    stages = Stages(**(times | changes))
    return Call(request, stages, is_first=is_first, data=np.ones((4, 2)), response=response)


def told(*tables, standing=IDLE):
    return scraped(page(families(tables, standing)).decode())


def counted(*calls):
    table = Table.private()
    for one in calls:
        Meter(table).note(one)
    return told(table)


def test_a_call_counts_by_its_class_its_rows_bytes_and_stages():
    page = counted(call(), call(), call(404, predicted_s=0.0))
    assert page["byoc_requests_total", 'status="2xx"'] == 2
    assert page["byoc_requests_total", 'status="4xx"'] == 1
    assert page["byoc_rows_total", None] == 8
    assert page["byoc_request_bytes_total", None] == 15
    assert page["byoc_response_bytes_total", None] == 9
    sums = {
        stage: page[f"byoc_{stage}_seconds_sum", None] for stage in ("request", "decode", "wait", "predict")
    }
    assert sums == {"request": 4.5, "decode": 0.5, "wait": 1.5, "predict": 0.5}
    assert page["byoc_request_seconds_count", None] == 3
    assert page["byoc_encode_seconds_count", None] == 2


def test_a_duration_is_in_the_first_bucket_that_is_no_less():
    page = counted(call(predicting_s=1.5, predicted_s=1.5 + 0.25))
    assert page["byoc_predict_seconds_bucket", 'le="0.1"'] == 0
    assert page["byoc_predict_seconds_bucket", 'le="0.25"'] == 1


def test_requests_predicted_together_are_one_batch():
    page = counted(*(call(together=3, is_first=first) for first in (True, False, False)), call())
    assert (page["byoc_batch_requests_count", None], page["byoc_batch_requests_sum", None]) == (2, 4)
    assert page["byoc_batch_requests_bucket", 'le="2"'] == 1
    for stage in ("decode", "predict", "encode"):  # counted once, for each of them
        seconds = f"byoc_{stage}_seconds"
        assert (page[f"{seconds}_count", None], page[f"{seconds}_sum", None]) == (4, 1.0)


@pytest.mark.parametrize("status", [0, 99, 600, 100_000, -1])
def test_a_status_that_there_is_not_spoils_no_other_number(status):
    page = counted(call(status))
    assert page["byoc_rows_total", None] == 4
    assert page["byoc_request_seconds_count", None] == 1


def test_a_stream_has_no_length():
    assert counted(call(body=iter([b"1"])))["byoc_response_bytes_total", None] == 0


def test_what_a_killed_worker_counted_stays_and_the_next_of_its_number_goes_on(tmp_path):
    for number in ("0000", "0001", "0000"):
        pid = os.fork()
        if pid == 0:
            Meter(Table.kept(tmp_path / number)).note(call())
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
    tables = tables_in(tmp_path)
    assert len(tables) == 2
    assert told(*tables)["byoc_requests_total", 'status="2xx"'] == 3


def test_the_model_and_how_the_workers_stand_are_told():
    table = Table.private()
    table.serve('a "model"\n', "0123456789abcdef")
    standing = Standing(ready=2, in_flight=5, waiting=3, memory={0: 1000, 1: 2000})
    page = told(table, Table.private(), standing=standing)
    assert page["byoc_model_info", 'name="a \\"model\\"\\n",version="0123456789abcdef"'] == 1
    assert (page["byoc_requests_in_flight", None], page["byoc_requests_waiting", None]) == (5, 3)
    assert page["byoc_worker_memory_bytes", 'worker="1"'] == 2000
