import contextlib
import gzip
import io
import json
import os
import pickle
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from byoc_serving.messages import too_large_message
from byoc_serving.model_version import write_schema
from byoc_serving.settings import Settings, settings_from
from flask_server import DOORS, ECHO, Caller, apps_with, own_imports, write_manifest
from predictor import create_app
from processes import eventually
from scrape import scraped
from serving import free_port, program_with

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=DOORS)
def predictor(request):
    """A function that serves an inference script through a door, in a with block that has its Caller."""

    @contextlib.contextmanager
    def serve(folder, script=ECHO, **settings):
        (folder / "ml" / "model").mkdir(parents=True, exist_ok=True)
        with own_imports():
            app = create_app(Settings(base_dir=folder / "ml", apps_dir=apps_with(folder, script), **settings))
            with DOORS[request.param](app) as caller:
                yield caller

    return serve


@pytest.fixture(scope="module")
def echo(predictor, tmp_path_factory):
    with predictor(tmp_path_factory.mktemp("echo"), max_payload_mb=1) as caller:
        yield caller


@pytest.fixture(scope="module")
def strict(predictor, tmp_path_factory):
    """A model version of two columns that takes no missing values."""
    folder = tmp_path_factory.mktemp("strict")
    write_manifest(folder / "ml" / "model", allow_nan=False)
    with predictor(folder) as caller:
        yield caller


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "answer"),
    [
        (b"1,2\n3,4\n", "text/csv", "application/json", b"[[1.0,2.0],[3.0,4.0]]"),
        (b'{"instances": [[1, 2]]}', "application/json", "text/csv", b"1.0,2.0\n"),
        (b"[1,2]\n[3,4]\n", "application/jsonlines", "application/jsonlines", b"[1.0,2.0]\n[3.0,4.0]\n"),
        (b'{"input": 1}', "application/json", "*/*", b'{"input":1}'),
        (b'"some text"', None, None, b'"some text"'),
    ],
)
def test_what_is_sent_is_decoded_predicted_and_encoded(echo, body, content_type, accept, answer):
    got = echo.invoke(body, content_type, accept)
    assert (got.status, got.body) == (200, answer)
    assert got.headers["Content-Type"] == (accept if accept and accept != "*/*" else "application/json")


def test_npy_goes_in_and_out(echo):
    out = io.BytesIO()
    np.save(out, np.array([[1.5, 2.5]]))
    got = echo.invoke(out.getvalue(), "application/x-npy", "application/x-npy")
    assert np.load(io.BytesIO(got.body)).tolist() == [[1.5, 2.5]]


@pytest.mark.bad_input
def test_an_unsupported_content_type_is_415_with_what_is_supported(echo):
    got = echo.invoke(b"x", "image/png")
    assert got.status == 415
    assert got.error["code"] == "UnsupportedMediaType"
    assert got.error["sent"] == "image/png"
    assert "text/csv" in got.error["supported"]


@pytest.mark.bad_input
def test_an_unsupported_accept_is_406_with_what_is_supported(echo):
    got = echo.invoke("[[1]]", "application/json", "image/png")
    assert got.status == 406
    assert got.error["code"] == "NotAcceptable"
    assert got.error["sent"] == "image/png"
    assert "text/csv" in got.error["supported"]


def npy(*rows):
    out = io.BytesIO()
    np.save(out, np.array(rows))
    return out.getvalue()


def lying_npy(shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(16)


@pytest.mark.parametrize(
    ("body", "content_type", "place"),
    [
        (b"\xff\xfe\xfd", "text/csv", {"line": 1, "byte": 1}),
        (b'[["\xff"]]', "application/json", {"line": 1, "byte": 4}),
        (b"[[1, 2],\n [3 4]]", "application/json", {"line": 2, "column": 5}),
        (b"[1]\n[2\n", "application/jsonlines", {"line": 2}),
        (b"1,2\n3,4\n5\n", "text/csv", {"line": 3, "columns": 1, "expected": 2}),
        (b"[[1, 2], [3]]", "application/json", {"row": 2, "columns": 1, "expected": 2}),
        (b"", "text/csv", {}),
        (b"\n", "text/csv", {}),
        (b"a,b\n", "text/csv; header=present", {}),
        (b"not numpy at all", "application/x-npy", {}),
        (lying_npy("(1000000000000,)"), "application/x-npy", {"claimed_bytes": 8 * 10**12, "sent_bytes": 16}),
        (lying_npy("(1,)"), "application/x-npy", {"claimed_bytes": 8, "sent_bytes": 16}),
    ],
)
@pytest.mark.bad_input
def test_a_body_that_cannot_be_decoded_is_400_with_position_and_reason(echo, body, content_type, place):
    got = echo.invoke(body, content_type)
    assert got.status == 400
    assert got.error["code"] == "BadRequest"
    assert got.error["message"].endswith(".")
    assert {key: got.error[key] for key in place} == place


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("1,2,3\n", "text/csv"),
        ("[[1]]", "application/json"),
        ("[1]", "application/jsonl"),
        ('[{"a": 1}]', "application/json"),
        (npy([1.0, 2.0, 3.0]), "application/x-npy"),
        (npy(1.0, 2.0, 3.0), "application/x-npy"),
        (npy([[1.0], [2.0]]), "application/x-npy"),
    ],
)
@pytest.mark.bad_input
def test_the_wrong_number_of_columns_is_400(strict, body, content_type):
    got = strict.invoke(body, content_type)
    assert got.status == 400
    assert got.error["expected"] == 2


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("1,2\n,4\n", "text/csv"),
        ("a,b\n1,2\n,4\n", "text/csv"),
        ("[[1, 2], [NaN, 3]]", "application/json"),
        ("[[1, 2], [null, 3]]", "application/json"),
        ('[{"a": 1, "b": "x"}, {"b": "y"}]', "application/json"),
        ("[1, 2]\n[null, 3]\n", "application/jsonlines"),
        (npy([1.0, 2.0], [np.nan, 4.0]), "application/x-npy"),
    ],
)
@pytest.mark.bad_input
def test_nan_where_the_manifest_forbids_it_is_400_with_row_and_column(strict, body, content_type):
    got = strict.invoke(body, content_type)
    assert got.status == 400
    assert (got.error["row"], got.error["column"]) == (2, 1)


@pytest.mark.parametrize(
    ("body", "content_type", "place"),
    [
        (npy(1.0, np.nan), "application/x-npy", {"row": 1, "column": 2}),
        (npy([[1.0, 2.0], [3.0, np.nan]]), "application/x-npy", {"position": [1, 2, 2]}),
        ("[[[1, null]]]", "application/json", {"position": [1, 1, 2]}),
        ("[null, null]", "application/json", {"row": 1, "column": 1}),
    ],
)
@pytest.mark.bad_input
def test_nan_in_one_row_or_in_more_dimensions_is_400_too(strict, body, content_type, place):
    got = strict.invoke(body, content_type)
    assert got.status == 400
    assert {key: got.error[key] for key in place} == place


class Dangerous:
    def __reduce__(self):
        return (os.mkdir, (Dangerous.target,))


@pytest.mark.bad_input
def test_npy_with_pickle_is_400_and_nothing_is_executed(echo, tmp_path):
    Dangerous.target = str(tmp_path / "executed")
    out = io.BytesIO()
    np.save(out, np.array([Dangerous()], dtype=object), allow_pickle=True)
    for body in (out.getvalue(), pickle.dumps(Dangerous())):
        assert echo.invoke(body, "application/x-npy").status == 400
    assert not (tmp_path / "executed").exists()


def pieces(size):
    for _ in range(size // 1024):
        yield b"1" * 1023 + b"\n"


@pytest.mark.parametrize("size", [MEGABYTE + 1, 3 * MEGABYTE])
@pytest.mark.bad_input
def test_a_body_over_the_limit_gets_413_in_json(echo, size):
    got = echo.invoke(b"1" * size, "text/csv")
    assert got.status == 413
    assert got.error["code"] == "PayloadTooLarge"
    assert got.error["limit_bytes"] == MEGABYTE
    assert got.error["message"] == too_large_message(1)


@pytest.mark.bad_input
def test_a_chunked_body_over_the_limit_gets_413_in_json(echo):
    got = echo.stream(pieces(2 * MEGABYTE))
    assert got.status == 413
    assert got.error["limit_bytes"] == MEGABYTE


def test_a_body_up_to_the_limit_is_taken_in_one_piece_or_in_chunks(echo):
    one_piece = echo.invoke(b'"' + b"x" * (MEGABYTE - 2) + b'"')
    chunks = echo.stream(iter([b"[[1,", b"2]]"]))
    assert (one_piece.status, len(one_piece.body)) == (200, MEGABYTE)
    assert (chunks.status, chunks.body) == (200, b"[[1.0,2.0]]")


def test_a_limit_of_0_is_none(predictor, tmp_path):
    with predictor(tmp_path, max_payload_mb=0) as caller:
        got = caller.invoke(b'"' + b"x" * 30 * MEGABYTE + b'"')
        assert (got.status, len(got.body)) == (200, 30 * MEGABYTE + 2)


@pytest.mark.parametrize("act", ["raise ValueError('secret')", "import sys; sys.exit('secret')"])
@pytest.mark.bad_input
def test_user_code_that_raises_is_500_with_an_id_and_no_traceback(predictor, tmp_path, act, caplog):
    with predictor(tmp_path, f"def model_fn(d): return {{}}\ndef predict_fn(data, model): {act}\n") as caller:
        got = caller.invoke("[[1]]", X_Request_Id="request-7")
    assert got.status == 500
    assert got.error["id"] == "request-7"
    assert b"secret" not in got.body
    assert b"Traceback" not in got.body
    (logged,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert logged.request_id == "request-7"
    assert "secret" in str(logged.exc_info[1])


@pytest.mark.parametrize("given", [None, "with spaces and <tags>", "x" * 200])
def test_a_request_without_a_proper_id_is_given_one(predictor, tmp_path, given):
    with predictor(tmp_path, "def model_fn(d): return {}\ndef predict_fn(data, model): 1 / 0\n") as caller:
        assert len(caller.invoke("[[1]]", X_Request_Id=given).error["id"]) == 32


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/invocations/"), ("PUT", "/x.html"), ("HEAD", "/x")]
)
def test_every_other_path_is_404_in_json(echo, method, path):
    got = echo.request(method, path)
    assert got.status == 404
    assert got.headers["Content-Type"] == "application/json"
    assert method == "HEAD" or got.error["code"] == "NotFound"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/invocations", {"POST", "OPTIONS"}), ("DELETE", "/ping", {"GET", "HEAD", "POST", "OPTIONS"})],
)
def test_another_method_is_405_in_json_with_those_allowed(echo, method, path, allowed):
    got = echo.request(method, path)
    assert (got.status, got.error["code"]) == (405, "MethodNotAllowed")
    assert set(got.headers["Allow"].split(", ")) == allowed


def test_options_names_the_methods(echo):
    got = echo.request("OPTIONS", "/invocations")
    assert (got.status, got.body) == (200, b"")
    assert "POST" in got.headers["Allow"]
    assert got.headers["Content-Type"] == "application/json"


def test_what_is_broken_on_the_way_is_answered_in_json_too(echo):
    with socket.create_connection(("127.0.0.1", echo.port)) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "ClientDisconnected"


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_ping_is_200_once_the_model_is_loaded(echo, method):
    assert eventually(lambda: echo.request(method, "/ping").status == 200)
    assert method == "HEAD" or echo.request(method, "/ping").json == {"status": "ready"}


def test_the_first_ping_starts_the_load_and_is_503_with_the_reason_meanwhile(predictor, tmp_path):
    script = (
        "import time\ndef model_fn(d): time.sleep(0.5); return {}\ndef predict_fn(data, model): return data\n"
    )
    with predictor(tmp_path, script) as caller:
        first = caller.request("GET", "/ping")
        assert (first.status, first.json) == (503, {"status": "starting", "reason": "The model is loading."})
        assert caller.invoke("[[1]]").status == 200  # waited
        assert caller.request("GET", "/ping").status == 200


def test_a_failed_load_is_503_with_the_reason_on_both_paths(predictor, tmp_path):
    with predictor(
        tmp_path, "def model_fn(d): raise OSError('model.txt is not there')\ndef predict_fn(d, m): 1\n"
    ) as caller:
        invoked = caller.invoke("[[1]]")
        pinged = caller.request("GET", "/ping")
    assert (invoked.status, invoked.error["state"]) == (503, "failed")
    assert "model.txt is not there" in invoked.error["message"]
    assert (pinged.status, pinged.json["status"]) == (503, "failed")
    assert "model.txt is not there" in pinged.json["reason"]


def test_custom_attributes_reach_user_code_and_come_back(predictor, tmp_path):
    script = """
        def model_fn(d): return {}
        def predict_fn(data, model, context):
            context.response_headers["X-Amzn-SageMaker-Custom-Attributes"] = "seen"
            return [context.custom_attributes, context.inference_id]
    """
    with predictor(tmp_path, script) as caller:
        got = caller.invoke(
            "[[1]]", X_Amzn_SageMaker_Custom_Attributes="trace=1", X_Amzn_SageMaker_Inference_Id="i-1"
        )
    assert got.json == ["trace=1", "i-1"]
    assert got.headers["X-Amzn-SageMaker-Custom-Attributes"] == "seen"


def test_a_model_is_ready_only_once_it_is_warm_and_not_where_that_fails(predictor, tmp_path):
    script = """
        def model_fn(d): return []
        def model_warmup_fn(model):
            model.append("warm")
            {}
        def predict_fn(data, model): return model
    """
    with predictor(tmp_path / "warm", script.format("")) as caller:
        assert caller.invoke("[[1]]").json == ["warm"]
    with predictor(tmp_path / "cold", script.format("raise OSError('no such row')")) as caller:
        assert "model_warmup_fn failed: OSError: no such row" in caller.invoke("[[1]]").error["message"]


def test_a_line_has_the_model_version_and_bodies_only_where_they_are_asked_for(predictor, tmp_path, caplog):
    caplog.set_level("INFO", "invocation")
    write_manifest(tmp_path / "ml" / "model")
    for log_bodies in (False, True):
        with predictor(tmp_path, log_bodies=log_bodies) as caller:
            caller.invoke("41.5,2", "text/csv", Authorization="Bearer hush", Cookie="hush")
            caller.request("GET", "/ping")
            caller.request("GET", "/metrics")
    plain, asked = (vars(record) for record in caplog.records if record.name == "invocation")
    version = json.loads((tmp_path / "ml" / "model" / "manifest.json").read_text())["version"]
    assert plain["model_version"] == version
    assert (plain["rows"], plain["bytes_in"], plain["bytes_out"]) == (1, 6, 12)
    assert "41.5" not in str(plain)
    assert (asked["request_body"], asked["response_body"]) == ("41.5,2", "[[41.5,2.0]]")
    assert "hush" not in caplog.text + str(plain) + str(asked)


def test_metrics_tell_what_was_answered_and_what_user_code_adds(predictor, tmp_path):
    script = """
        def model_fn(d): return {}
        def predict_fn(data, model, context):
            context.metrics.add_counter("rows_seen", len(data))
            return data
    """
    write_manifest(tmp_path / "ml" / "model")
    with predictor(tmp_path, script) as caller:
        caller.invoke("1,2\n3,4", "text/csv")
        caller.invoke("x", "image/png")
        got = caller.request("GET", "/metrics")
    assert (got.status, got.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    page = scraped(got.body.decode())
    assert page["byoc_requests_total", 'status="2xx"'] == page["byoc_requests_total", 'status="4xx"'] == 1
    assert (page["byoc_rows_total", None], page["rows_seen", None]) == (2, 2)
    assert page["byoc_worker_memory_bytes", 'worker="0"'] > 10 * MEGABYTE
    assert any(name == "byoc_model_info" for name, _ in page)


def test_a_transform_job_is_told_what_it_may_send(echo):
    got = echo.request("GET", "/execution-parameters")
    assert got.status == 200
    assert got.json.keys() == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert got.json["MaxConcurrentTransforms"] * got.json["MaxPayloadInMB"] <= 100


REFUSES_NEGATIVES = """
    import numpy as np
    def model_fn(d): return {}
    def predict_fn(data, model):
        firsts = np.asarray(data)[:, 0]
        if min(firsts) < 0:
            raise ValueError("negative")
        return firsts
"""


def test_where_it_is_asked_for_a_bad_record_costs_its_own_line_only(predictor, tmp_path, caplog):
    with predictor(tmp_path, REFUSES_NEGATIVES, bad_record="ERROR") as caller:
        lines = caller.invoke("1,2\n-3,4\n5\n7,8\n", "text/csv", "text/csv")
        assert (lines.status, lines.body) == (200, b"1.0\nERROR\n5.0\n7.0\n")
        zipped = gzip.compress(b"[1, 2]\n[-1, 2]\n")
        packed = caller.invoke(
            zipped, "application/jsonlines", "application/jsonlines", Content_Encoding="gzip"
        )
        assert packed.body == b'1.0\n"ERROR"\n'
        assert caller.invoke("[[-1]]", "application/json").status == 500
        assert caller.invoke("-1\n", "text/csv", "application/x-npy").status == 500
    assert "1 of 4 records got the placeholder; record 2: ValueError: negative" in caplog.text


def test_a_bad_first_line_has_a_line_in_the_answer_and_the_names_of_the_schema_have_none(predictor, tmp_path):
    write_manifest(tmp_path / "ml" / "model")
    write_schema(tmp_path / "ml" / "model", np.array([[0.0, 1.0], [2.0, 3.0]]), ["a", "b"])
    with predictor(tmp_path, REFUSES_NEGATIVES, bad_record="ERROR") as caller:
        for first, answer in (("no number", b"ERROR\n"), ("x,y", b"ERROR\n"), ("a,b", b"")):
            got = caller.invoke(f"{first}\n1,2\n3,4\n", "text/csv", "text/csv")
            assert (got.status, got.body) == (200, answer + b"1.0\n3.0\n")
        assert caller.invoke("", "text/csv", "text/csv").status == 400


def test_a_body_whose_parts_fail_no_more_is_answered_and_nobody_is_complained_of(predictor, tmp_path, caplog):
    script = "def model_fn(model_dir): return {}\ndef predict_fn(data, model): return data.shape[:1]\n"
    with predictor(tmp_path, script, bad_record="ERROR") as caller:
        mixed = caller.invoke('[1, 2]\n{"a": 1, "b": 2}\n', "application/jsonlines", "text/csv")
    assert (mixed.status, mixed.body) == (200, b"1\n1\n")
    assert "placeholder" not in caplog.text


def test_unasked_a_bad_record_fails_its_request(predictor, tmp_path):
    with predictor(tmp_path, REFUSES_NEGATIVES) as caller:
        assert caller.invoke("1,2\n-3,4\n", "text/csv", "text/csv").status == 500


def test_everything_that_is_served_is_described_as_openapi(strict):
    made = strict.request("GET", "/openapi.json").json
    assert made["openapi"] == "3.1.0"
    assert {"/ping", "/invocations", "/execution-parameters", "/openapi.json"} <= set(made["paths"])
    for path, operations in made["paths"].items():
        for method in operations:
            assert strict.request(method.upper(), path).status != 404


@pytest.mark.parametrize("schema", ["off", "warn", "enforce"])
def test_the_schema_of_the_version_is_kept_as_the_setting_says(predictor, tmp_path, schema, caplog):
    (tmp_path / "ml" / "model").mkdir(parents=True)
    write_schema(tmp_path / "ml" / "model", np.array([[0.0, 1.0], [2.0, 3.0]]), ["a", "b"])
    with predictor(tmp_path, schema=schema) as caller:
        assert caller.invoke("1,2\n", "text/csv").status == 200
        named = caller.invoke('[{"b": 2, "a": 1}]', accept="text/csv")
        got = caller.invoke("1,2\n1,9\n", "text/csv")
    assert named.body == (b"2.0,1.0\n" if schema == "off" else b"1.0,2.0\n")
    assert got.status == (400 if schema == "enforce" else 200)
    if schema == "enforce":
        place = {"row": 2, "column": 2, "name": "b", "value": 9.0, "minimum": 1.0, "maximum": 3.0}
        assert {key: got.error[key] for key in place} == place
    assert ("Row 2, column 2 (b) is 9.0." in caplog.text) == (schema == "warn")


@pytest.mark.parametrize(("schema", "status"), [("warn", 200), ("enforce", 503)])
def test_a_schema_that_is_asked_for_and_not_there_fails_the_load_only_where_it_is_enforced(
    predictor, tmp_path, schema, status
):
    with predictor(tmp_path, schema=schema) as caller:
        assert caller.invoke("1,2\n", "text/csv").status == status


def test_a_body_of_100_mb_in_chunks_is_taken_where_the_limit_is_that_of_transform_jobs(predictor, tmp_path):
    script = """
        def model_fn(d): return {}
        def transform_fn(model, body, content_type, accept): return str(len(body))
    """
    settings = settings_from({"SAGEMAKER_BATCH": "True"})
    with predictor(tmp_path, script, max_payload_mb=settings.max_payload_mb) as caller:
        piece = bytes(20 * MEGABYTE)
        chunked = {"chunked": True, "Transfer_Encoding": "chunked", "Content_Type": "application/x-image"}
        got = caller.request("POST", "/invocations", iter([piece] * 5), **chunked)
        assert (got.status, got.json) == (200, 100 * MEGABYTE)


@contextlib.contextmanager
def plain_gunicorn(folder, script, *options, **variables):
    """Run `gunicorn wsgi:app` without serve, in a copy of the image's program with other apps/."""
    program = program_with(apps_with(folder, script), folder / "program")
    caller = Caller(free_port())
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{caller.port}", *options, "wsgi:app"]
    environ = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(folder),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
        **variables,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--no-control-socket"], cwd=program, env=environ, stdout=log, stderr=log
        )
    try:
        assert eventually(lambda: answers(caller), 15), (folder / "log").read_text()
        yield caller
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def answers(caller):
    with contextlib.suppress(OSError):
        return caller.request("GET", "/ping").status in (200, 503)


def logged_lines(folder):
    return [json.loads(line) for line in (folder / "log").read_text().splitlines() if line.startswith("{")]


def test_under_gunicorn_alone_the_app_is_complete(tmp_path):
    with plain_gunicorn(tmp_path, ECHO, "--workers", "2", MODEL_SERVER_METRICS="emf") as caller:
        assert caller.invoke("1,2\n", "text/csv").body == b"[[1.0,2.0]]"
        assert caller.invoke(b"1" * (MEGABYTE + 1), "text/csv").status == 413
        over = caller.stream(pieces(2 * MEGABYTE))
        assert (over.status, over.error["code"]) == (413, "PayloadTooLarge")
        assert caller.request("GET", "/x").error["code"] == "NotFound"
    statuses = [line["status"] for line in logged_lines(tmp_path) if line.get("logger") == "invocation"]
    assert statuses == [200]
    reports = [line for line in logged_lines(tmp_path) if "_aws" in line]
    assert sum(report.get("byoc_requests_total_2xx", 0) for report in reports) == 1


def test_an_overdue_request_still_ends_gunicorns_worker_and_an_exit_of_its_own_does_not(tmp_path):
    script = """
        import os, sys, time
        def model_fn(d): return {}
        def predict_fn(data, model):
            if data == "sleep":
                time.sleep(60)
            if data == "exit":
                sys.exit(1)
            if data == "interrupt":
                raise KeyboardInterrupt
            return os.getpid()
    """
    with plain_gunicorn(tmp_path, script, "--timeout", "2") as caller:
        first = caller.invoke('"pid"').json
        for act in ("exit", "interrupt"):
            assert len(caller.invoke(f'"{act}"').error["id"]) == 32
        assert caller.invoke('"pid"').json == first
        with contextlib.suppress(OSError, ValueError):
            assert caller.invoke('"sleep"').status >= 500
        assert caller.invoke('"pid"').json != first


def test_a_body_that_breaks_off_under_gunicorn_is_no_shorter_body(tmp_path):
    with (
        plain_gunicorn(tmp_path, ECHO) as caller,
        socket.create_connection(("127.0.0.1", caller.port)) as cut,
    ):
        cut.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1,2")
        cut.shutdown(socket.SHUT_WR)
        assert b" 400 " in cut.makefile("rb").readline()


def test_a_header_is_found_by_any_spelling_of_its_name(predictor, tmp_path):
    script = """
    def model_fn(model_dir): return {}
    def predict_fn(data, model, context):
        found = context.headers
        return [found.get("X-Foo"), found["x-fOO"], "X-FOO" in found, context.get_request_header(0, "X-Foo")]
    """
    with predictor(tmp_path, script) as caller:
        assert caller.invoke("1", "text/csv", X_Foo="bar").json == ["bar", "bar", True, "bar"]


@pytest.mark.parametrize("shape", [7, "round", [1, 2], [], None])
def test_what_has_a_shape_that_is_none_of_an_array_is_predicted(predictor, tmp_path, shape):
    script = """
    import json, types
    def model_fn(model_dir): return {}
    def input_fn(body, content_type): return types.SimpleNamespace(**json.loads(body))
    def predict_fn(data, model): return data.shape
    """
    with predictor(tmp_path, script) as caller:
        assert caller.invoke(json.dumps({"shape": shape}), "application/json").json == shape
