"""fuzz: cases are the same again, and what harms a server is seen; our fast door withstands some of each."""

import socket
import threading

import pytest

from byoc_serving.settings import Settings
from flask_server import ECHO, apps_with, fast_serving, own_imports
from fuzz.malformed import FAMILIES, Case, case
from fuzz.wire import Heard, fault, send, statuses_of
from predictor import create_app

BODY = b"1,2,3\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_the_same_seed_makes_the_same_case_and_seeds_reach_every_family():
    assert case(7, BODY) == case(7, BODY)
    assert {case(seed, BODY).family for seed in range(200)} == set(FAMILIES)


@pytest.mark.parametrize(
    ("heard", "says"),
    [
        (Heard(b""), ""),
        (Heard(GOOD), ""),
        (Heard(b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD), ""),
        (Heard(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"), ""),
        (Heard(GOOD + b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "answered 502"),
        (Heard(GOOD + GOOD), "read as several"),
        (Heard(b"Segmentation fault"), "is not HTTP"),
        (Heard(b"", hung=True), "neither answered nor closed"),
    ],
)
def test_what_harms_is_told_from_what_does_not(heard, says):
    said = fault(Case("x", [b"x"]), heard)
    assert says in said if says else said == ""


def test_a_stream_of_answers_is_read_by_their_lengths():
    assert statuses_of(GOOD + b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nHTT" + GOOD) == [
        200,
        404,
        200,
    ]


@pytest.mark.parametrize("sent", [b"x", b"x" * 2**24], ids=["is read", "is not read"])
def test_a_server_that_says_nothing_and_does_not_close_hangs(sent):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held = []
        thread = threading.Thread(target=lambda: held.append(silent.accept()[0]))
        thread.start()
        heard = send(Case("x", [sent]), lambda: socket.create_connection(silent.getsockname()), hang_s=0.2)
        thread.join()
        held[0].close()
    assert heard.hung


def test_our_fast_door_withstands_a_case_of_each_family(tmp_path):
    with own_imports():
        app = create_app(Settings(base_dir=tmp_path, apps_dir=apps_with(tmp_path, ECHO), max_payload_mb=1))
        with fast_serving(app, most_bytes=2**20) as caller:
            dial = lambda: socket.create_connection(("127.0.0.1", caller.port))  # noqa: E731
            for seed in range(25):
                broken = case(seed, BODY)
                assert fault(broken, send(broken, dial)) == "", (broken, seed)
            assert caller.invoke(BODY, "text/csv").status == 200
