"""conformity: what lies outside the schema is found, by row and column, in every kind of table."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from byoc_serving.conformity import Conformity
from byoc_serving.errors import BadRequestError, RequestError
from byoc_serving.formats import arrays
from byoc_serving.formats.codecs import decode, encode
from byoc_serving.formats.negotiation import media_type
from byoc_serving.versions.schema import Column

HUGE = int("9" * 401)
NUMBERS = (Column("a", "number", False, 0.0, 1.0), Column("b", "number", True, None, 5.0))
MIXED = (Column("age", "integer", False, 18, 99), Column("colour", "string", True, enum=("blue", "red")))


@pytest.mark.parametrize(
    "data",
    [
        np.array([[0.0, 5.0], [1.0, np.nan]]),
        np.array([[1, -(10**9)]]),
        np.array([[True, False]]),
        np.array([[0.1, 5.0]], dtype="f4"),
        pd.DataFrame({"b": [1.0], "a": [0.5]}),
    ],
)
def test_what_is_within_the_schema_passes(data):
    Conformity(NUMBERS).enforce(data)


def test_a_bound_holds_for_small_floats_and_a_column_of_any_text_takes_no_bytes():
    with pytest.raises(BadRequestError, match="is inf"):
        Conformity([Column(None, "number", maximum=1e300)]).enforce(np.array([[np.inf]], dtype="f2"))
    with pytest.raises(BadRequestError, match=r"is b'a'\. Send text"):
        Conformity([Column(None, "string")]).enforce(np.array([[b"a"]]))


@pytest.mark.parametrize("data", [np.zeros((3, 2, 2)), ["some", "texts"], {"input": 9}, "text", None])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(BadRequestError, match="is no table"):
        Conformity(NUMBERS).enforce(data)


@pytest.mark.parametrize(
    ("data", "row", "column", "says"),
    [
        (np.array([[0.5, 1.0], [1.5, 1.0]]), 2, 1, r"Row 2, column 1 \(a\) is 1.5. .* 0 to 1"),
        (np.array([[0.5, 6.0]]), 1, 2, r"\(b\) is 6.0. .* -inf to 5"),
        (np.array([[0.5, np.inf]]), 1, 2, "is inf"),
        (np.array([[np.nan, 1.0]]), 1, 1, "is missing or NaN"),
        (np.array([[0, 6]]), 1, 2, "is 6"),
        (np.array([[0.5, 1.0], [0.5, 5.5]], dtype="f4"), 2, 2, "is 5.5"),
        (np.array([[0.5, "x"], [9, 1.0]], dtype=object), 1, 2, r"is 'x'. Send a number"),
        (np.array([["1", 1.0], ["x", 1.0]], dtype=object), 2, 1, r"is 'x'. Send a number\."),
        (np.array([["1", 1.0], ["1_0", 1.0]], dtype=object), 2, 1, r"is '1_0'. Send a number\."),
        (np.array([[1, "1"]], dtype=object), 1, 2, r"is '1'. Send a number as one, not as text"),
        (np.array([[HUGE, 1.0], ["red", 1.0]], dtype=object), 1, 1, r"Send a number below 1.8e308"),
        (np.array([[1 + 500j, 1]]), 1, 1, r"is \(1\+500j\). Send a number\."),
        (np.array([[b"1", b"2"]]), 1, 1, r"is b'1'. Send a number\."),
        (np.array([[np.inf, 1.0]], dtype="f2"), 1, 1, "is inf"),
        (pd.DataFrame({"b": [1.0, 9.0], "a": [0.5, 0.5]}), 2, 2, r"\(b\) is 9.0"),
    ],
)
def test_a_number_outside_its_range_is_refused_by_row_and_column(data, row, column, says):
    with pytest.raises(BadRequestError, match=says) as caught:
        Conformity(NUMBERS).enforce(data)
    assert (caught.value.details["row"], caught.value.details["column"]) == (row, column)


@pytest.mark.parametrize(
    ("rows", "place", "says"),
    [
        ([[20, "red"], [30, np.nan]], None, ""),
        ([[20, "red"], [30, "green"]], (2, 2), r"'green'. The model knows 'blue', 'red'"),
        ([[20, "red"], [17, "green"]], (2, 1), "is 17. .* 18 to 99"),
        ([[20.5, "red"]], (1, 1), "Send a whole number"),
        ([[np.inf, "red"]], (1, 1), "is inf. Send a whole number"),
        ([[20, HUGE], [20, "red"]], (1, 2), "The model knows"),
        ([[20, b"red"]], (1, 2), "is b'red'. The model knows"),
        ([["old", np.nan]], (1, 1), "is 'old'. Send a number"),
        ([[20, 5.0]], (1, 2), "is 5.0. The model knows"),
    ],
)
@pytest.mark.parametrize("framed", [False, True])
def test_a_table_with_text_is_held_against_its_categories(rows, place, says, framed):
    data = pd.DataFrame(rows, columns=["age", "colour"]) if framed else np.array(rows, dtype=object)
    if place is None:
        Conformity(MIXED).enforce(data)
        return
    with pytest.raises(BadRequestError, match=says) as caught:
        Conformity(MIXED).enforce(data)
    assert (caught.value.details["row"], caught.value.details["column"]) == place


@pytest.mark.parametrize(
    "cells", [[1.0, 7, 2.5], ["1", "007", "2.5"], ["2.5", "a"], [1234567890123.0], ["a", True]]
)
def test_categories_that_are_numbers_are_known_by_their_value(cells):
    check = Conformity((Column(None, "string", enum=("007", "1.0", "1234567890123", "2.5", "True", "a")),))
    check.enforce(np.array(cells, dtype=object)[:, np.newaxis])
    with pytest.raises(BadRequestError, match=r"Row 1, column 1 is 8.0"):
        check.enforce(np.array([[8.0]]))
    with pytest.raises(BadRequestError, match=r"Row 3, column 1 is 0\."):
        check.enforce(np.array([["a"], [True], [0]], dtype=object))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.zeros((1, 3)), "columns is 3. The model takes 2"),
        (pd.DataFrame({"a": [1.0], "c": [1.0]}), "'b' missing and 'c' unknown"),
        (pd.DataFrame([[1.0, 1.0, 1.0]], columns=["a", "b", "b"]), "sent twice"),
    ],
)
def test_other_columns_are_refused(data, says):
    with pytest.raises(BadRequestError, match=says):
        Conformity(NUMBERS).enforce(data)


@pytest.mark.parametrize("way", ["enforce", "warn"])
@pytest.mark.parametrize("installed", [True, False], ids=["pandas", "no pandas"])
def test_columns_with_names_go_on_in_the_order_of_the_schema(way, installed, monkeypatch, caplog):
    if not installed:
        monkeypatch.setattr(arrays, "_pandas", lambda: None)
    check = getattr(Conformity(MIXED), way)
    data = decode(
        b'[{"colour": "red", "age": 20}, {"colour": "blue", "age": 30}]', media_type("application/json")
    )
    assert np.asarray(check(data, "id")).tolist() == [[20, "red"], [30, "blue"]]
    numbers = decode(b"b,a\n5,1\n", media_type("text/csv"))
    assert np.asarray(getattr(Conformity(NUMBERS), way)(numbers, "id")).tolist() == [[1, 5]]
    assert not caplog.records


def test_a_warning_lets_columns_of_other_names_go_on_as_they_were_sent(caplog):
    data = pd.DataFrame({"b": [1.0], "c": [1.0]})
    assert Conformity(NUMBERS).warn(data, "id") is data
    assert "'a' missing and 'c' unknown" in caplog.text


BOUNDS = st.sampled_from([None, -1e300, -10, 0.5, 10, 1e300])
CATEGORIES = st.lists(st.sampled_from(["a", "1.0", "007", "nan", "inf", "", "True", "\ud800"]), min_size=1)
NASTY = ["a", "7", "1_0", " ", "inf", "\ud800", HUGE, -HUGE, 2**63, 7, 0.5, float("inf"), True, None]
CELLS = st.sampled_from(NASTY) | st.floats() | st.text(max_size=3)
DTYPES = ["?", "i1", "u8", "f2", "f4", "f8", "f16", "c8", "S3", "U3"]


@st.composite
def schemas(draw):
    """Return two columns, with names or without."""
    named = draw(st.booleans())
    return [
        Column(
            name if named else None,
            kind := draw(st.sampled_from(["number", "integer", "string"])),
            draw(st.booleans()),
            *((draw(BOUNDS), draw(BOUNDS)) if kind != "string" else (None, None)),
            tuple(draw(CATEGORIES)) if kind == "string" and draw(st.booleans()) else None,
        )
        for name in "ab"
    ]


@st.composite
def bodies(draw):
    """Return a body of each kind, of two columns mostly, and its type."""
    width = draw(st.sampled_from([2, 2, 2, 3]))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=4))
    names = draw(st.permutations(["a", "b", "c"][:width]))
    match draw(st.integers(0, 6)):
        case 0:
            return json.dumps(rows).encode(), "application/json"
        case 1:
            return json.dumps({"columns": names, "data": rows}).encode(), "application/json"
        case 2:
            records = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
            return "\n".join(records).encode(), "application/jsonlines"
        case 3:
            lines = [",".join(map(str, row)) for row in ([names, *rows] if draw(st.booleans()) else rows)]
            return "\n".join(lines).encode(errors="replace"), "text/csv"
        case 4:
            table = pa.table(
                [pa.array(draw(st.sampled_from([[1.5], ["a"], [True], [2**60], [None]]))) for _ in names],
                names,
            )
            return encode(
                table.to_pandas(), "application/vnd.apache.arrow.stream"
            ), "application/vnd.apache.arrow.stream"
        case _:
            array = draw(
                numpy_arrays(draw(st.sampled_from(DTYPES)), draw(st.sampled_from([(2, 2), (1, 2, 2), (2,)])))
            )
            kind = draw(st.sampled_from(["npy", "npz"]))
            return encode(
                array if kind == "npy" else {"a": array}, f"application/x-{kind}"
            ), f"application/x-{kind}"


@pytest.mark.parametrize("installed", [True, False], ids=["pandas", "no pandas"])
def test_whatever_a_body_holds_passes_or_is_the_callers_fault_and_a_warning_never_fails(
    installed, monkeypatch
):
    if not installed:
        monkeypatch.setattr(arrays, "_pandas", lambda: None)

    @settings(derandomize=True, deadline=None, database=None, max_examples=200)
    @given(columns=schemas(), sent=bodies())
    def holds(columns, sent):
        try:
            data = decode(sent[0], media_type(sent[1]))
        except RequestError:
            return
        check = Conformity(columns)
        check.warn(data, "id")
        try:
            passed = np.asarray(check.enforce(data))
        except BadRequestError as error:
            json.dumps(error.details, allow_nan=False)
            return
        for place, column in enumerate(columns):
            if column.type != "string":
                passed[:, place].astype(float)
                assert not any(isinstance(cell, str | bytes | complex) for cell in passed[:, place].tolist())

    holds()
