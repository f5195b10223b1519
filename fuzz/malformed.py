"""Makes HTTP requests that are broken, each by its seed the same again."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

_CRLF = b"\r\n"
_HOST = b"Host: fuzz\r\n"
_CSV = b"Content-Type: text/csv\r\n"
_SECOND = b"GET /ping HTTP/1.1\r\nHost: second\r\n\r\n"
_TYPES = (
    b"application/json",
    b"text/csv",
    b"text/csv; charset=utf-16",
    b"application/jsonlines",
    b"application/x-npy",
    b"application/x-npz",
    b"application/x-parquet",
    b"application/vnd.apache.arrow.stream",
    b"text/libsvm",
    b"image/png",
    b"",
)


@dataclass(frozen=True)
class Case:
    """One connection's worth of bytes.

    Attributes:
        family: what is wrong with it.
        pieces: sent one after the other.
        resets: whether the connection is then reset, and not read.
        most_good: how many answers of status 2xx there may be; more mean that one request was read as two.
        may_be_bare: whether an answer without a head is right, as to HTTP/0.9.
    """

    family: str
    pieces: Sequence[bytes]
    resets: bool = False
    most_good: int = 1
    may_be_bare: bool = False


def case(seed: int, body: bytes) -> Case:
    """Return a case, the same for the same seed.

    Args:
        seed: any number.
        body: CSV that the model predicts.
    """
    random = Random(seed)  # noqa: S311 - no secret
    family = random.choice(list(FAMILIES))
    return FAMILIES[family](random, body)


def request(body: bytes, headers: bytes = b"", line: bytes = b"POST /invocations HTTP/1.1") -> bytes:
    """Return a request that nothing is wrong with, but for what is given."""
    length = b"Content-Length: %d\r\n" % len(body)
    return line + _CRLF + _HOST + (headers or _CSV) + length + _CRLF + body


def noise(random: Random, most: int = 200) -> bytes:
    """Return random bytes, few of them more often than many."""
    return random.randbytes(int(random.random() ** 3 * most))


def _request_line(random: Random, body: bytes) -> Case:
    line = random.choice(
        [
            b"POST /invocations",
            b"POST  /invocations HTTP/1.1",
            b"POST\t/invocations\tHTTP/1.1",
            b"POST /invocations HTTP/1.10",
            b"POST /invocations HTTP/9.9",
            b"POST /invocations http/1.1",
            b"post /invocations HTTP/1.1",
            b"POST /invocations\x00 HTTP/1.1",
            b"POST /%zz/%00/../invocations?a=%ff HTTP/1.1",
            b"POST http://else/invocations HTTP/1.1",
            b"OPTIONS * HTTP/1.1",
            b"CONNECT fuzz:80 HTTP/1.1",
            b"TRACE /invocations HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"POST /" + b"a" * random.choice([8_000, 40_000, 200_000]) + b" HTTP/1.1",
            noise(random),
            noise(random) + b" /invocations HTTP/1.1",
        ]
    )
    return Case("request line", [request(body, line=line)], may_be_bare=True, most_good=2)


def _headers(random: Random, body: bytes) -> Case:
    wrong = random.choice(
        [
            b"no colon\r\n",
            b"Name : space before the colon\r\n",
            b": no name\r\n",
            b"X: a\r\n folded\r\n",
            b"X: a\x00b\r\n",
            b"X: a\rb\r\n",
            b"X\x80: y\r\n",
            b"X: \xff\xfe\r\n",
            b"X: y\n",
            b"X: " + b"y" * random.choice([4_000, 33_000, 300_000]) + b"\r\n",
            b"".join(b"X-%d: y\r\n" % place for place in range(random.choice([100, 999, 5_000]))),
            b"Expect: 100-continue\r\n",
            b"Expect: everything\r\n",
            b"Connection: close, keep-alive, upgrade\r\nUpgrade: h2c\r\n",
            b"X-Request-Id: " + noise(random).replace(b"\n", b"") + b"\r\n",
            b"X-Amzn-SageMaker-Custom-Attributes: \xe9\r\n",
            b"Accept: " + b",".join([b"text/csv;q=0.%d" % place for place in range(500)]) + b"\r\n",
            b"Content-Encoding: " + random.choice([b"gzip", b"br", b"gzip, gzip", b"\x01"]) + b"\r\n",
            noise(random) + b"\r\n",
        ]
    )
    return Case("headers", [request(body, _CSV + wrong)], most_good=2)


def _chunks(random: Random, body: bytes) -> Case:
    good = b"%x\r\n%b\r\n" % (len(body), body)
    wrong = random.choice(
        [
            b"zz\r\n" + body,
            b"-5\r\n" + body,
            b"0x5\r\n" + body,
            b"fffffffffffffffff\r\n" + body,
            b"7fffffffffffffff\r\n" + body,
            b"%x\r\n" % len(body) + body,
            b"%x;%b\r\n" % (len(body), b"x" * random.choice([10, 70_000])) + body + b"\r\n0\r\n\r\n",
            b"%x\n%b\n0\n\n" % (len(body), body),
            b" %x \r\n%b\r\n0\r\n\r\n" % (len(body), body),
            good + b"0\r\nX: trailer\r\n\r\n",
            good + b"0\r\nContent-Length: 99\r\n" + noise(random) + b"\r\n\r\n",
            good + b"1\r\n",
            good,
            b"\r\n",
            b"1\r\n1XX0\r\n\r\n",
            b"1\r\n1\r\n" * 500 + b"0\r\n\r\n",
            noise(random),
        ]
    )
    head = b"POST /invocations HTTP/1.1\r\n" + _HOST + _CSV + b"Transfer-Encoding: chunked\r\n\r\n"
    return Case("chunks", _cut(random, head + wrong))


def _length(random: Random, body: bytes) -> Case:
    wrong = [b"-1", b"+1", b"1e3", b"0x10", b" ", b"99999999999999999999", b"9" * 400, b"1, 1", b"\xb2"]
    near = [b"%d" % (len(body) + 50), b"%d" % random.randrange(len(body) + 1)]
    told = random.choice([*wrong, *near, *near])
    head = b"POST /invocations HTTP/1.1\r\n" + _HOST + _CSV + b"Content-Length: " + told + b"\r\n\r\n"
    return Case("length", _cut(random, head + body))


def _pipelining(random: Random, body: bytes) -> Case:
    count = random.randint(2, 20)
    requests = [request(body) if random.random() < 0.7 else _SECOND for _ in range(count)]
    if random.random() < 0.5:
        requests.insert(
            random.randrange(count), random.choice([noise(random), b"\r\n\r\n", b"GET / HTTP/1.1\r\n"])
        )
    return Case("pipelining", _cut(random, b"".join(requests)), most_good=count)


def _early_close(random: Random, body: bytes) -> Case:
    whole = request(body)
    cut = random.randrange(len(whole))
    return Case("early close", [whole[:cut]], resets=random.random() < 0.5)


def _smuggling(random: Random, _body: bytes) -> Case:
    framing = random.choice(
        [
            b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
            b"Content-Length: %d\r\nTransfer-Encoding: identity\r\n",
            b"Content-Length: %d\r\nTransfer-Encoding: xchunked\r\n",
            b"Content-Length: %d\r\nTransfer-Encoding : chunked\r\n",
            b"Content-Length: %d\r\nTransfer-Encoding:\x0bchunked\r\n",
            b"Content-Length: %d\r\nTransfer-Encoding:\r\n chunked\r\n",
            b"Content-Length: %d\r\nX: y\rTransfer-Encoding: chunked\r\n",
            b"Content-Length: %d\r\nContent-Length: 5\r\n",
            b"Content-Length: 5\r\nContent-Length: %d\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: %d\r\n",
            b"Transfer-Encoding: chunked, identity\r\nContent-Length: %d\r\n",
            b"Transfer-Encoding: identity\r\nX-Length: %d\r\n",
        ]
    )
    inside = random.choice([b"0\r\n\r\n", b"5\r\n1,2,3\r\n0\r\n\r\n"]) + _SECOND
    head = b"POST /invocations HTTP/1.1\r\n" + _HOST + _CSV + framing % len(inside) + b"\r\n"
    return Case("smuggling", [head + inside])


def _mutation(random: Random, body: bytes) -> Case:
    whole = bytearray(request(body))
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(whole))
        match random.randrange(4):
            case 0:
                whole[at] ^= 1 << random.randrange(8)
            case 1:
                del whole[at : at + random.randrange(20)]
            case 2:
                whole[at:at] = noise(random, 30)
            case _:
                whole[at:at] = whole[at : at + random.randrange(40)]
        whole = whole or bytearray(b"x")
    return Case("mutation", _cut(random, bytes(whole)), may_be_bare=True, most_good=2)


def _any_body(random: Random, body: bytes) -> Case:
    content = random.choice(
        [
            noise(random, 5_000),
            body.replace(b",", noise(random, 3)),
            b"[" * random.choice([10, 100_000]),
            json.dumps([[noise(random, 20).hex()] * 30]).encode(),
            b"\x93NUMPY\x01\x00" + noise(random, 300),
            b"PAR1" + noise(random, 300) + b"PAR1",
            b"PK\x03\x04" + noise(random, 300),
            b"\xff\xff\xff\xff" + noise(random, 300),
        ]
    )
    headers = b"Content-Type: " + random.choice(_TYPES) + b"\r\n"
    if random.random() < 0.3:
        headers += b"Content-Encoding: gzip\r\n"
        content = gzip.compress(content, 1)[: random.choice([None, 20])]
    return Case("body", _cut(random, request(content, headers)))


FAMILIES: Mapping[str, Callable[[Random, bytes], Case]] = {
    "request line": _request_line,
    "headers": _headers,
    "chunks": _chunks,
    "length": _length,
    "pipelining": _pipelining,
    "early close": _early_close,
    "smuggling": _smuggling,
    "mutation": _mutation,
    "body": _any_body,
}


def _cut(random: Random, whole: bytes) -> list[bytes]:
    """Return bytes in one piece or in a few."""
    cuts = sorted(random.randrange(len(whole) + 1) for _ in range(random.choice([0, 0, 1, 3])))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
