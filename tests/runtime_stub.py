"""Stands in for the runtime API of SageMaker where a test decides each answer; a real server on loopback."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Runtime:
    """Where it answers, what it will answer, and what it was asked.

    Each of `answers` is (status, body, headers), taken in turn; the last is given for ever.
    """

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.answers = [(200, b"[1.0]", {"Content-Type": "application/json"})]
        self.asked = []
        self.connections = set()

    def refuses(self, status, code, **members):
        """Return an answer as AWS gives it: an error of the REST-JSON protocol."""
        body = json.dumps({"Message": members.pop("message", "no"), **members}).encode()
        return status, body, {"x-amzn-errortype": code, "Content-Type": "application/json"}


@contextmanager
def runtime_stub():
    """Give a running Runtime; it ends with the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            runtime.connections.add(self.client_address)
            runtime.asked.append((self.path, dict(self.headers), body))
            status, answer, headers = (
                runtime.answers.pop(0) if len(runtime.answers) > 1 else runtime.answers[0]
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    runtime = Runtime(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield runtime
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
