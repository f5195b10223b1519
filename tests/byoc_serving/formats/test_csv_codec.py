import sys

import numpy as np
import pandas as pd
import pytest

from byoc_serving.errors import BadRequestError
from byoc_serving.formats import arrays, csv_codec
from byoc_serving.formats.codecs import decode
from byoc_serving.formats.negotiation import media_type


def csv_of(body, parameters=""):
    return decode(body.encode() if isinstance(body, str) else body, media_type(f"text/csv{parameters}"))


@pytest.mark.parametrize(
    "body",
    [
        "1,2\n3,4",
        "1,2\n3,4\n",
        "1,2\r\n3,4\r\n",
        "1,2\n3,4\n\n\r\n",
        "\ufeff1,2\n3,4\n",
        '"1","2"\n3,4',
        " 1 ,2.0\n3e0,+4\n",
    ],
)
def test_numbers_become_a_float64_array(body):
    data = csv_of(body)
    assert data.dtype == np.float64
    assert data.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("body", ["1,2,3", "1,2,3\n"])
def test_one_line_is_one_row(body):
    assert csv_of(body).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("body", ["1,\n,4\n", '1,""\n"",4\n', "1, \nnan,4\n"])
def test_an_empty_cell_among_numbers_is_nan(body):
    np.testing.assert_array_equal(csv_of(body), [[1, np.nan], [np.nan, 4]])


def test_an_empty_line_is_an_empty_cell_where_rows_have_one():
    np.testing.assert_array_equal(csv_of("1\n\n3\n"), [[1], [np.nan], [3]])


def test_text_without_a_header_becomes_an_array_of_objects():
    data = csv_of('1,red\n2,"dark, ""blue"""\n3,\n')
    assert data.dtype == object
    assert data[:2].tolist() == [[1.0, "red"], [2.0, 'dark, "blue"']]
    assert np.isnan(data[2, 1])


def test_a_quoted_cell_may_hold_lines():
    assert csv_of('"two\r\nlines",1\r\nx,2').tolist() == [["two\r\nlines", 1.0], ["x", 2.0]]


@pytest.mark.parametrize("body", ["age,colour\n1,red\n,blue\n", "\ufeffage,colour\r\n1,red\r\n,blue"])
def test_a_header_makes_a_data_frame(body):
    expected = pd.DataFrame({"age": [1.0, np.nan], "colour": ["red", "blue"]})
    pd.testing.assert_frame_equal(csv_of(body), expected)


def test_what_pandas_reads_is_what_predict_fn_gets(tmp_path):
    body = "a,b,c\n1,x,\n,,2.5\n3,z,1\n"
    (tmp_path / "table.csv").write_text(body)
    read = pd.read_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(csv_of(body), read)


@pytest.mark.parametrize(
    ("body", "parameters", "rows"),
    [
        ("a,b\n1,2\n", "", 1),  # names over numbers
        ("a,b\nx,1\ny,\n", "", 2),  # one column of numbers is enough
        ("a,b\nx,y\n", "", 2),  # text over text: no header
        ("a,1\n1,2\n", "", 2),  # a number in the first line: no header
        ("red,small\nblue,7\ngreen,large\n", "", 3),  # no column of numbers below
        ("a,b\n", "", 1),  # a single line: no header
        ("a,b\nx,y\n", "; header=present", 1),
        ("1,2\n3,4\n", "; header=present", 1),
        ("a,b\n1,2\n", "; header=absent", 2),
        ("a,b\n1,2\n", "; Header=Absent; charset=utf-8", 2),
    ],
)
def test_the_first_line_is_a_header_by_rule_or_by_word(body, parameters, rows):
    assert len(csv_of(body, parameters)) == rows


def test_without_pandas_a_header_is_left_out(monkeypatch):
    monkeypatch.setattr(arrays, "_pandas", lambda: None)
    assert csv_of("a,b\n1,2\n").tolist() == [[1, 2]]


@pytest.mark.parametrize("cell", ["1_000", "0x10", "1d5", "1\x002"])
def test_a_number_is_what_other_programs_take_for_one(cell):
    assert csv_of(f"{cell},2", "; header=absent")[0, 0] == cell


NUMBERS = [
    "1",
    "-1.",
    "+.5",
    "1e5",
    "1E-5",
    " 1\t",
    "nan",
    "-NaN",
    "inf",
    "Infinity",
    "\uff11\u0662",
    "1e999",
]
OTHERS = [
    "",
    "e5",
    ".",
    "+",
    "1e",
    "1e+",
    "--1",
    "1 2",
    "1,0",
    "infin",
    "nano",
    "0b1",
    "1_0",
    "_1",
    "\xbd",
    "1x",
]


@pytest.mark.parametrize("cell", NUMBERS + OTHERS)
def test_a_number_is_what_float_takes_without_underscores(cell):
    try:
        is_number = "_" not in cell and isinstance(float(cell), float)
    except ValueError:
        is_number = False
    assert bool(csv_codec._NUMBER.fullmatch(cell)) == is_number == (cell in NUMBERS)


def arrays_made_by(call):
    """Count calls into numpy's array functions: time depends on the machine."""
    made = []

    def note(_frame, event, called):
        if event == "c_call" and called in (np.array, np.asarray, np.empty, np.zeros):
            made.append(called)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return len(made)


@pytest.mark.parametrize("cell", ["n", "nan", ""])
@pytest.mark.parametrize("lines", [1, 2])
def test_cells_of_text_cost_no_array_each(lines, cell):
    line = ",".join(["n", *[cell] * 5_000])
    assert arrays_made_by(lambda: csv_of("\n".join([line] * lines))) < 20


def test_the_width_is_refused_before_a_column_is_built(monkeypatch):
    monkeypatch.setattr(csv_codec, "_table", None)
    monkeypatch.setattr(csv_codec, "_only_numbers", None)
    for first in ("n", "1"):
        with pytest.raises(BadRequestError, match="columns is 50000"):
            decode(",".join([first] * 50_000).encode(), media_type("text/csv"), n_features=30)


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "windows-1252"])
def test_the_charset_is_honoured(charset):
    assert csv_of("1,é".encode(charset), f"; charset={charset}")[0, 1] == "é"


@pytest.mark.parametrize("body", ["\n", " \n \r\n", "\ufeff"])
def test_an_empty_table_is_refused(body):
    with pytest.raises(BadRequestError, match="empty"):
        csv_of(body)


@pytest.mark.parametrize(("body", "parameters"), [("a,b\n", "; header=present"), ("1,2", "; header=present")])
def test_a_header_alone_is_refused(body, parameters):
    with pytest.raises(BadRequestError, match="no rows"):
        csv_of(body, parameters)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("1,2\n3\n", 2),
        ("1,2\n3,4\n5,6,7\n", 3),
        ("a,b\n1,2\n3\n", 3),
        ('"two\nlines",2\n3\n', 3),
        ("1,2\n\n3,4\n", 2),
        ("\n1,2\n", 2),
    ],
)
def test_a_ragged_table_is_refused_with_the_line(body, line):
    with pytest.raises(BadRequestError, match=f"Line {line} has") as refused:
        csv_of(body)
    assert refused.value.details["line"] == line


@pytest.mark.parametrize("body", ['1,2\n3,"4', '1,2\n3,"4"x\n', "1,2\n3," + "x" * 200_000])
def test_csv_that_cannot_be_parsed_is_refused_with_the_line(body):
    with pytest.raises(BadRequestError, match="line 2"):
        csv_of(body)


def test_a_header_parameter_that_means_nothing_is_refused():
    with pytest.raises(BadRequestError, match="header=maybe"):
        csv_of("1,2", "; header=maybe")
