"""What schemathesis is told of our formats: which bytes to send under types that it does not know."""

import json

import schemathesis
from hypothesis import strategies as st

_ROWS = st.lists(
    st.lists(st.one_of(st.floats(), st.integers(), st.text(max_size=5), st.none()), max_size=31), max_size=4
)
_LINES = ("application/jsonlines", "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
_CELLS = ("text/csv", "text/libsvm", "text/x-libsvm")
_BYTES = st.binary(max_size=400)


def register() -> None:
    """Give each type that is not JSON its bytes."""
    lines = _ROWS.map(lambda rows: "\n".join(json.dumps(row) for row in rows).encode())
    cells = _ROWS.map(lambda rows: "\n".join(",".join(map(str, row)) for row in rows).encode())
    for name, magic in (
        ("application/x-npy", b"\x93NUMPY\x01\x00"),
        ("application/x-npz", b"PK\x03\x04"),
        ("application/x-parquet", b"PAR1"),
        ("application/vnd.apache.parquet", b"PAR1"),
        ("application/vnd.apache.arrow.stream", b"\xff\xff\xff\xff"),
    ):
        begun = _BYTES.map(lambda content, magic=magic: magic + content)
        schemathesis.openapi.media_type(name, st.one_of(_BYTES, begun))
    for name in _LINES:
        schemathesis.openapi.media_type(name, st.one_of(_BYTES, lines))
    for name in _CELLS:
        schemathesis.openapi.media_type(name, st.one_of(_BYTES, cells))


register()
