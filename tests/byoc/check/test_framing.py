"""Whether an answer ends where it says."""

import threading

import pytest
from test_exchange import server

from byoc.check import framing
from byoc.check.framing import FramingError, bytes_of_answer, is_old, length_told
from byoc.check.question import Sample

_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (_HEAD + b"Content-Length: 2\r\n\r\nok", "Content-Length"),
        (_CHUNKED + b"2\r\nok\r\n0\r\n\r\n", "chunks"),
        (_CHUNKED + b"2;x=y\r\nok\r\n0\r\nTrailer: 1\r\n\r\n", "chunks"),
        (_HEAD + b"\r\nok", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "Content-Length"),
    ],
    ids=["length", "chunks", "trailer", "neither", "no-content"],
)
def test_an_answer_tells_its_end(raw, told):
    assert length_told(raw) == told


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "headers do not end"),
        (_HEAD + b"Content-Length: 1\r\n\r\nok", "is 1, and it has 2 bytes"),
        (_HEAD + b"Content-Length: 3\r\n\r\nok", "is 3, and it has 2 bytes"),
        (_CHUNKED + b"2\r\nok\r\n", "size should be"),
        (_CHUNKED + b"3\r\nok\r\n0\r\n\r\n", "does not end there"),
        (_CHUNKED + b"2\r\nok\r\n0\r\n", "no empty line"),
        (_CHUNKED + b"0\r\n\r\nmore", "its last chunk is followed by 4 bytes"),
        (_CHUNKED + b"-1\r\n\r\n", "does not end there"),
    ],
)
def test_an_end_that_is_not_where_it_should_be_is_told(raw, why):
    with pytest.raises(FramingError, match=why):
        length_told(raw)


def test_an_old_answer_is_known_by_its_version():
    assert is_old(b"HTTP/1.0 200 OK\r\n\r\n")
    assert not is_old(_HEAD)


@pytest.mark.parametrize(
    ("pieces", "rest"),
    [
        ([_CHUNKED + b"2\r\nok\r\n", b"2\r\nok\r\n0\r\n\r\n"], b""),
        ([_CHUNKED + b"2\r\no", b"k\r\n0\r\n\r\n"], b""),
        ([_HEAD + b"Content-Length: 4\r\n\r\nok", b"ok"], b""),
        ([_HEAD + b"\r\nok", b"ok"], b""),
        ([_HEAD + b"Content-Length: 2\r\n\r\nok"], b"too late"),
    ],
    ids=["chunk", "half-chunk", "length", "neither", "whole"],
)
def test_an_answer_is_waited_for_until_it_is_whole_and_a_whole_one_no_longer(monkeypatch, pieces, rest):
    monkeypatch.setattr(framing, "_QUIET_S", 0.02)
    done = threading.Event()

    def slowly(connection):
        connection.recv(65536)
        for piece in pieces:
            connection.sendall(piece)
            done.wait(0.15)
        connection.sendall(rest)

    with server(slowly) as dial:
        assert bytes_of_answer(dial, Sample(b"1", "text/csv"), 5.0) == b"".join(pieces)
