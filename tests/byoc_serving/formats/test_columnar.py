import io
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from byoc_serving.errors import BadRequestError, NotAcceptableError, UnsupportedMediaTypeError
from byoc_serving.formats import arrays
from byoc_serving.formats.codecs import decode, encode
from byoc_serving.formats.negotiation import media_type
from byoc_serving.formats.plain import UnencodableError

PARQUET = media_type("application/x-parquet")
ARROW = media_type("application/vnd.apache.arrow.stream")
BOTH = pytest.mark.parametrize("kind", [PARQUET, ARROW], ids=["parquet", "arrow"])
GOLDEN = Path(__file__).parents[2] / "golden" / "bodies"
DUMMY_DATA = Path(__file__).parents[3] / "dummy_data"


def body_of(table, kind=PARQUET, compression=None, **options):
    """Return a table (or columns) as Parquet, or as an Arrow stream."""
    table = pa.table(table)
    out = io.BytesIO()
    if kind is PARQUET:
        pq.write_table(table, out, compression=compression or "snappy", **options)
        return out.getvalue()
    with pa.ipc.new_stream(
        out, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as writer:
        writer.write_table(table, **options)
    return out.getvalue()


def peak_of(refused):
    """Return the memory that a refusal took: Python's and pyarrow's."""
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(BadRequestError) as caught:
        refused()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return str(caught.value), peak + pa.total_allocated_bytes() - before


@pytest.mark.parametrize(
    ("name", "kind"), [("breast_cancer.parquet", PARQUET), ("breast_cancer.arrow", ARROW)]
)
def test_the_sample_has_the_rows_of_the_dummy_data(name, kind):
    data = decode((GOLDEN / name).read_bytes(), kind, 30)
    np.testing.assert_array_equal(data, np.load(DUMMY_DATA / "breast_cancer.npy"))
    assert list(data.columns) == [f"c{place}" for place in range(30)]


NUMBERS = {
    "f8": [1.5, None, 3.0],
    "i8": pa.array([1, None, 2**53 + 1]),
    "u8": pa.array([1, 2, 2**64 - 1], pa.uint64()),
    "f2": pa.array([1.5, 2, None], pa.float16()),
    "b": [True, None, False],
    "n": pa.nulls(3),
    "d": pa.array([1, None, 2]).cast(pa.decimal128(30, 2)),
    "k": pa.array([5, 5, None]).dictionary_encode(),
}


@BOTH
def test_numbers_booleans_and_nulls_are_float64_in_one_block(kind):
    data = decode(body_of(NUMBERS, kind), kind)
    nan = float("nan")
    expected = {"f8": [1.5, nan, 3], "i8": [1, nan, 2**53], "u8": [1, 2, 2**64], "f2": [1.5, 2, nan]}
    expected |= {"b": [1, nan, 0], "n": [nan] * 3, "d": [1, nan, 2], "k": [5, 5, nan]}
    pd.testing.assert_frame_equal(data, pd.DataFrame(expected, dtype=float))
    assert data.to_numpy().base is not None


TEXTS = pa.array(["red", None, "", "red"])


@BOTH
@pytest.mark.parametrize(
    "texts",
    [TEXTS, TEXTS.cast(pa.large_string()), TEXTS.dictionary_encode(), TEXTS.cast(pa.string_view())],
    ids=lambda texts: str(texts.type)[:12],
)
def test_text_keeps_its_cells(kind, texts):
    data = decode(body_of({"x": [1, 2, 3, 4], "t": texts}, kind), kind)
    assert data["x"].tolist() == [1, 2, 3, 4]
    assert data["t"].fillna("missing").tolist() == ["red", "missing", "", "red"]


@BOTH
def test_without_pandas_names_are_left_out(kind, monkeypatch):
    monkeypatch.setattr(arrays, "_pandas", lambda: None)
    data = decode(body_of({"a": [1, 2], "b": [3, 4]}, kind), kind)
    assert data.tolist() == [[1, 3], [2, 4]]
    assert data.flags.c_contiguous


def test_pandas_own_columns_for_the_names_of_rows_are_left_out():
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index([7, 9]))
    data = decode(frame.to_parquet(), PARQUET, n_features=1)
    pd.testing.assert_frame_equal(data, frame.reset_index(drop=True))


@BOTH
def test_the_width_is_held_against_n_features(kind):
    with pytest.raises(BadRequestError, match="The model takes 3"):
        decode(body_of({"a": [1], "b": [2]}, kind), kind, n_features=3)


@BOTH
@pytest.mark.parametrize("table", [{"a": pa.array([], pa.float64())}, {}])
def test_an_empty_table_is_refused(kind, table):
    with pytest.raises(BadRequestError, match="empty"):
        decode(body_of(table, kind), kind)


@BOTH
@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1.0]]),
        pa.array([{"a": 1}]),
        pa.array([b"x"]),
        pa.array([pd.Timestamp("2026-11-20")]),
        pa.array([b"xy"], pa.binary(2)),
    ],
    ids=lambda column: str(column.type)[:9],
)
def test_a_column_of_anything_else_is_refused_by_name(kind, column):
    with pytest.raises(BadRequestError, match="Column 'other' is of type") as refused:
        decode(body_of({"x": [1], "other": column}, kind), kind)
    assert refused.value.details == {"column": 2}


@BOTH
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_any_compression_is_taken(kind, compression):
    table = {"a": np.arange(1000.0), "t": ["x"] * 1000}
    assert decode(body_of(table, kind, compression), kind).shape == (1000, 2)


@BOTH
@pytest.mark.parametrize("rows", [10_000_000, 2**60])
def test_rows_without_number_are_refused_before_they_take_memory(kind, rows):
    """Nulls are next to nothing on the wire; a number of rows is a number."""
    body = body_of({"a": pa.nulls(10_000_000)}, kind)
    if kind is ARROW:
        body = body.replace((10_000_000).to_bytes(8, "little"), rows.to_bytes(8, "little"))
    said, peak = peak_of(lambda: decode(body, kind))
    assert "rows and 1 columns of" in said
    assert peak < 1_000_000


def test_a_constant_column_is_refused_before_it_takes_memory():
    body = body_of({"a": pa.array(np.zeros(9_000_000))})
    assert len(body) < 100_000
    said, peak = peak_of(lambda: decode(body, PARQUET))
    assert "would become 72000000 bytes" in said
    assert peak < 1_000_000


@BOTH
def test_compressed_pages_are_refused_before_they_take_memory(kind):
    """Though the table itself would be small enough."""
    no_statistics = {"write_statistics": False} if kind is PARQUET else {}
    body = body_of({"a": ["x" * 70_000_000]}, kind, "zstd", **no_statistics)
    assert len(body) < 100_000
    said, peak = peak_of(lambda: decode(body, kind))
    assert "would become 7000" in said
    assert peak < 1_000_000


def test_texts_that_repeat_those_before_them_are_refused():
    body = body_of(
        {"a": ["x" * 1000 + str(number) for number in range(100)]},
        use_dictionary=False,
        column_encoding={"a": "DELTA_BYTE_ARRAY"},
    )
    with pytest.raises(BadRequestError, match="DELTA_BYTE_ARRAY"):
        decode(body, PARQUET)


def views_of(text, starts, length):
    """Return parts of one text, which takes up its place once."""
    views = np.zeros((len(starts), 4), np.int32)
    views[:, 0] = length
    views[:, 1] = np.frombuffer(text[:4], np.int32)
    views[:, 3] = starts
    buffers = [None, pa.py_buffer(views.tobytes()), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string_view(), len(starts), buffers)


def test_views_of_one_text_are_each_a_text():
    column = views_of(b"abcdefghijklmnopqr", [0, 0], 16)
    assert decode(body_of({"a": column}, ARROW), ARROW)["a"].tolist() == ["abcdefghijklmnop"] * 2


@BOTH
def test_a_dictionary_of_one_long_text_is_refused_before_it_takes_memory(kind):
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, np.int32)), pa.array(["x" * 10_000]))
    body = body_of({"a": words}, kind)
    said, peak = peak_of(lambda: decode(body, kind))
    assert "text of the table" in said
    assert peak < 1_000_000


def test_views_of_parts_that_overlap_are_refused_before_they_take_memory():
    column = views_of(b"x" * 200_000, range(100_000), 100_000)
    body = body_of({"a": column}, ARROW)
    said, peak = peak_of(lambda: decode(body, ARROW))
    assert "text of the table" in said
    assert peak < 10_000_000


def test_offsets_beyond_the_body_are_refused():
    body = body_of({"a": ["x" * 77]}, ARROW)
    broken = body.replace(np.array([0, 77], "<i4").tobytes(), np.array([0, 2**31 - 1], "<i4").tobytes())
    assert broken != body
    with pytest.raises(BadRequestError, match="no Arrow stream"):
        decode(broken, ARROW)


@BOTH
def test_text_that_is_not_utf8_is_refused(kind):
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32).tobytes()), pa.py_buffer(b"\xff\xff")]
    )
    with pytest.raises(BadRequestError):
        decode(body_of({"a": broken}, kind), kind)


@BOTH
@pytest.mark.parametrize("cut", [1, 4, 8, 12, 100, -1, -4, -8, -30])
def test_what_is_not_whole_is_refused(kind, cut):
    body = body_of({"a": [1.0, 2.0]}, kind)
    try:
        decode(body[:cut], kind)
    except BadRequestError:
        return
    assert kind is ARROW  # whose last eight bytes may be left out
    assert cut < 0


@pytest.mark.parametrize(
    ("prediction", "columns"),
    [
        (np.array([0.5, 1.5]), {"0": [0.5, 1.5]}),
        (np.array([[1, 2], [3, 4]], dtype=">i2"), {"0": [1, 3], "1": [2, 4]}),
        (0.5, {"0": [0.5]}),
        ("text", {"0": ["text"]}),
        ([1.5, None], {"0": [1.5, None]}),
        ([["a", 1], ["b", 2]], {"0": ["a", "b"], "1": [1, 2]}),
        ([{"a": 1}, {"b": "x"}], {"a": [1, None], "b": [None, "x"]}),
        ({"label": ["a"], "score": np.array([0.5])}, {"label": ["a"], "score": [0.5]}),
        ({"label": "a", "score": 0.5}, {"label": ["a"], "score": [0.5]}),
        (pd.DataFrame({"a": [1, 2]}, index=[5, 6]), {"a": [1, 2]}),
    ],
)
def test_predictions_are_tables(prediction, columns):
    stream = encode(prediction, "application/vnd.apache.arrow.stream")
    assert pa.ipc.open_stream(stream).read_all().to_pydict() == columns
    for name in ("application/x-parquet", "application/vnd.apache.parquet"):
        assert pq.read_table(pa.BufferReader(encode(prediction, name))).to_pydict() == columns


@pytest.mark.parametrize(
    "prediction",
    [[1, "a"], [[1], [1, 2]], np.zeros((2, 2, 2)), {"a": [1], "b": [1, 2]}, [], {}, [{}], [[[1]]]],
)
@pytest.mark.parametrize("name", ["application/x-parquet", "application/vnd.apache.arrow.stream"])
def test_what_is_no_table_has_no_form(prediction, name):
    with pytest.raises(UnencodableError, match=name):
        encode(prediction, name)


@BOTH
def test_without_pyarrow_it_is_said_what_to_do(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnsupportedMediaTypeError, match=r"Name pyarrow in apps/requirements\.txt"):
        decode(b"PAR1", kind)
    with pytest.raises(NotAcceptableError, match=r"Name pyarrow in apps/requirements\.txt"):
        encode([1], kind.name)
