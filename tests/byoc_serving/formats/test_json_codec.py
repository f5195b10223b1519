import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from byoc_serving.errors import BadRequestError
from byoc_serving.formats import arrays, tables
from byoc_serving.formats.codecs import decode
from byoc_serving.formats.negotiation import media_type

JSON = media_type("application/json")
LINES = media_type("application/jsonlines")


def json_of(value):
    return decode(json.dumps(value).encode(), JSON)


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"instances": t}, lambda t: {"inputs": t}])
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([1, 2, 3], [[1, 2, 3]]),
        ([1, None, True], [[1, np.nan, 1]]),
        ([None, None], [[np.nan, np.nan]]),
        ([[1, None], [True, 0.5]], [[1, np.nan], [1, 0.5]]),
        ([[[1, 2], [3, 4]]], [[[1, 2], [3, 4]]]),
        ([[[[0.5]]]], [[[[0.5]]]]),
    ],
)
def test_numbers_become_a_float64_array(wrap, table, expected):
    data = json_of(wrap(table))
    assert data.dtype == np.float64
    np.testing.assert_array_equal(data, expected)


def test_a_table_with_text_becomes_an_array_of_objects():
    data = json_of([[1, "red", None], [2, None, None]])
    assert data.dtype == object
    assert data[0].tolist()[:2] == [1.0, "red"]
    assert np.isnan(data[1, 1])
    assert np.isnan(data[0, 2])


@pytest.mark.parametrize(
    "value",
    [
        [{"a": 1, "b": "x"}, {"b": "y", "a": None}],
        {"instances": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]},
        {"dataframe_records": [{"a": 1, "b": "x"}, {"b": "y"}]},
        {"columns": ["a", "b"], "data": [[1, "x"], [None, "y"]]},
        {"columns": ["a", "b"], "index": [0, 1], "data": [[1, "x"], [None, "y"]]},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [None, "y"]]}},
    ],
)
def test_a_table_with_names_becomes_a_data_frame(value):
    expected = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", "y"]})
    pd.testing.assert_frame_equal(json_of(value), expected)


def test_the_index_of_a_split_frame_is_kept():
    assert json_of({"columns": ["a"], "index": ["p", "q"], "data": [[1], [2]]}).index.tolist() == ["p", "q"]


def test_a_name_may_stand_for_two_columns():
    assert json_of({"columns": ["a", "a"], "data": [[1, 2]]}).to_numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize("record", [{"a": "\ud800"}, {"\ud800": 1}])
def test_text_that_a_frame_cannot_hold_is_refused(record):
    with pytest.raises(BadRequestError, match="half of a surrogate pair"):
        json_of([record])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"a": 1, "b": 2}, {"b": 4, "a": 3}], [[1, 2], [3, 4]]),
        ({"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}, [[1, 2], [3, 4]]),
    ],
)
def test_without_pandas_names_only_give_the_order(value, expected, monkeypatch):
    monkeypatch.setattr(arrays, "_pandas", lambda: None)
    data = json_of(value)
    assert data.dtype == np.float64
    assert data.tolist() == expected


@pytest.mark.parametrize(
    "value",
    [
        {"input": 1},
        "text",
        3,
        None,
        True,
        {},
        {"a": 1, "b": 2},
        ["a", "b"],
        ["a", 1],
        ["a", None],
        [{"a": [1]}],
        [{"a": 1}, [1]],
        [1, [2]],
        {"inputs": "text"},
        {"inputs": {"a": 1}},
        {"instances": ["a", "b"]},
        {"instances": [[1]], "signature_name": "x"},
        {"instances": [[[1, 2], [3]]]},
        {"instances": [[["1"]]]},
        {"columns": ["a"], "data": [1]},
        {"columns": ["a"], "data": [[1]], "orient": "split"},
        {"columns": ["a"], "data": [[1]], "index": [[1]]},
        {"dataframe_split": [1]},
        {"dataframe_records": {"a": 1}},
    ],
)
def test_any_other_value_reaches_predict_fn_as_parsed(value):
    assert json_of(value) == value


@pytest.mark.parametrize(
    "value",
    [[], {"instances": []}, [[]], [[], []], [{}], {"columns": [], "data": []}, {"dataframe_records": []}],
)
def test_an_empty_table_is_refused(value):
    with pytest.raises(BadRequestError, match="table is empty"):
        json_of(value)


@pytest.mark.parametrize("value", [[[1, 2], [3]], {"instances": [["a", "b"], ["c"]]}, [[1, 2], []]])
def test_a_ragged_table_is_refused_with_the_row(value):
    with pytest.raises(BadRequestError, match="Row 2 has") as refused:
        json_of(value)
    assert refused.value.details["row"] == 2


@pytest.mark.parametrize(
    "value",
    [
        {"columns": ["a", "b"], "data": [[1]]},
        {"columns": ["a"], "data": [[1]], "index": [1, 2]},
        {"columns": ["a", "b"], "data": [[1, 2], [1]]},
    ],
)
def test_a_split_frame_that_contradicts_itself_is_refused(value):
    with pytest.raises(BadRequestError):
        json_of(value)


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2]],
        [1, 2],
        [[1, "a"]],
        [{"a": 1, "b": 2}],
        {"columns": ["a", "b"], "data": [[1, 2]]},
        [[[1, 2], [3, 4]]],
        {"instances": [[1, 2]]},
    ],
)
def test_a_table_or_array_of_another_width_than_the_models_is_refused(value):
    body = json.dumps(value).encode()
    assert decode(body, JSON, n_features=2).shape[-1] == 2
    with pytest.raises(BadRequestError) as refused:
        decode(body, JSON, n_features=3)
    assert refused.value.details == {"row": 1, "columns": 2, "expected": 3}


def test_what_is_not_a_table_has_no_width():
    assert decode(b'{"input": 1}', JSON, n_features=3) == {"input": 1}


@pytest.mark.parametrize("body", [b'"/etc/passwd"', b"7", b"true", b"null"])
def test_a_string_or_a_single_value_is_no_row_of_a_model_whose_columns_are_known(body):
    with pytest.raises(BadRequestError, match="takes rows of 3 columns") as refused:
        decode(body, JSON, n_features=3)
    assert refused.value.details == {"expected": 3}
    assert decode(body, JSON) == json.loads(body)


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"dataframe_records": t}])
def test_records_that_leave_out_almost_everything_are_refused_before_they_cost_anything(wrap):
    value = wrap([{f"k{number}": 1} for number in range(10_000)])
    tracemalloc.start()
    with pytest.raises(BadRequestError, match="Name all columns in each record") as refused:
        json_of(value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.details == {"columns": 10_000, "values": 10_000}
    assert peak < 30_000_000  # a table of them would be 800 MB


def test_records_may_leave_out_most():
    assert json_of([{"a": 1}] * 9 + [{f"k{number}": 1 for number in range(8)}]).shape == (10, 9)


def test_the_width_is_refused_before_a_column_is_built(monkeypatch):
    monkeypatch.setattr(tables, "assemble", None)
    with pytest.raises(BadRequestError, match="The number of columns is 50000"):
        decode(json.dumps([["a"] * 50_000]).encode(), JSON, n_features=30)


def test_a_table_of_numbers_and_text_keeps_its_columns_in_their_order():
    data = json_of(
        {"columns": list("abcd"), "data": [[1, "x", None, None], [2, None, 3, None]], "index": [7, 7]}
    )
    expected = pd.DataFrame(
        {"a": [1.0, 2.0], "b": ["x", np.nan], "c": [np.nan, 3.0], "d": [np.nan, np.nan]}, index=[7, 7]
    )
    pd.testing.assert_frame_equal(data, expected)


def test_columns_of_text_under_names_are_bounded():
    with pytest.raises(BadRequestError, match="at most 5000"):
        json_of([{f"k{number}": "x" for number in range(5001)}])
    assert json_of([{f"k{number}": number for number in range(50_000)}]).shape == (1, 50_000)


def test_what_is_not_json_is_refused_with_line_and_column():
    with pytest.raises(BadRequestError, match="line 2, column 5") as refused:
        decode(b"[1,\n  2 3]", JSON)
    assert refused.value.details == {"line": 2, "column": 5}


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"[1" + b"0" * 400 + b"]"])
def test_json_that_would_hurt_is_refused(body):
    with pytest.raises(BadRequestError):
        decode(body, JSON)


def test_nan_and_infinity_are_taken():
    np.testing.assert_array_equal(decode(b"[[NaN, Infinity, -Infinity]]", JSON), [[np.nan, np.inf, -np.inf]])


def test_a_byte_order_mark_does_no_harm():
    assert decode(b'\xef\xbb\xbf{"input": 1}', JSON) == {"input": 1}


def test_a_json_dialect_is_json():
    assert decode(b'{"input": 1}', media_type("application/vnd.example+json")) == {"input": 1}


@pytest.mark.parametrize("body", [b"[1,2]\n[3,4]", b"[1,2]\r\n[3,4]\r\n", b"\n[1,2]\n\n[3,4]\n\n"])
@pytest.mark.parametrize(
    "name", ["application/jsonlines", "application/x-jsonlines", "application/jsonl", "application/x-ndjson"]
)
def test_json_lines_of_lists_are_a_table(name, body):
    assert decode(body, media_type(name)).tolist() == [[1, 2], [3, 4]]


def test_json_lines_of_records_are_a_data_frame():
    pd.testing.assert_frame_equal(decode(b'{"a":1}\n{"a":2}\n', LINES), pd.DataFrame({"a": [1.0, 2.0]}))


@pytest.mark.parametrize("values", [[1, 2, 3], ["a", "b"], [{"features": [1, 2]}], ["a", [1]], [None]])
def test_json_lines_of_anything_else_are_a_list(values):
    assert decode("\n".join(map(json.dumps, values)).encode(), LINES) == values


@pytest.mark.parametrize(("body", "line"), [(b"[1]\n[2\n", 2), (b"\n\n{]\n", 3), (b"1 2", 1)])
def test_a_broken_json_line_is_named(body, line):
    with pytest.raises(BadRequestError) as refused:
        decode(body, LINES)
    assert refused.value.details["line"] == line


def test_blank_json_lines_are_refused():
    with pytest.raises(BadRequestError, match="no line with a value"):
        decode(b"\n \n", LINES)


def test_neither_pandas_nor_pyarrow_is_imported_for_rows_without_names():
    """They take longer to import than thousands of invocations."""
    program = (
        "import sys\n"
        "from byoc_serving.formats.codecs import decode, encode\n"
        "from byoc_serving.formats.negotiation import media_type\n"
        "encode(decode(b'[[1, 2]]', media_type('application/json')), 'text/csv')\n"
        "encode(decode(b'1,2\\n', media_type('text/csv')), 'application/json')\n"
        "encode(decode(b'1,a\\n', media_type('text/csv')), 'application/jsonlines')\n"
        "sys.exit('pandas' in sys.modules or 'pyarrow' in sys.modules)\n"
    )
    path = next(entry for entry in sys.path if entry.endswith("custom_algorithm"))
    assert (
        subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, check=False).returncode == 0
    )
