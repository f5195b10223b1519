"""What every codec holds to, whatever it is given."""

import contextlib
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byoc_serving.errors import RequestError
from byoc_serving.formats.codecs import DECODERS, ENCODERS, decode, encode
from byoc_serving.formats.negotiation import media_type

few = settings(derandomize=True, deadline=None, database=None, max_examples=20)

TABLE = np.array([[1.5, -2.0], [3.25, 1e300], [0.0, -0.0]])
WORDS = pa.table({"a": TABLE[:, 0], "b": ["x", None, "x"], "c": [True, None, False]})


def parquet_of(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def stream_of(table, compression=None):
    out = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(out, table.schema, options=options) as writer:
        writer.write_table(table)
    return out.getvalue()


VALID = {
    "application/json": [
        b'{"instances": [[1, 2], [3, null]]}',
        b'[{"a": 1, "b": "x"}]',
        b"[[[1, 2]], [[3, 4]]]",
    ],
    "text/csv": [b"1,2\n3,\n", b'a,b\n1,"x"\n'],
    "application/jsonlines": [b"[1, 2]\n[3, 4]\n", b'{"a": 1}\n{"b": "x"}'],
    "application/x-npy": [encode(TABLE, "application/x-npy")],
    "application/x-npz": [encode({"a": TABLE, "b": [1]}, "application/x-npz")],
    "application/x-parquet": [
        parquet_of(WORDS),
        parquet_of(WORDS, compression="zstd", data_page_version="2.0"),
        parquet_of(WORDS.select(["a"]), compression="none"),
    ],
    "application/vnd.apache.arrow.stream": [
        stream_of(WORDS),
        stream_of(WORDS, "zstd"),
        stream_of(WORDS, "lz4"),
    ],
    "text/libsvm": [b"1 1:0.5 3:2\n-1 qid:2 2:1 # c\n"],
}


@st.composite
def mutated(draw, valid):
    """Return a valid body with a few of its bytes changed, left out, repeated or cut off."""
    body = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(body)))
        match draw(st.integers(0, 3)):
            case 0:
                body[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                body[place : place + 4] = draw(st.sampled_from([b"\xff\xff\xff\x7f", bytes(4), b"\xff" * 4]))
            case 2:
                del body[place : place + draw(st.integers(1, 9))]
            case _:
                body[place:place] = body[: draw(st.integers(0, 20))]
    return bytes(body)


@pytest.mark.parametrize("name", VALID)
@few
@given(data=st.data())
def test_a_broken_body_is_the_callers_fault_or_has_a_value(name, data):
    body = data.draw(mutated(VALID[name]) | st.binary(max_size=60))
    n_features = data.draw(st.sampled_from([None, 2, 3]))
    with contextlib.suppress(RequestError):
        decode(body, media_type(name), n_features)


@pytest.mark.parametrize("name", VALID)
def test_the_bodies_that_are_broken_there_are_whole_here(name):
    for body in VALID[name]:
        assert decode(body, media_type(name)) is not None


def test_every_format_has_its_body():
    decoders = {DECODERS[name] for name in VALID}
    assert decoders == set(DECODERS.values())


floats = st.floats(allow_nan=False, allow_infinity=False)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 4))


@st.composite
def arrays(draw):
    """Return numbers in any dtype and order."""
    rows, columns = draw(shapes)
    values = draw(st.lists(floats, min_size=rows * columns, max_size=rows * columns))
    kind = draw(st.sampled_from(["f8", ">f8", "f4", "i8", "u1", ">i4"]))
    clipped = np.array(values) if kind[-2] == "f" else np.clip(values, 0, 200)
    table = np.clip(clipped, -1e38, 1e38).astype(kind).reshape(rows, columns)
    return draw(st.sampled_from([table, np.asfortranarray(table), table[::-1], table[:, ::-1]]))


@pytest.mark.parametrize("name", ENCODERS)
@few
@given(table=arrays())
def test_what_is_encoded_is_decoded(name, table):
    np.testing.assert_array_equal(np.asarray(decode(encode(table, name), media_type(name))), table)


@pytest.mark.parametrize(
    "name", ["application/json", "application/x-parquet", "application/vnd.apache.arrow.stream"]
)
@few
@given(st.lists(st.tuples(floats, st.text("abc,\"'\né", min_size=1)), min_size=1, max_size=5))
def test_a_frame_that_is_encoded_is_decoded(name, rows):
    frame = pd.DataFrame(rows, columns=["a", "b c"]).astype({"b c": object})
    decoded = decode(encode(frame, name), media_type(name))
    pd.testing.assert_frame_equal(decoded.astype({"b c": object}), frame)
