"""Makes bodies of an exact size out of a sample request, and ones that no program can read."""

import hashlib

from byoc.check.question import Sample

_MOST_RECORDS = 50_000  # what is asked is whether the size gets in, not how many records a call can have
_GARBAGE_BYTES = 4096
JSON_LINES = {
    "application/json-lines",
    "application/jsonl",
    "application/jsonlines",
    "application/ndjson",
    "application/x-jsonlines",
    "application/x-ndjson",
}


def kind_of(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_lines(content_type: str) -> bool:
    """Whether a body of that type is lines, one record each."""
    kind = kind_of(content_type)
    return kind.startswith("text/") or kind in JSON_LINES


def is_json(content_type: str) -> bool:
    """Whether a body of that type is one JSON text."""
    kind = kind_of(content_type)
    return kind == "application/json" or kind.endswith("+json")


def sized(sample: Sample, size: int) -> bytes:
    """Return a body of `size` bytes: the sample's records over and over.

    Lines are repeated whole, at most 50,000 of them, and empty lines make up the rest; JSON has spaces after
    it; any other type's bytes are repeated. A sample that is larger is cut off.
    """
    body = sample.body
    if is_json(sample.content_type):
        return _filled(body, b" ", size)
    if not is_lines(sample.content_type):
        return _filled(b"", body or b"\0", size)
    block = body if body.endswith(b"\n") else body + b"\n"
    times = min(size // len(block), max(1, _MOST_RECORDS // block.count(b"\n")))
    return _filled(block * times, b"\n", size)


def padded(sample: Sample, size: int) -> bytes | None:
    """Return a body of `size` bytes with the sample once; None where its type has no padding."""
    if is_json(sample.content_type):
        return _filled(sample.body, b" ", size)
    return _filled(sample.body, b"\n", size) if is_lines(sample.content_type) else None


def unpadded(sample: Sample, size: int) -> bytes | None:
    """Return a body of at most `size` bytes of the sample's lines alone; None where it has no lines."""
    if is_json(sample.content_type) or not is_lines(sample.content_type):
        return None
    block = sample.body if sample.body.endswith(b"\n") else sample.body + b"\n"
    return block * (size // len(block))


def garbage() -> bytes:
    """Return bytes that are no text, no JSON and no file of any kind: always the same 4 KiB."""
    return hashlib.shake_256(b"garbage").digest(_GARBAGE_BYTES)


def _filled(begin: bytes, filling: bytes, size: int) -> bytes:
    missing = max(0, size - len(begin))
    return (begin + filling * (missing // len(filling) + 1))[:size]
