import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byoc_serving.formats.json_text import json_text, numbers_text
from byoc_serving.formats.plain import UnencodableError, plain

few = settings(derandomize=True, deadline=None, database=None, max_examples=60)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=4)
    | st.dates()
    | st.datetimes()
    | st.floats().map(np.float64)
    | st.floats(width=32).map(np.float32)
    | st.integers(0, 255).map(np.uint8)
    | st.booleans().map(np.bool_)
    | st.lists(st.floats(width=32), max_size=3).map(lambda items: np.array(items, dtype="f4"))
    | st.lists(st.floats(), max_size=3).map(np.array)
)
keys = st.text(max_size=3) | st.integers(0, 9) | st.none() | st.booleans() | st.floats(0, 9)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)


@few
@given(values)
def test_the_text_says_what_plain_says(value):
    assert json.loads(json_text(value)) == json.loads(json.dumps(plain(value), allow_nan=False))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3)[:, ::2],
        np.arange(4, dtype=">i2"),
        np.array([0.1, np.nan, -np.inf], dtype="f4"),
        np.array([0.1, np.inf], dtype="f2"),
        np.array([True, False]),
        np.zeros((2, 0)),
        np.zeros((0, 2)),
        np.array(5.0),
        np.ma.array([1, 2], mask=[True, False]),
        [2**64, -(2**63) - 1],
        "\ud800",
        {"a": "\ud800"},
        [[[[[1]]]]],
        {("a"): {2.5: np.int8(1)}},
        pd.DataFrame({"a": [1.5, None], "b": ["x", None]}),
        {"frame": pd.DataFrame({"a": [np.float32(0.1)]})},
        [pd.Timestamp("2026-11-20"), pd.NaT, pd.NA],
        [datetime.time(1, 2), datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)],
        np.array(["a", "b"]),
        (1, (2, 3)),
    ],
    ids=str,
)
def test_it_says_so_of_whatever_is_special(value):
    assert json.loads(json_text(value)) == json.loads(json.dumps(plain(value), allow_nan=False))


@pytest.mark.parametrize("value", [{1, 2}, [object()], {"a": b"x"}, decimal.Decimal(1), {(1, 2): 1}, [1j]])
def test_what_has_no_form_has_none_here(value):
    with pytest.raises(UnencodableError):
        json_text(value)


def test_text_is_utf8():
    assert json_text(["é"]) == '["é"]'.encode()


@pytest.mark.parametrize(
    "value", [[True], [], ["a"], [1, None], np.array([True]), np.zeros(0), np.array(["a"]), 1.0]
)
def test_what_is_not_only_numbers_has_no_text_of_numbers(value):
    assert numbers_text(value) is None
