"""conformity: what lies outside the schema is found, by row and column, in every kind of table."""

import numpy as np
import pandas as pd
import pytest

from byoc_serving.conformity import Conformity
from byoc_serving.errors import BadRequestError
from byoc_serving.versions.schema import Column

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


def test_categories_that_look_like_numbers_are_known_when_csv_makes_them_numbers():
    columns = (Column(None, "string", enum=("1", "2.5")),)
    Conformity(columns).enforce(np.array([[1.0], [2.5]]))


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
