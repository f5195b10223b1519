import gzip
import itertools
import json
import logging
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from byoc_serving import loading
from byoc_serving.errors import NotReadyError, ServingError
from byoc_serving.invocation import Invocations, Request
from byoc_serving.settings import Settings
from flask_server import ECHO, apps_with, own_imports, write_manifest

DESCRIBE = """
    def model_fn(model_dir):
        return {}

    def predict_fn(data, model):
        shape = getattr(data, "shape", None)
        return {"type": type(data).__name__, "shape": shape}
"""


@pytest.fixture
def invocations(tmp_path):
    """A function that returns the Invocations of a script, over an empty model directory."""
    (tmp_path / "ml" / "model").mkdir(parents=True)
    with own_imports():
        yield lambda script=ECHO, **settings: Invocations(
            Settings(base_dir=tmp_path / "ml", apps_dir=apps_with(tmp_path, script), **settings)
        )


def request(body=b"[[1, 2]]", content_type="application/json", accept=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(body, content_type, accept, named, "id-1")


def error_of(response):
    assert response.content_type == "application/json"
    return json.loads(response.body)["error"]


def test_a_table_reaches_predict_fn_as_an_array(invocations):
    response = invocations(DESCRIBE).respond(request())
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(response.body) == {"type": "ndarray", "shape": [1, 2]}


def test_a_request_without_content_type_and_accept_is_json_both_ways(invocations):
    response = invocations().respond(request(b'{"input": 1}', None, None))
    assert (response.content_type, response.body) == ("application/json", b'{"input":1}')


def test_the_default_answer_can_be_set(invocations):
    response = invocations(default_accept="text/csv").respond(request(accept="*/*"))
    assert (response.content_type, response.body) == ("text/csv", b"1.0,2.0\n")


def test_a_default_answer_that_cannot_be_produced_fails_the_load(invocations):
    with pytest.raises(ServingError, match="SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is 'image/png'"):
        invocations(default_accept="image/png").load()


@pytest.mark.parametrize(
    ("content_type", "sent", "got"),
    [
        ("application/json", b'{"a": 1}', ["str", '{"a": 1}', "application/json"]),
        ("Text/CSV; charset=latin-1", "é".encode("latin-1"), ["str", "é", "text/csv"]),
        ("text/csv", b"", ["str", "", "text/csv"]),
        ("application/x-npy", b"\xff", ["bytes", "b'\\xff'", "application/x-npy"]),
        ("image/png", b"\xff", ["bytes", "b'\\xff'", "image/png"]),
        (None, b"1", ["str", "1", "application/json"]),
    ],
)
def test_input_fn_gets_text_for_text_types_and_bytes_otherwise(invocations, content_type, sent, got):
    script = ECHO + "def input_fn(body, content_type): return [type(body).__name__, str(body), content_type]"
    assert json.loads(invocations(script).respond(request(sent, content_type)).body) == got


def test_text_that_cannot_be_decoded_for_input_fn_is_refused(invocations):
    response = invocations(ECHO + "def input_fn(body, content_type): return body\n").respond(request(b"\xff"))
    assert response.status == 400
    assert error_of(response)["byte"] == 1


@pytest.mark.parametrize(
    ("returned", "content_type", "body"),
    [
        ("'text'", "image/png", b"text"),
        ("b'bytes'", "image/png", b"bytes"),
        ("('a,b', 'text/csv; header=absent')", "text/csv; header=absent", b"a,b"),
        ("(b'x', 'application/pdf')", "application/pdf", b"x"),
        ("{'accept': accept}", "application/json", b'{"accept":"image/png"}'),
        ("([[1, 2]], 'text/csv')", "text/csv", b"1,2\n"),
        ("([1], 'image/png')", "image/png", b"[1]"),
        ("(1, 2)", "application/json", b"[1,2]"),
    ],
)
@pytest.mark.parametrize(
    "head", ["def output_fn(prediction, accept):", "def transform_fn(model, data, content_type, accept):"]
)
def test_output_fn_and_transform_fn_return_a_body_or_a_body_and_its_type(
    invocations, head, returned, content_type, body
):
    script = ECHO if head.startswith("def output_fn") else "def model_fn(model_dir): return {}\n"
    response = invocations(f"{script}{head} return {returned}\n").respond(request(accept="image/png; a=1"))
    assert (response.status, response.content_type, response.body) == (200, content_type, body)


def test_output_fn_gets_the_default_where_the_caller_does_not_say(invocations):
    script = ECHO + "def output_fn(prediction, accept): return accept\n"
    assert invocations(script).respond(request(accept="*/*")).body == b"application/json"


def test_transform_fn_gets_model_body_and_types(invocations):
    script = """
        def model_fn(model_dir): return "model"
        def transform_fn(model, data, content_type, accept): return [model, data, content_type, accept]
    """
    response = invocations(script).respond(request(b"1,2", "text/csv", "text/csv"))
    assert json.loads(response.body) == ["model", "1,2", "text/csv", "text/csv"]


def test_the_context_tells_of_the_request_and_takes_headers_for_the_answer(invocations):
    script = """
        def model_fn(model_dir): return {}
        def predict_fn(data, model, context):
            context.response_headers["X-Amzn-SageMaker-Custom-Attributes"] = context.custom_attributes.upper()
            return [context.request_id, context.inference_id, context.content_type, context.accept,
                    context.headers["x-other"]]
    """
    headers = {
        "x-amzn-sagemaker-inference-id": "inference-1",
        "x-amzn-sagemaker-custom-attributes": "c=1",
        "x-other": "o",
    }
    sent = Request(b"1", "application/json; a=1", "*/*;q=1", headers, "id-1")
    response = invocations(script).respond(sent)
    assert json.loads(response.body) == ["id-1", "inference-1", "application/json; a=1", "*/*;q=1", "o"]
    assert response.headers == {"X-Amzn-SageMaker-Custom-Attributes": "C=1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\\r\\nSet-Cookie: b"),
        ("X-A", "é"),
        ("X A", "1"),
        ("", "1"),
        ("X-A:", "1"),
        ("X-É", "1"),
        ("X-A\\n", "1"),
        ("Content-Length", "1"),
        ("content-type", "text/html"),
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
    ],
)
def test_a_header_that_would_break_the_answer_is_the_algorithms_failure(invocations, name, value):
    script = f"""
        def model_fn(model_dir): return {{}}
        def predict_fn(data, model, context):
            context.response_headers["{name}"] = "{value}"
            return 1
    """
    response = invocations(script).respond(request())
    assert (response.status, error_of(response)["id"]) == (500, "id-1")


def test_a_header_may_have_any_name_that_is_a_token(invocations):
    script = """
        def model_fn(model_dir): return {}
        def predict_fn(data, model, context):
            context.response_headers["x_a.b!"] = "1"
    """
    assert invocations(script).respond(request()).headers == {"x_a.b!": "1"}


def test_a_string_from_predict_fn_is_encoded_as_any_other_value(invocations):
    script = "def model_fn(d): return {}\ndef predict_fn(data, model): return 'positive'\n"
    response = invocations(script).respond(request())
    assert (response.content_type, response.body) == ("application/json", b'"positive"')
    assert invocations(script).respond(request(accept="application/x-npy")).status == 500


@pytest.mark.parametrize("given", ["'text'", "b'text'", "bytearray(b'text')", "memoryview(b'text')"])
def test_strings_and_bytes_of_output_fn_go_out_as_they_are(invocations, given):
    script = ECHO + f"def output_fn(prediction, accept): return {given}\n"
    response = invocations(script).respond(request(accept="application/json"))
    assert (response.content_type, response.body) == ("application/json", b"text")


@pytest.mark.parametrize("body", [b"[[[1, null]]]", b"[null, null]", b'{"instances": [null]}'])
def test_a_missing_value_in_any_array_is_refused_where_the_manifest_forbids_it(invocations, tmp_path, body):
    write_manifest(tmp_path / "ml" / "model", n_features=None, allow_nan=False)
    assert invocations().respond(request(body)).status == 400


def test_the_manifest_lets_pass_what_it_says_nothing_about(invocations, tmp_path):
    write_manifest(tmp_path / "ml" / "model", n_features=None)
    assert invocations().respond(request(b"[[1, null, 3]]")).status == 200


def test_what_is_not_a_table_is_not_held_against_the_manifest(invocations, tmp_path):
    write_manifest(tmp_path / "ml" / "model", allow_nan=False)
    assert invocations().respond(request(b'{"input": 1}')).status == 200


def test_a_request_error_of_the_users_code_is_its_status(invocations):
    script = """
        from http import HTTPStatus
        from byoc_serving.errors import RequestError
        class TooColdError(RequestError):
            status = HTTPStatus.UNPROCESSABLE_ENTITY
        def model_fn(model_dir): return {}
        def predict_fn(data, model): raise TooColdError("It is too cold.", degrees=-5)
    """
    response = invocations(script).respond(request())
    assert response.status == 422
    assert error_of(response) == {"code": "TooCold", "message": "It is too cold.", "degrees": -5}


@pytest.mark.parametrize(
    "act",
    [
        "raise RecursionError",
        "return (n for n in data)",
        "return b'bytes'",
        "raise asyncio.CancelledError",
        "raise GeneratorExit",
        "raise BaseException",
        "raise BadRequestError('unprintable', value=loop)",
    ],
)
def test_the_users_failure_is_500_with_an_id_and_its_traceback_only_in_the_log(invocations, act, caplog):
    response = invocations(
        "import asyncio\nfrom byoc_serving.errors import BadRequestError\nloop = []\nloop.append(loop)\n"
        f"def model_fn(d): return {{}}\ndef predict_fn(data, model): {act}\n"
    ).respond(request())
    assert response.status == 500
    assert error_of(response) == {
        "code": "InternalServerError",
        "message": "The algorithm failed; its traceback is in the log under this id.",
        "id": "id-1",
    }
    (logged,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert logged.request_id == "id-1"
    assert logged.exc_info


def test_the_log_names_the_type_of_a_prediction_that_has_no_form(invocations, caplog):
    invocations("def model_fn(d): return {}\ndef predict_fn(data, model): yield 1\n").respond(request())
    assert "a generator, which has no JSON form" in caplog.text


@pytest.mark.parametrize(
    ("where", "raised"),
    [
        ("def model_fn(d): return {}\ndef predict_fn(data, model): raise KeyboardInterrupt\n", 500),
        ("def model_fn(d): raise KeyboardInterrupt\ndef predict_fn(data, model): return data\n", 503),
    ],
)
def test_an_interrupt_ends_the_main_thread_only(invocations, where, raised):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = invocations(where)
    try:
        with pytest.raises(KeyboardInterrupt):
            running.respond(request())
    finally:
        signal.signal(signal.SIGINT, before)
    with ThreadPoolExecutor() as threads:
        assert threads.submit(running.respond, request()).result().status == raised


@pytest.mark.parametrize("act", ["raise GeneratorExit", "sys.exit(1)", "raise asyncio.CancelledError"])
def test_whatever_the_load_raises_is_a_failed_load(invocations, monkeypatch, act):
    monkeypatch.setattr(loading, "read_manifest", lambda _: exec(f"import asyncio, sys\n{act}"))
    running = invocations()
    assert running.respond(request()).status == 503
    assert (running.loading.state, "Loading failed: " in running.loading.reason) == ("failed", True)


def test_a_compressed_body_is_expanded_within_the_limit(invocations):
    running = invocations(max_payload_mb=1)
    zipped = request(gzip.compress(b"[[1, 2]]"), content_encoding="GZIP")
    assert running.respond(zipped).body == b"[[1.0,2.0]]"
    assert running.respond(request(gzip.compress(bytes(2**21)), content_encoding="gzip")).status == 413
    assert running.respond(request(content_encoding="gzip")).status == 400


def test_another_compression_is_refused_as_such(invocations):
    response = invocations().respond(request(content_encoding="br"))
    assert response.status == 415
    assert error_of(response)["sent"] == "br"


def test_the_identity_encoding_is_none(invocations):
    assert invocations().respond(request(content_encoding="identity")).status == 200


def test_every_invocation_has_one_line_in_the_log_without_its_body(invocations, caplog):
    caplog.set_level(logging.INFO)
    running = invocations()
    headers = {"x-amzn-sagemaker-inference-id": "i", "x-amzn-sagemaker-custom-attributes": "c"}
    running.respond(Request(b'"secret"', None, None, headers, "id-1"))
    running.respond(Request(b"{", None, None, {}, "id-2"))
    first, second = [record for record in caplog.records if record.name == "invocation"]
    assert (first.request_id, first.inference_id, first.custom_attributes) == ("id-1", "i", "c")
    assert (first.status, first.bytes_in, first.bytes_out) == (200, 8, 8)
    assert first.ms > 0
    assert (second.request_id, second.inference_id, second.status) == ("id-2", None, 400)
    assert "secret" not in caplog.text


def test_nothing_is_loaded_before_it_is_asked_for(invocations):
    running = invocations("raise RuntimeError('imported')")
    assert running.loading.state == "starting"
    assert "inference" not in sys.modules


def test_a_failed_load_is_remembered_and_every_request_gets_its_reason(invocations, caplog):
    running = invocations("def predict_fn(data, model): return data\n")
    with pytest.raises(ServingError, match="model_fn"):
        running.load()
    with pytest.raises(NotReadyError, match="model_fn"):
        running.load()
    response = running.respond(request())
    assert (running.loading.state, response.status) == ("failed", 503)
    error = error_of(response)
    assert (error["code"], error["state"]) == ("NotReady", "failed")
    assert "has no model_fn" in error["message"]
    assert not [record for record in caplog.records if record.levelno == logging.ERROR]  # load() raised it


def test_the_first_request_loads_and_logs_why_it_could_not(invocations, caplog):
    running = invocations("def predict_fn(data, model): return data\n")
    statuses = [running.respond(request()).status for _ in range(3)]
    assert statuses == [503, 503, 503]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


def test_requests_that_come_while_the_model_loads_wait_for_it(invocations, tmp_path):
    script = f"""
        import pathlib, time
        def model_fn(model_dir):
            with pathlib.Path({str(tmp_path / "loads")!r}).open("a") as file:
                file.write("x")
            time.sleep(0.3)
            return {{}}
        def predict_fn(data, model): return data
    """
    running = invocations(script)
    running.loading.start()
    assert running.loading.state == "starting"
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(running.respond(request()).status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert running.loading.state == "ready"
    assert (tmp_path / "loads").read_text() == "x"


def test_an_array_is_written_to_without_harm_where_the_caller_sent_text(invocations):
    script = "def model_fn(d): return {}\ndef predict_fn(data, model):\n    data[0] = 7\n    return data\n"
    assert invocations(script).respond(request()).body == b"[[7.0,7.0]]"


def test_the_answers_type_is_settled_before_anything_is_computed(invocations, tmp_path):
    ran = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    script = f"def model_fn(d): return {{}}\ndef predict_fn(data, model): {ran}\n"
    response = invocations(script).respond(request(accept="image/png"))
    assert response.status == 406
    assert not (tmp_path / "ran").exists()


def test_the_search_for_bad_records_ends_at_half_the_timeout_with_the_refusal(tmp_path, caplog, monkeypatch):
    (tmp_path / "ml" / "model").mkdir(parents=True)
    write_manifest(tmp_path / "ml" / "model")
    seconds = itertools.count(0.0, 0.01)
    settings = Settings(
        base_dir=tmp_path / "ml", apps_dir=apps_with(tmp_path, ECHO), bad_record="ERROR", timeout_s=4
    )
    with own_imports():
        invocations = Invocations(settings)
        monkeypatch.setattr("byoc_serving.invocation.time.perf_counter", lambda: next(seconds))
        few = invocations.respond(request(b"x\n1,2\n", "text/csv", "text/csv"))
        assert few.body == b"ERROR\n1.0,2.0\n"
        many = invocations.respond(request(b"x\n" * 10_000, "text/csv", "text/csv"))
    assert many.status == 400
    assert "expected" in error_of(many)
    assert next(seconds) < 4
    assert "no placeholder: it takes too long" in caplog.text
