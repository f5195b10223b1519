import gzip
import tracemalloc
import zlib

import pytest

from byoc_serving.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from byoc_serving.formats.compression import expanded

BODY = b"1,2\n3,4\n" * 50_000


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_a_body_without_an_encoding_is_as_it_came(encoding):
    assert expanded(BODY, encoding, 10) is BODY


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
@pytest.mark.parametrize("limit", [None, len(BODY)])
def test_gzip_is_expanded(encoding, limit):
    assert expanded(gzip.compress(BODY), encoding, limit) == BODY


@pytest.mark.parametrize("end", [b"", b"\0" * 100])
def test_several_members_are_one_body(end):
    parts = [b"", b"a", BODY, b"b"]
    assert expanded(b"".join(map(gzip.compress, parts)) + end, "gzip", None) == b"".join(parts)


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip", "zstd"])
def test_another_encoding_is_refused_with_the_known_ones(encoding):
    with pytest.raises(UnsupportedMediaTypeError, match="not decoded here") as refused:
        expanded(BODY, encoding, None)
    assert refused.value.details == {"sent": encoding, "supported": ["identity", "gzip"]}


whole = gzip.compress(BODY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1,2",
        whole[:-1],
        whole[:5],
        whole[:-8] + bytes(8),
        whole[:100] + b"x" + whole[101:],
        whole + b"more",
        whole + b"\0more",
        zlib.compress(BODY),
        gzip.compress(b"") * 10_001,
    ],
    ids=range(10),
)
def test_what_is_no_whole_gzip_is_refused(body):
    with pytest.raises(BadRequestError, match="not gzip"):
        expanded(body, "gzip", None)


def test_a_bomb_is_refused_before_it_is_there():
    bomb = gzip.compress(bytes(200_000_000), 1)
    tracemalloc.start()
    with pytest.raises(PayloadTooLargeError, match="more than 1000000 bytes") as refused:
        expanded(bomb, "gzip", 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.details == {"limit_bytes": 1_000_000}
    assert peak < 4_000_000


def test_the_limit_is_on_all_members_together():
    with pytest.raises(PayloadTooLargeError):
        expanded(gzip.compress(b"12345") * 3, "gzip", 14)
    assert len(expanded(gzip.compress(b"12345") * 3, "gzip", 15)) == 15
