import http.server
import json
import shutil
import threading

import pytest

from bench.contest.errors import BenchError
from bench.contest.wrk import Load, Shot, load, load_from, wrk

SAID = {
    "requests": 1000,
    "duration_us": 2_000_000,
    "p50_us": 1500,
    "p99_us": 9000,
    "connect": 0,
    "read": 0,
    "write": 0,
    "status": 0,
    "timeout": 0,
}


def told(**changes):
    return f"Running 2s test\n  1 threads\n\n{json.dumps({**SAID, **changes})}\n"


def test_the_last_line_of_wrks_output_is_the_outcome():
    assert load_from(told()) == Load(per_second=500.0, p50_ms=1.5, p99_ms=9.0, failures=0)


def test_an_answer_of_another_status_is_a_failure_and_no_answer():
    outcome = load_from(told(status=100))
    assert (outcome.per_second, outcome.failures) == (450.0, 100)


def test_every_kind_of_error_counts():
    assert load_from(told(connect=1, read=2, write=3, status=4, timeout=5)).failures == 15


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1"])
def test_other_output_is_no_outcome(text):
    with pytest.raises(BenchError, match="not what wrk says"):
        load_from(text)


def test_a_missing_wrk_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchError, match="apt-get install wrk"):
        wrk()


class Echo(http.server.BaseHTTPRequestHandler):
    """Refuses what is not the body and type that it was told to expect."""

    protocol_version = "HTTP/1.1"
    posted = ("", b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fine = (self.headers["Content-Type"], body) == self.posted and self.headers["X-More"] == "a: b"
        self.send_response(200 if fine else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_posts_the_body_with_its_headers_and_counts_refusals(tmp_path, monkeypatch):
    monkeypatch.setattr(Echo, "posted", ("text/csv", b'1,"2"\n\x00'))
    body = tmp_path / "body"
    body.write_bytes(b'1,"2"\n\x00')
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/x"
        taken = load(Shot(url, body, "text/csv", {"X-More": "a: b"}), 1, 1)
        refused = load(Shot(url, body, "text/plain", {"X-More": "a: b"}), 1, 1)
        server.shutdown()
        thread.join()
    assert taken.failures == 0
    assert taken.per_second > 0
    assert 0 < taken.p50_ms <= taken.p99_ms
    assert refused.failures > 0
    assert refused.per_second == 0
