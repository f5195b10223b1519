import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import test_api
from byoc_serving.settings import Settings
from flask_server import apps_with, own_imports, serving
from predictor import create_app

CLIENT = Path(__file__).parents[1] / "container" / "custom_algorithm" / "test_api.py"

# Answers with what it was sent.
MIRROR = """
def model_fn(model_dir): return {}
def input_fn(body, content_type): return body if isinstance(body, str) else repr(body), content_type
def predict_fn(data, model): return data
def output_fn(prediction, accept):
    if prediction[0] == "fail":
        1 / 0
    return [*prediction, accept]
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    with own_imports():
        app = create_app(Settings(base_dir=folder, apps_dir=apps_with(folder, MIRROR)))
        with serving(app) as caller:
            yield f"http://127.0.0.1:{caller.port}/invocations"


def call(*options, sent=None, client=CLIENT, **variables):
    """Run the client as a user does, without our packages."""
    environ = {"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9", **variables}
    return subprocess.run(
        [sys.executable, "-I", str(client), *options],
        input=sent,
        capture_output=True,
        text=True,
        env=environ,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("rows.csv", "text/csv"),
        ("rows.JSON", "application/json"),
        ("rows.jsonl", "application/jsonlines"),
        ("rows.ndjson", "application/jsonlines"),
        ("rows.npy", "application/x-npy"),
        ("rows.txt", "text/plain"),
        ("rows", "application/octet-stream"),
    ],
)
def test_a_file_is_sent_as_it_is_under_the_type_of_its_suffix(url, tmp_path, name, content_type):
    (tmp_path / name).write_bytes(b" 1,2\r\n")
    got = call("--url", url, "--file", str(tmp_path / name))
    is_text = content_type in ("text/csv", "application/json")
    assert json.loads(got.stdout) == [
        " 1,2\r\n" if is_text else "b' 1,2\\r\\n'",
        content_type,
        "application/json",
    ]
    assert got.returncode == 0


def test_status_and_time_go_to_stderr_and_the_answer_alone_to_stdout(url, tmp_path):
    (tmp_path / "rows.csv").write_text("1")
    got = call("--url", url, "--file", str(tmp_path / "rows.csv"))
    assert got.stdout == '["1","text/csv","application/json"]\n'
    assert got.stderr.startswith("200, ")
    assert got.stderr.endswith(" ms\n")


def test_a_reader_who_has_seen_enough_is_no_error(url, tmp_path):
    (tmp_path / "rows.csv").write_text("1\n" * 200_000)
    command = [sys.executable, str(CLIENT), "--url", url, "--file", str(tmp_path / "rows.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        client.stdout.read(10)
        client.stdout.close()
        assert b"Traceback" not in client.stderr.read()
    assert client.returncode == 0


def test_the_types_may_be_named_and_the_body_come_from_stdin(url):
    got = call("--url", url, "--file", "-", "--content-type", "text/csv", "--accept", "image/png", sent="1,2")
    assert json.loads(got.stdout) == ["1,2", "text/csv", "image/png"]


def test_standard_input_is_json_unless_said(url):
    assert json.loads(call("--url", url, "--file", "-", sent="[1]").stdout)[1] == "application/json"


@pytest.fixture
def client(tmp_path):
    """The client in a program folder of its own, with no model yet."""
    client = tmp_path / "program" / "test_api.py"
    client.parent.mkdir()
    client.write_bytes(CLIENT.read_bytes())
    return client


def keep(model, rows):
    model.mkdir(parents=True)
    (model / "manifest.json").write_text(json.dumps({"sample_rows": rows}))


def test_on_a_laptop_the_sample_rows_of_the_kept_model_are_the_default(url, client, tmp_path):
    keep(client.parent / "apps" / ".temps" / "model", ["a lovely day"])
    keep(tmp_path / "ml" / "model", [[1, 2]])
    got = call("--url", url, client=client, SAGEMAKER_BASE_DIR=str(tmp_path / "ml"))
    assert json.loads(got.stdout)[:2] == ['["a lovely day"]', "application/json"]


def test_in_the_image_the_manifests_sample_rows_are(url, client, tmp_path):
    keep(tmp_path / "ml" / "model", [[1, 2], [3, 4]])
    got = call("--url", url, client=client, SAGEMAKER_BASE_DIR=str(tmp_path / "ml"))
    assert json.loads(got.stdout)[:2] == ["[[1, 2], [3, 4]]", "application/json"]


def test_with_nothing_to_send_it_says_so(tmp_path):
    client = tmp_path / "test_api.py"
    client.write_bytes(CLIENT.read_bytes())
    got = call(client=client, SAGEMAKER_BASE_DIR=str(tmp_path))
    assert (got.returncode, got.stdout) == (2, "")
    assert "Say with --file what to send" in got.stderr


def test_an_answer_that_is_no_text_is_not_touched(tmp_path):
    folder = tmp_path / "npy"
    (tmp_path / "rows.csv").write_text("1,2\n")
    with own_imports():
        echo = "def model_fn(d): return {}\ndef predict_fn(data, model): return data\n"
        with serving(create_app(Settings(base_dir=folder, apps_dir=apps_with(folder, echo)))) as caller:
            command = [sys.executable, str(CLIENT), "--url", f"http://127.0.0.1:{caller.port}/invocations"]
            options = ["--file", str(tmp_path / "rows.csv"), "--accept", "application/x-npy"]
            got = subprocess.run([*command, *options], capture_output=True, check=True)
    (tmp_path / "answer.npy").write_bytes(got.stdout)
    assert np.load(tmp_path / "answer.npy").tolist() == [[1, 2]]


def test_an_error_is_the_containers_message_and_status_1(url):
    got = call("--url", url, "--file", "-", sent="fail")
    assert (got.returncode, got.stdout) == (1, "")
    assert got.stderr.startswith("500, ")
    assert "test_api.py: The algorithm failed; its traceback is in the log under this id. (id " in got.stderr


def test_an_error_that_is_no_json_is_shown_as_it_is():
    assert test_api.message_in(b"Bad gateway\n") == "Bad gateway"
    assert test_api.message_in(b"[]") == "[]"
    assert test_api.message_in(b"") == "The answer is empty."


def test_where_nobody_listens_it_says_how_to_start_a_server():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    got = call("--url", f"http://127.0.0.1:{port}/invocations", "--file", "-", sent="1")
    assert got.returncode == 1
    assert len(got.stderr.splitlines()) == 1
    assert f"Nobody listens at http://127.0.0.1:{port}/invocations" in got.stderr
    assert "debug_api.py" in got.stderr


def hang_up(listening, said):
    connection, _ = listening.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(said)


@pytest.mark.parametrize(
    "said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_a_broken_answer_is_one_clear_line(said):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=hang_up, args=(listening, said))
        thread.start()
        got = call(
            "--url", f"http://127.0.0.1:{listening.getsockname()[1]}/invocations", "--file", "-", sent="1"
        )
        thread.join()
    assert got.returncode == 1
    assert len(got.stderr.splitlines()) == 1
    assert "gave no answer" in got.stderr


def test_a_server_that_does_not_answer_in_time_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(test_api, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/invocations"
        with pytest.raises(test_api.NoAnswerError, match=r"did not answer within 0\.1 s"):
            test_api.post(url, b"1", "text/csv", None)


@pytest.mark.parametrize(
    "options",
    [
        ["--file", "nowhere.csv"],
        ["--file", "/"],
        ["--url", "nonsense", "--file", "-"],
        ["--url", "http://[", "--file", "-"],
        ["--url", "file:///etc/hostname", "--file", "-"],
        ["--url", "ftp://127.0.0.1/x", "--file", "-"],
        ["--url", "http:///invocations", "--file", "-"],
        ["--url", "http://127.0.0.1:port/", "--file", "-"],
        ["--url", "//127.0.0.1/", "--file", "-"],
    ],
)
def test_what_cannot_be_used_is_one_clear_line_and_status_2(options):
    got = call(*options, sent="1")
    assert (got.returncode, got.stdout) == (2, "")
    assert len(got.stderr.splitlines()) == 1
    assert options[1] in got.stderr


def test_a_header_that_cannot_be_sent_is_one_clear_line_and_status_2(url):
    got = call("--url", url, "--file", "-", "--accept", "text/csv\n", sent="1")
    assert (got.returncode, len(got.stderr.splitlines())) == (2, 1)
    assert "cannot be sent" in got.stderr
