"""schema: training data are described once, as any table of them, and read back as they were written."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from byoc_serving.errors import ModelVersionError
from byoc_serving.model_version import describe, read_schema, write_schema
from byoc_serving.versions.schema import MOST_VALUES, Column, describe_columns

GOLDEN = Path(__file__).parents[2] / "golden"


def test_what_is_written_is_the_golden_file_and_reads_back(tmp_path):
    frame = pd.DataFrame({"age": [30, 41], "height": [1.6, np.nan], "colour": ["red", "blue"]})
    write_schema(tmp_path, frame)
    assert (tmp_path / "schema.json").read_text() == (GOLDEN / "schema.json").read_text()
    assert read_schema(tmp_path) == (
        Column("age", "integer", False, 30, 41),
        Column("height", "number", True, 1.6, 1.6),
        Column("colour", "string", False, enum=("blue", "red")),
    )


@pytest.mark.parametrize(
    ("values", "column"),
    [
        (np.array([1, 2]), Column(None, "integer", False, 1, 2)),
        (np.array([True, False]), Column(None, "integer", False, 0, 1)),
        (np.array([np.nan, np.nan]), Column(None, "number", True)),
        (np.array([-np.inf, 2.5]), Column(None, "number", False, None, 2.5)),
        (np.array(["b", "a"]), Column(None, "string", False, enum=("a", "b"))),
        ([1, 2.5, None], Column(None, "number", True, 1, 2.5)),
        (["a", None], Column(None, "string", True, enum=("a",))),
        ([1, "a"], Column(None, "string", False, enum=("1", "a"))),
        ([str(number) for number in range(MOST_VALUES + 1)], Column(None, "string")),
        (pd.array([1, None], dtype="Int64"), Column(None, "number", True, 1, 1)),
        (pd.Categorical(["x", "y", None]), Column(None, "string", True, enum=("x", "y"))),
    ],
)
def test_each_kind_of_column_has_its_type_range_and_categories_and_reads_back(tmp_path, values, column):
    is_array = isinstance(values, np.ndarray)
    rows = values.reshape(-1, 1) if is_array else [[v] for v in values] if isinstance(values, list) else None
    table = pd.DataFrame({"c": values}) if rows is None else rows
    (found,) = describe_columns(table, None)
    assert Column(None, *list(vars(found).values())[1:]) == column
    write_schema(tmp_path, table)
    assert read_schema(tmp_path) == (found,)


def test_a_margin_widens_the_ranges():
    number, whole = describe_columns(pd.DataFrame({"a": [0.0, 10.0], "b": [0, 5]}), margin=0.5)
    assert (number.minimum, number.maximum, whole.minimum, whole.maximum) == (-5, 15, -3, 8)


@pytest.mark.parametrize(
    ("rows", "names"), [([1, 2], None), (np.zeros((0, 2)), None), (np.zeros((2, 2)), ["only one"])]
)
def test_what_is_no_table_or_misses_names_is_refused(tmp_path, rows, names):
    with pytest.raises(ModelVersionError, match="schema"):
        write_schema(tmp_path, rows, names)


def test_an_integer_that_no_float_holds_is_named_by_its_column(tmp_path):
    with pytest.raises(ModelVersionError, match="column mass has an integer beyond"):
        write_schema(tmp_path, [[1, 10**400]], ["age", "mass"])
    with pytest.raises(ModelVersionError, match="column 1 has an integer beyond"):
        write_schema(tmp_path, [[1, 10**400]])


def test_the_schema_is_a_file_of_the_model_version(tmp_path):
    write_schema(tmp_path, np.zeros((1, 1)))
    assert [entry.path for entry in describe(tmp_path, name="m").files] == ["schema.json"]


NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ([{"type": "date", "name": "a"}], "'date' is no type"),
        ([{"nme": "a"}], "nme"),
        (3, "no list of objects"),
        ([], "no list of objects"),
        ({"a": NUMBER}, "no list of objects"),
        ([NUMBER, {**NUMBER, "name": "b"}], "some have none"),
        ([{**NUMBER, "name": 1}], "the name of a column is 1"),
        ([{**NUMBER, "nullable": "no"}], "its nullable 'no'"),
        ([{**NUMBER, "minimum": "5"}], "'5' is no bound"),
        ([{**NUMBER, "maximum": math.nan}], "nan is no bound"),
        ([{**NUMBER, "maximum": 10**400}], "OverflowError"),
        ([{**NUMBER, "minimum": 2, "maximum": 1}], "minimum of column None is 2.0, its maximum 1.0"),
        ([{"type": "string", "enum": "abc"}], "enum of column None is 'abc'"),
        ([{"type": "string", "enum": [1]}], "not a list of strings"),
    ],
)
def test_a_broken_schema_is_named(tmp_path, columns, says):
    said = {"format": "byoc-input-schema/1", "columns": columns}
    (tmp_path / "schema.json").write_text(json.dumps(said))
    with pytest.raises(ModelVersionError, match=rf"Bad schema: .*schema\.json: .*{says}.* Train again"):
        read_schema(tmp_path)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"format": "byoc-input-schema/1"}, "'columns'"),
        ({"format": "byoc-input-schema/2", "columns": [NUMBER]}, "its format is 'byoc-input-schema/2'"),
    ],
)
def test_a_schema_of_another_format_is_not_taken_for_none(tmp_path, said, says):
    (tmp_path / "schema.json").write_text(json.dumps(said))
    with pytest.raises(ModelVersionError, match=says):
        read_schema(tmp_path)


def test_a_schema_of_the_users_own_is_left_alone(tmp_path):
    (tmp_path / "schema.json").write_text('{"title": "mine"}')
    assert read_schema(tmp_path) is None
    assert read_schema(tmp_path / "none") is None
