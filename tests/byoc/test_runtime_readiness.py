"""Waiting for a served program ends when it is ready, when it has ended, or when patience has."""

import sys
import time

import pytest

from byoc.errors import ProgramError
from byoc.runtime.network import dial_port, free_port
from byoc.runtime.program import Place, run
from byoc.runtime.readiness import wait_until_ready

ANSWERS = """
import http.server, sys, time
statuses = [int(status) for status in sys.argv[2].split(",")]
class Ping(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.end_headers()
        self.wfile.write(b"loading the model")
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ping).serve_forever()
"""


def serving(tmp_path, port, statuses):
    argv = [sys.executable, "-c", ANSWERS, str(port), statuses]
    return run(argv, Place(tmp_path / "serve"), {}, tmp_path, grace_s=2)


@pytest.mark.parametrize("statuses", ["200", "503,503,200", "502,500,404,200"])
def test_only_200_is_ready_and_all_else_is_not_yet(tmp_path, statuses):
    port = free_port()
    with serving(tmp_path, port, statuses) as process:
        wait_until_ready(process, dial_port(port), timeout_s=10)


@pytest.mark.parametrize("ended_with", [1, 0])
def test_a_program_that_ends_is_noticed_at_once_with_its_last_lines(tmp_path, ended_with):
    argv = [sys.executable, "-c", f"print('no such model'); raise SystemExit({ended_with})"]
    began = time.monotonic()
    with run(argv, Place(tmp_path / "serve"), {}, tmp_path) as process, pytest.raises(ProgramError) as raised:
        wait_until_ready(process, dial_port(free_port()))
    assert time.monotonic() - began < 3
    assert str(raised.value) == (
        f"serve ended with status {ended_with} before it was ready. "
        f"Its last lines ({tmp_path}/serve.log):\n  no such model"
    )


def test_a_program_that_never_gets_ready_is_told_with_its_last_answer(tmp_path):
    port = free_port()
    with serving(tmp_path, port, "503") as process, pytest.raises(ProgramError) as raised:
        wait_until_ready(process, dial_port(port), timeout_s=0.5)
    assert "was not ready after 0.5 s" in str(raised.value)
    assert "/ping answered 503 loading the model" in str(raised.value)


def test_a_program_that_never_listens_is_told_as_such(tmp_path):
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with run(argv, Place(tmp_path / "serve"), {}, tmp_path) as process, pytest.raises(ProgramError) as raised:
        wait_until_ready(process, dial_port(free_port()), timeout_s=0.3)
    assert "no answer to /ping" in str(raised.value)
