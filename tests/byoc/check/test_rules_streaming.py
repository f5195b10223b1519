"""A server that begins a WebSocket, as no program of the tests does."""

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from byoc.check.facts import BIDIRECTIONAL, Facts
from byoc.check.rules import streaming
from byoc.check.serving import Server
from byoc.check.verdict import Outcome
from byoc.runtime.network import dial_port


class Switches(BaseHTTPRequestHandler):
    magic = b""

    def do_GET(self):
        assert self.path == "/invocations-bidirectional-stream"
        assert (self.headers["Upgrade"], self.headers["Sec-WebSocket-Version"]) == ("websocket", "13")
        key = self.headers["Sec-WebSocket-Key"].encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accepts = base64.b64encode(hashlib.sha1(key + self.magic, usedforsecurity=False).digest())
        self.send_header("Sec-WebSocket-Accept", accepts.decode())
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("magic", "outcome", "seen"),
    [
        (b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", Outcome.PASS, "A WebSocket begins at /invocations-bidir"),
        (b"", Outcome.FAIL, "not of its key"),
    ],
)
def test_a_websocket_begins_with_101_and_its_keys_hash(monkeypatch, magic, outcome, seen):
    monkeypatch.setattr(Switches, "magic", magic)
    with HTTPServer(("127.0.0.1", 0), Switches) as http:
        once = threading.Thread(target=http.handle_request)
        once.start()
        server = Server(dial_port(http.server_port))
        facts = Facts(None, None, labels={BIDIRECTIONAL: "true"})
        verdict = streaming.bidirectional_stream(SimpleNamespace(facts=facts, server=lambda: server))
        once.join()
    assert verdict.outcome is outcome, verdict.seen
    assert seen in verdict.seen
