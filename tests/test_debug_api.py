import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

import debug_api
from flask_server import ECHO, Caller, apps_with
from processes import eventually, processes_with
from serving import free_port, program_with

ANSWERS = "def model_fn(d): return {{}}\ndef predict_fn(data, model): return {!r}\n"


class DebugServer:
    """A running debug_api.py over a copy of the image's program."""

    def __init__(self, folder, script, *options):
        self.program = program_with(apps_with(folder, script), folder / "program")
        self.script = self.program / "apps" / "inference.py"
        self.caller = Caller(free_port())
        self.log = folder / "log"
        self.command = [sys.executable, str(self.program / "debug_api.py"), "--port", str(self.caller.port)]
        environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(folder / "ml"), "PYTHONUNBUFFERED": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.command, *options], stdout=log, stderr=log, env=environ, start_new_session=True
            )

    def answer(self):
        with contextlib.suppress(OSError, http.client.HTTPException):  # cut off by a new start
            return self.caller.invoke("[[1]]").json
        return None

    def answers(self, value, within_s=10):
        assert eventually(lambda: self.answer() == value, within_s), (self.answer(), self.log.read_text())


@pytest.fixture
def debug_server(tmp_path):
    """A function that starts a debug server over a model; whatever it started is ended."""
    (tmp_path / "ml" / "model").mkdir(parents=True)
    (tmp_path / "ml" / "model" / "model.txt").write_text("a model")
    running = []

    def start(script, *options):
        running.append(DebugServer(tmp_path, script, *options))
        return running[-1]

    yield start
    for server in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


def run(folder, *options):
    """Run a debug server that is to refuse; return its status and what it wrote to stderr."""
    server = DebugServer(folder, ECHO, *options)
    return server.process.wait(20), server.log.read_text()


def test_an_edit_in_apps_is_served_and_a_broken_one_recovers(debug_server):
    server = debug_server(ANSWERS.format(["first"]))
    server.answers(["first"])
    server.script.write_text(ANSWERS.format(["other"]))  # as long, within the same second
    server.answers(["other"])
    server.script.write_text("def model_fn(:\n")
    assert eventually(lambda: (server.answer() or {}) != ["other"])
    assert "apps/inference.py cannot be imported" in server.answer()["error"]["message"]
    server.script.write_text(ANSWERS.format(["recovered"]))
    server.answers(["recovered"])


def test_an_edit_of_any_file_in_apps_starts_again_a_new_one_too(debug_server):
    server = debug_server("from words import WORD\n" + ECHO.replace("return data", "return [WORD]"))
    assert eventually(lambda: "cannot be imported" in str(server.answer()))
    (server.program / "apps" / "words.py").write_text(
        "from pathlib import Path\nWORD = (Path(__file__).parent / 'data' / 'word.txt').read_text()\n"
    )
    (server.program / "apps" / "data").mkdir()
    (server.program / "apps" / "data" / "word.txt").write_text("one")
    server.answers(["one"])
    (server.program / "apps" / "data" / "word.txt").write_text("two")
    server.answers(["two"])


def test_swagger_ui_is_shown_from_this_machine_alone(debug_server):
    server = debug_server(ANSWERS.format(["up"]))
    server.answers(["up"])
    page = server.caller.request("GET", "/docs/").body.decode()
    assert "//" not in page.replace("<!doctype", "")
    for name in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert server.caller.request("GET", f"/docs/{name}").status == 200
    assert server.caller.request("GET", "/docs/../openapi.json").status in (200, 404)
    assert server.caller.request("GET", "/docs/no.js").status == 404


def test_code_that_ends_the_interpreter_does_not_end_the_debug_server(debug_server):
    server = debug_server("import os\nos._exit(5)\n")
    assert eventually(lambda: "The server ended (status 5)" in server.log.read_text(), 10)
    server.script.write_text(ANSWERS.format(["back"]))
    server.answers(["back"])


def test_a_traceback_is_shown_in_the_terminal_and_not_to_the_caller(debug_server):
    server = debug_server(
        "def model_fn(d): return {}\ndef predict_fn(data, model): raise ValueError('secret')\n"
    )
    assert eventually(server.answer, 10)
    answer = server.caller.invoke("[[1]]")
    assert answer.status == 500
    assert answer.error["code"] == "InternalServerError"
    assert b"secret" not in answer.body
    assert "ValueError: secret" in server.log.read_text()
    assert server.caller.request("GET", "/console").status == 404


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_a_signal_ends_all_of_it(debug_server, number, status):
    server = debug_server(ANSWERS.format(["up"]))
    server.answers(["up"])
    server.process.send_signal(number)
    assert server.process.wait(10) == status
    assert eventually(lambda: not processes_with(str(server.program)))
    assert "Traceback" not in server.log.read_text()


def test_a_hangup_that_nohup_ignores_ends_nothing(debug_server):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = debug_server(ANSWERS.format(["up"]))
    finally:
        signal.signal(signal.SIGHUP, before)
    server.answers(["up"])
    server.process.send_signal(signal.SIGHUP)
    server.script.write_text(ANSWERS.format(["still"]))
    server.answers(["still"])


def test_the_model_that_main_py_kept_comes_first(debug_server, tmp_path):
    script = "def model_fn(d): return d\ndef predict_fn(data, model): return [model]\n"
    server = debug_server(script)
    server.answers([str(tmp_path / "ml" / "model")])
    kept = server.program / "apps" / ".temps" / "model"
    kept.mkdir(parents=True)
    (kept / "model.txt").write_text("trained just now")
    server.script.write_text(script + "\n")
    server.answers([str(kept)])


def test_the_model_may_be_named(debug_server, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.txt").write_text("mine")
    script = "def model_fn(d): return d\ndef predict_fn(data, model): return [model]\n"
    server = debug_server(script, "--model", str(tmp_path / "mine"))
    server.answers([str(tmp_path / "mine")])


def test_only_loopback_is_listened_on(debug_server):
    server = debug_server(ANSWERS.format(["up"]))
    server.answers(["up"])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", server.caller.port), 1)


def test_without_a_model_it_says_what_to_run(tmp_path):
    status, said = run(tmp_path)
    assert status == 2
    assert "There is no model in" in said
    assert said.rstrip().endswith("apps/main.py")
    assert len(said.splitlines()) == 1


def test_a_port_in_use_is_one_clear_line(tmp_path):
    (tmp_path / "ml" / "model").mkdir(parents=True)
    (tmp_path / "ml" / "model" / "model.txt").write_text("a model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = run(tmp_path, "--port", str(port))
    assert status == 2
    assert said.startswith(f"debug_api.py: Port {port} cannot be used: Address already in use. Give another")
    assert len(said.splitlines()) == 1


def test_no_model_is_asked_for_where_models_come_by_their_api(tmp_path, monkeypatch, capsys):
    """It gets as far as its port, which is taken."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("SAGEMAKER_MULTI_MODEL", "true")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert debug_api.main(["--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be used: Address already in use" in capsys.readouterr().err
