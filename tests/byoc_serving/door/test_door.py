"""The fast door on the wire: what a proxy, a plain client and a broken one send, and what each gets."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from dataclasses import replace

import flask
import pytest

from byoc_serving.door.choice import hooks_of, invocations_of
from byoc_serving.door.worker import finish
from byoc_serving.settings import Settings
from byoc_serving.warming import warmed
from flask_server import ECHO, Answer, UnwatchedSlot, apps_with, fast_serving, own_imports
from predictor import create_app
from processes import eventually
from scrape import scraped

POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"


def app_of(folder, script):
    (folder / "ml" / "model").mkdir(parents=True, exist_ok=True)
    return create_app(Settings(base_dir=folder / "ml", apps_dir=apps_with(folder, script), max_payload_mb=1))


@contextlib.contextmanager
def served(folder, script=ECHO, **settings):
    with own_imports(), fast_serving(app_of(folder, script), **settings) as caller:
        yield caller


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    with served(tmp_path_factory.mktemp("echo")) as caller:
        yield caller


def said_to(caller, *pieces, half_close=True):
    """Send pieces, each when the one before has had time to arrive; return all that comes back."""
    with socket.create_connection(("127.0.0.1", caller.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


def said_on(connection, sent=b""):
    """Return the answer to what was sent on a connection that stays open."""
    connection.sendall(sent)
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, response.headers, response.read())


def statuses(said):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", said)]


def test_requests_on_one_connection_are_answered_one_after_the_other(echo):
    one, two = (POST + b"Content-Length: 3\r\n\r\n" + body for body in (b"1,2", b"3,4"))
    said = said_to(echo, one + two[:40], two[40:])
    assert statuses(said) == [200, 200]
    assert said.index(b"[[1.0,2.0]]") < said.index(b"[[3.0,4.0]]")


@pytest.mark.parametrize("cut", [1, 20, len(POST), len(POST) + 10])
def test_a_request_may_come_in_pieces_of_any_size(echo, cut):
    whole = POST + b"Content-Length: 3\r\n\r\n1,2"
    assert said_to(echo, whole[:cut], whole[cut:]).endswith(b"[[1.0,2.0]]")


def test_a_body_in_chunks_is_put_together_and_what_follows_is_the_next_request(echo):
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n1,\r\n1;x=y\r\n2\r\n0\r\nX-Sum: t\r\n\r\n"
    said = said_to(echo, chunked[:-28], chunked[-28:] + POST + b"Content-Length: 1\r\n\r\n7")
    assert statuses(said) == [200, 200]
    assert said.endswith(b"[[7.0]]")


def test_a_body_in_chunks_may_have_as_long_a_head_as_any_other(echo):
    framings = [(b"Transfer-Encoding: chunked", b"1\r\n7\r\n0\r\n\r\n"), (b"Content-Length: 1", b"7")]
    for framing, body in framings:
        said = said_to(echo, POST + b"X-Long: " + b"x" * 20_000 + b"\r\n" + framing + b"\r\n\r\n" + body)
        assert (statuses(said), said[-7:]) == ([200], b"[[7.0]]")


def test_chunks_that_are_hardly_anything_but_their_own_lines_are_refused(echo):
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    assert statuses(said_to(echo, head + b"5;" + b"x" * 100_000)) == [400]
    small = b"1\r\n7\r\n" * 50_000 + b"0\r\n\r\n"
    assert statuses(said_to(echo, head + small)) == [200]


def test_a_client_that_asks_first_is_told_to_go_on(echo):
    said = said_to(echo, POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", b"1,2")
    assert statuses(said) == [100, 200]


def test_a_client_that_wants_the_connection_closed_has_it_closed(echo):
    said = said_to(echo, POST + b"Connection: close\r\nContent-Length: 1\r\n\r\n7", half_close=False)
    assert b"\r\nConnection: close\r\n" in said
    assert said.endswith(b"[[7.0]]")


def test_a_client_of_http_1_0_gets_an_answer_of_known_length(echo):
    head = b"POST /invocations HTTP/1.0\r\nContent-Type: text/csv\r\nContent-Length: 1\r\n\r\n7"
    said = said_to(echo, head, half_close=False)
    assert b"\r\nContent-Length: 7\r\n" in said


def test_a_path_with_a_query_is_the_same_path(echo):
    said = said_to(echo, POST.replace(b"/invocations", b"/invocations?a=b") + b"Content-Length: 1\r\n\r\n7")
    assert statuses(said) == [200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 501),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 2_000 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 70_000, 431),
        (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n1,2", 400),
        (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1,2", 400),
        (POST + b"Content-Length: -3\r\n\r\n", 400),
        (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"X: y\n\tContent-Length: 3\r\n\r\n1,2", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Content-Length: 99\r\n\r\n1,2", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n1,", 400),
    ],
)
def test_what_is_no_whole_request_is_refused_in_json_and_the_connection_closed(echo, sent, status):
    said = said_to(echo, sent)
    assert statuses(said) == [status]
    assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["message"].endswith(".")
    assert echo.invoke("7", "text/csv").status == 200


def test_a_client_that_goes_away_costs_nobody_else_anything(echo):
    for piece in (b"", b"POST", POST + b"Content-Length: 9\r\n\r\n1", POST + b"Content-Length: 1\r\n\r\n7"):
        with socket.create_connection(("127.0.0.1", echo.port)) as gone:
            gone.sendall(piece)
    assert echo.invoke("7", "text/csv").status == 200


OLD_POST = POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Content-Length: 1\r\n\r\n"
STREAM = """
    import itertools
    def model_fn(model_dir): return {}
    def predict_fn(data, model): return data
    def output_fn(prediction, accept):
        if prediction[0, 0] == 0:
            return ([1] for _ in range(3))
        def pieces():
            for number in range(int(prediction[0, 0])):
                if number == 5:
                    raise ValueError("secret")
                yield f"{number}\\n" if number % 2 else f"{number}\\n".encode()
        return pieces(), "text/event-stream"
"""


def test_what_an_iterator_yields_is_sent_piece_by_piece(tmp_path):
    with served(tmp_path, STREAM) as caller:
        said = said_to(caller, POST + b"Content-Length: 1\r\n\r\n3")
        assert b"\r\nTransfer-Encoding: chunked\r\n" in said
        assert said.endswith(b"2\r\n0\n\r\n2\r\n1\n\r\n2\r\n2\n\r\n0\r\n\r\n")
        got = caller.invoke("3", "text/csv")
        assert (got.body, got.headers["Content-Type"]) == (b"0\n1\n2\n", "text/event-stream")
        head, _, body = said_to(caller, OLD_POST + b"3", half_close=False).partition(b"\r\n\r\n")
        assert body == b"0\n1\n2\n"
        assert b"Transfer-Encoding" not in head
        assert b"\r\nConnection: close" in head


def test_a_stream_that_fails_after_its_begin_is_seen_to_be_torn_and_before_it_is_500(tmp_path, caplog):
    with served(tmp_path, STREAM) as caller:
        assert not said_to(caller, POST + b"Content-Length: 1\r\n\r\n9").endswith(b"0\r\n\r\n")
        assert said_to(caller, OLD_POST + b"9", half_close=False).endswith(b"4\n")
        assert caller.invoke("0", "text/csv").status == 500
        assert caller.invoke("3", "text/csv").body == b"0\n1\n2\n"
    assert "a streamed answer broke off" in caplog.text


def test_a_stream_that_is_sent_counts_among_the_requests_that_there_may_be(tmp_path):
    script = """
        def model_fn(model_dir): return {}
        def predict_fn(data, model): return data
        def output_fn(prediction, accept):
            return iter([b"x" * 1_000_000] * int(prediction[0, 0])), "text/plain"
    """
    with served(tmp_path, script, most_waiting=1) as caller:
        with socket.create_connection(("127.0.0.1", caller.port)) as unread:
            unread.sendall(POST + b"Content-Length: 2\r\n\r\n99")
            assert eventually(lambda: caller.invoke("1", "text/csv").status == 503)
        assert eventually(lambda: caller.invoke("1", "text/csv").status == 200)


def test_newcomers_do_not_hold_up_others_while_streams_are_made(tmp_path):
    script = """
        import time
        def model_fn(model_dir): return {}
        def predict_fn(data, model): return data
        def output_fn(prediction, accept):
            def pieces():
                for _ in range(int(prediction[0, 0])):
                    yield b"x"
                    time.sleep(0.05)
            return pieces(), "text/plain"
    """
    with served(tmp_path, script) as caller, contextlib.ExitStack() as open_ones:
        address = ("127.0.0.1", caller.port)
        streams = [open_ones.enter_context(socket.create_connection(address)) for _ in range(4)]
        for stream in streams:
            stream.sendall(POST + b"Content-Length: 2\r\n\r\n30")
        over = threading.Event()

        def keep_coming():
            while not over.wait(0.05):
                open_ones.enter_context(socket.create_connection(address))

        comers = threading.Thread(target=keep_coming)
        comers.start()
        try:
            began = time.monotonic()
            assert caller.request("GET", "/ping").status in (200, 503)
            assert time.monotonic() - began < 3
        finally:
            over.set()
            comers.join()


def test_a_second_body_that_breaks_off_while_the_first_is_answered_is_refused(echo):
    one = POST + b"Content-Length: 1\r\n\r\n7"
    assert statuses(said_to(echo, one + POST + b"Content-Length: 9\r\n\r\n7")) == [200, 400]


SLOW = """
    import time
    def model_fn(model_dir): return {}
    def predict_fn(data, model):
        time.sleep(0.3)
        return data
"""


def test_more_than_may_wait_are_told_to_come_again_logged_and_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    with served(tmp_path, SLOW, most_waiting=2) as caller, contextlib.ExitStack() as open_ones:
        connections = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", caller.port))) for _ in range(8)
        ]
        for connection in connections:  # so that each has been accepted
            assert said_on(connection, b"GET /x HTTP/1.1\r\n\r\n").status == 404
        for connection in connections:
            connection.sendall(POST + b"Content-Length: 1\r\n\r\n7")
        got = [said_on(connection) for connection in connections]
        counted = scraped(caller.request("GET", "/metrics").body.decode())
    refused = [answer for answer in got if answer.status == 503]
    assert refused
    assert len(got) - len(refused) >= 2
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert {json.loads(answer.body)["error"]["code"] for answer in refused} == {"TooManyRequests"}
    assert [line.status for line in caplog.records if line.name == "invocation"].count(503) == len(refused)
    assert counted["byoc_requests_refused_total", None] == len(refused)


def test_each_of_many_requests_sent_at_once_to_a_full_worker_is_answered(tmp_path):
    with (
        served(tmp_path, SLOW, most_waiting=1) as caller,
        socket.create_connection(("127.0.0.1", caller.port)) as busy,
    ):
        busy.sendall(POST + b"Content-Length: 1\r\n\r\n7")
        said = said_to(caller, b"GET /x HTTP/1.1\r\n\r\n" * 3_000)
        assert len(statuses(said)) == 3_000
        assert said_on(busy).status == 200


@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"Content-Length: 12", b"1,2\n" * 3), (b"Transfer-Encoding: chunked", b"4\r\n1,2\n\r\n0\r\n\r\n")],
)
def test_an_upload_may_take_longer_than_a_connection_may_be_quiet(echo, framing, body):
    with socket.create_connection(("127.0.0.1", echo.port)) as connection:
        connection.sendall(POST + framing + b"\r\n\r\n")
        for byte in body:
            time.sleep(0.05)
            connection.sendall(bytes([byte]))
            echo.fast.call(lambda: echo.fast.turns.close_quiet_connections(0.4, receiving_s=0.4))
        assert said_on(connection).status == 200


def test_a_head_that_comes_for_ever_is_given_up(echo):
    with socket.create_connection(("127.0.0.1", echo.port)) as connection:
        for _ in range(30):
            with contextlib.suppress(OSError):
                connection.sendall(b"G")
            time.sleep(0.01)
            echo.fast.call(lambda: echo.fast.turns.close_quiet_connections(75, receiving_s=0.2))
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""


def finished(caller, **limits):
    return caller.fast.call(lambda: finish(caller.fast.turns, 10, lambda: None, **limits))


def test_a_worker_that_is_to_end_answers_what_has_begun_to_come_in_and_what_has_come(tmp_path):
    with served(tmp_path, SLOW) as caller, contextlib.ExitStack() as open_ones:
        waiting, half, idle = (
            open_ones.enter_context(socket.create_connection(("127.0.0.1", caller.port))) for _ in range(3)
        )
        for connection in (waiting, half, idle):
            assert said_on(connection, b"GET /x HTTP/1.1\r\n\r\n").status == 404
        half.sendall(POST + b"Content-Length: 3\r\n\r\n1,")
        waiting.sendall(POST + b"Content-Length: 1\r\n\r\n7")
        ending = threading.Thread(target=finished, args=[caller])
        ending.start()
        assert idle.recv(1) == b""
        half.sendall(b"2")
        assert said_on(waiting).status == 200
        last = said_on(half)
        assert (last.status, last.headers["Connection"]) == (200, "close")
        ending.join()


def test_a_request_that_stalls_does_not_hold_up_the_end(tmp_path):
    with (
        served(tmp_path) as caller,
        socket.create_connection(("127.0.0.1", caller.port)) as stalled,
    ):
        stalled.sendall(POST + b"Content-Length: 3\r\n\r\n1,")
        began = time.monotonic()
        finished(caller, stalled_s=0.1)
        assert time.monotonic() - began < 5
        assert stalled.recv(1) == b""


@pytest.mark.parametrize(("batching", "waits"), [("on", True), ("off", False)])
def test_a_request_waits_for_company_only_where_it_may_have_some(tmp_path, batching, waits):
    settings = Settings(base_dir=tmp_path, apps_dir=apps_with(tmp_path, ECHO), batching=batching)
    with own_imports():
        app = create_app(settings)
        app.extensions["invocations"].loading.change(lambda m: warmed(m, settings, lambda _: None))
        with fast_serving(app, wait_s=0.5) as caller:
            began = time.monotonic()
            assert caller.invoke("7", "text/csv").status == 200
            assert (time.monotonic() - began >= 0.5) is waits


@pytest.mark.parametrize("step", ["take", "go_on"])
def test_where_a_fault_of_ours_keeps_calls_from_an_answer_each_is_told_counted_and_logged(
    tmp_path, caplog, step
):
    class Places(UnwatchedSlot):
        begun, ended = 0, 0

        def begin(self, _request_id, _inference_id=None):
            self.begun += 1
            return self.begun

        def end(self, _place):
            self.ended += 1

    def broken(_requests):
        raise ValueError("secret")

    caplog.set_level("INFO")
    app, slot = app_of(tmp_path, ECHO), Places()
    invocations = app.extensions["invocations"]
    setattr(invocations, step, broken)
    with own_imports(), contextlib.ExitStack() as open_ones:
        invocations.loading.change(lambda model: replace(model, batch_rows=9))
        caller = open_ones.enter_context(fast_serving(app, slot=slot, wait_s=0.1))
        address = ("127.0.0.1", caller.port)
        both = [open_ones.enter_context(socket.create_connection(address)) for _ in range(2)]
        for connection in both:
            connection.sendall(POST + b"Content-Length: 1\r\n\r\n7")
        errors = [said_on(connection).error for connection in both]
        counted = scraped(caller.request("GET", "/metrics").body.decode())
    assert "secret" not in str(errors)
    assert slot.begun == slot.ended == 3
    assert counted["byoc_requests_total", 'status="5xx"'] == 2
    for name in ("door", "invocation"):
        told = {line.request_id for line in caplog.records if line.name == name}
        assert told == {error["id"] for error in errors}
    assert caplog.text.count("ValueError: secret") == 2


HOOKS = {
    "before_request": lambda app: app.before_request(lambda: None),
    "after_request": lambda app: app.after_request(lambda answer: answer),
    "teardown_request": lambda app: app.teardown_request(lambda _: None),
    "teardown_appcontext": lambda app: app.teardown_appcontext(lambda _: None),
    "url_value_preprocessor": lambda app: app.url_value_preprocessor(lambda *_: None),
    "middleware": lambda app: setattr(app, "wsgi_app", lambda *_: []),
    "another view": lambda app: app.view_functions.update(invoke=lambda: "mine"),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_an_app_with_something_of_its_users_is_asked_itself(tmp_path, hook):
    app = app_of(tmp_path, ECHO)
    assert invocations_of(app, Settings())
    HOOKS[hook](app)
    assert hooks_of(app)
    assert not invocations_of(app, Settings())
    assert invocations_of(app, Settings(door="fast"))


def test_an_answer_of_the_app_is_framed_as_its_status_and_the_method_have_it(tmp_path):
    app = app_of(tmp_path, ECHO)
    app.add_url_rule("/none", "none", lambda: ("", 204))
    app.add_url_rule("/old", "old", lambda: ("", 304))
    app.add_url_rule("/length", "length", lambda: "four")
    with own_imports(), fast_serving(app) as caller:
        asked = b"".join(b"GET %b HTTP/1.1\r\n\r\n" % path for path in (b"/none", b"/old", b"/length"))
        none, old, length, body = said_to(caller, asked).split(b"\r\n\r\n")
        assert (none[9:12], old[9:12]) == (b"204", b"304")
        assert not any(name in none + old for name in (b"Transfer-Encoding", b"Content-Length"))
        assert (b"Content-Length: 4" in length, body) == (True, b"four")
        head = caller.request("HEAD", "/length")
        assert (head.body, head.headers["Content-Length"]) == (b"", "4")


def test_every_cookie_of_the_app_arrives(tmp_path):
    app = app_of(tmp_path, ECHO)

    def view():
        answer = app.response_class("[]")
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    app.add_url_rule("/cookies", "cookies", view)
    with own_imports(), fast_serving(app) as caller:
        assert caller.request("GET", "/cookies").headers.get_all("Set-Cookie") == [
            "a=1; Path=/",
            "b=2; Path=/",
        ]


def test_the_setting_chooses_the_flask_app(tmp_path):
    assert not invocations_of(app_of(tmp_path, ECHO), Settings(door="flask"))


def test_what_the_app_streams_is_streamed_and_what_fails_in_it_is_500(tmp_path, caplog):
    app = app_of(tmp_path, ECHO)
    app.add_url_rule("/stream", "stream", lambda: app.response_class(iter([b"a", b"b"])))
    app.add_url_rule("/length", "length", lambda: "four")
    app.wsgi_app = failing_at("/fail", app.wsgi_app)
    with own_imports(), fast_serving(app) as caller:
        assert caller.request("GET", "/stream").body == b"ab"
        said = said_to(caller, b"HEAD /stream HTTP/1.1\r\n\r\nGET /length HTTP/1.1\r\n\r\n")
        assert said.split(b"\r\n\r\n")[1].startswith(b"HTTP/1.1 200"), "nothing stands between the two"
        length = caller.request("GET", "/length")
        assert (length.body, length.headers["Content-Length"]) == (b"four", "4")
        assert caller.request("GET", "/fail").error["code"] == "InternalServerError"
    assert "secret" in caplog.text


@pytest.mark.parametrize("multi_model", [False, True])
def test_the_app_is_told_whether_a_model_may_load_in_another_thread_meanwhile(tmp_path, multi_model):
    with own_imports():
        app = create_app(Settings(apps_dir=apps_with(tmp_path, ECHO), multi_model=multi_model))
        app.add_url_rule("/threads", "threads", lambda: {"may": flask.request.is_multithread})
        with fast_serving(app) as caller:
            assert caller.request("GET", "/threads").json == {"may": multi_model}


def failing_at(path, wsgi_app):
    def wrapped(environ, start_response):
        if environ["PATH_INFO"] == path:
            raise ValueError("secret")
        return wsgi_app(environ, start_response)

    return wrapped
