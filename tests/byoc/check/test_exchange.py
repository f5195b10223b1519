"""One call to a container, over real sockets, whatever is at the other end."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from byoc.check import reach
from byoc.check.exchange import BrokenCallError, Line
from byoc.check.load import Load, crowd
from byoc.check.question import address_of
from byoc.check.reach import server_at
from byoc.runtime.network import dial_port

_LARGE = bytes(8 << 20)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def server(serve):
    """Give the dial of a server that treats each connection as `serve(connection)` does, and closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield dial_port(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answering(*pieces):
    """Return what reads a request without a body and answers it, once."""

    def serve(connection):
        connection.recv(65536)
        for piece in pieces:
            connection.sendall(piece)

    return serve


def told(serve, timeout_s=5.0):
    """Return what GET / comes to."""
    with server(serve) as dial, Line(dial, timeout_s) as line:
        return line.call("GET", "/")


def test_an_answer_before_the_body_is_sent_counts_though_the_connection_is_closed_then():
    refusal = answering(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
    with server(refusal) as dial, Line(dial) as line:
        answer = line.call("POST", "/invocations", _LARGE)
    assert (answer.status, answer.body, answer.closes) == (413, b"big", True)


def test_an_answer_counts_that_comes_instead_of_reading_on():
    done = threading.Event()

    def serve(connection):
        connection.recv(10)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        done.wait(10)

    with server(serve) as dial, Line(dial) as line:
        answer = line.call("POST", "/invocations", _LARGE)
        done.set()
    assert answer.status == 413
    assert answer.closes
    assert answer.seconds < 5


def test_a_refused_body_in_pieces_is_told_by_its_answer():
    refusal = answering(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\n\r\n")
    with server(refusal) as dial, Line(dial) as line:
        assert line.call("POST", "/", (bytes(1 << 20) for _ in range(16))).status == 411


def test_an_answer_of_http_1_0_ends_with_its_connection():
    answer = told(answering(b"HTTP/1.0 200 OK\r\n\r\n", b"all of it"))
    assert (answer.body, answer.version, answer.closes) == (b"all of it", 10, True)


def test_an_answer_without_a_length_ends_with_its_connection():
    answer = told(answering(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n", b"one", b"two"))
    assert (answer.body, answer.version, answer.closes) == (b"onetwo", 11, True)
    assert answer.headers["content-type"] == "a/b"


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([], "closed without an answer"),
        ([b"hello\r\n\r\n"], "does not begin as HTTP does, but with 'hello"),
        ([b"\x00\xff" * 5000], "does not begin as HTTP does"),
        ([b"HTTP/9.9 200 OK\r\n\r\n"], "does not begin as HTTP does"),
        ([b"HTTP/1.1 200 OK\r\n", *[b"X-%d: y\r\n" % n for n in range(5000)]], "headers"),
        ([b"HTTP/1.1 200 OK\r\nX: ", b"y" * 100_000, b"\r\n\r\n"], "header line"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"], "ended in the middle"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], "ended in the middle"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello"], "GET /: "),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"], "ended in the middle"),
    ],
    ids=[
        "nothing",
        "words",
        "noise",
        "version",
        "flood",
        "long-header",
        "short",
        "no-chunk",
        "negative",
        "half-chunk",
    ],
)
def test_no_whole_answer_is_a_broken_call_that_says_what_came(pieces, why):
    with pytest.raises(BrokenCallError, match=why):
        told(answering(*pieces))


def test_a_call_has_one_time_for_all_of_its_answer():
    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b".")
            time.sleep(0.02)

    began = time.monotonic()
    with pytest.raises(BrokenCallError, match=r"no whole answer after 0\.3 s"):
        told(drip, 0.3)
    assert time.monotonic() - began < 2


def test_a_call_has_one_time_for_all_of_its_request():
    done = threading.Event()

    def sip(connection):
        while connection.recv(1000) and not done.wait(0.01):
            pass

    with server(sip) as dial, Line(dial, 0.3) as line:
        with pytest.raises(BrokenCallError, match=r"no whole answer after 0\.[3-9] s"):
            line.call("POST", "/", _LARGE)
        done.set()


def test_several_calls_use_one_connection_and_none_follows_its_end():
    def serve(connection):
        for _ in range(2):
            connection.recv(65536)
            connection.sendall(_OK)
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nlast")

    with server(serve) as dial, Line(dial) as line:
        assert [line.call("GET", "/").closes for _ in range(3)] == [False, False, True]
        with pytest.raises(BrokenCallError, match="had ended with the call before"):
            line.call("GET", "/")


def test_nobody_there_is_a_broken_call():
    with server(answering(_OK)) as dial:
        pass
    with pytest.raises(BrokenCallError, match=r"no connection \(connection refused\)"):
        Line(dial)


def test_a_load_calls_until_its_block_ends_and_keeps_what_broke():
    def call():
        with Line(dial) as line:
            return line.call("GET", "/")

    turns = iter([_OK, b"", *[_OK] * 1_000_000])

    def serve(connection):
        connection.recv(65536)
        connection.sendall(next(turns))

    with server(serve) as dial:
        with Load(call, 2) as load:
            while len(load.answers) < 10:
                time.sleep(0.01)
        ended = len(load.answers)
        time.sleep(0.05)
    assert len(load.answers) == ended
    assert [why for why, _ in load.broken] == [
        "GET /: the connection was closed without an answer after 0.0 s"
    ]


@pytest.mark.parametrize(("call_s", "clients"), [(0.0, 32), (0.01, 32), (1.0, 20), (4.0, 5), (60.0, 1)])
def test_fewer_clients_make_long_calls(call_s, clients):
    assert crowd(32, call_s) == clients


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://ml.example:8080", b"ml.example:8080"),
        ("http://ml.example", b"ml.example"),
        ("http://[::1]:81", b"[::1]:81"),
    ],
)
def test_a_running_server_is_called_by_its_own_name(monkeypatch, url, host):
    heard = []

    def serve(connection):
        heard.append(connection.recv(65536))
        connection.sendall(_OK)

    with server(serve) as dial:
        monkeypatch.setattr(reach, "dial_port", lambda _port, _host: dial)
        server_at(address_of(url)).ping()
    assert heard[0].count(b"Host: ") == 1
    assert b"\r\nHost: " + host + b"\r\n" in heard[0]
