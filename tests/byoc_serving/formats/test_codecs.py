import contextlib
import datetime
import io
import json

import numpy as np
import pandas as pd
import pytest

from byoc_serving.errors import BadRequestError, UnsupportedMediaTypeError
from byoc_serving.formats.codecs import DECODERS, ENCODERS, decode, encode
from byoc_serving.formats.negotiation import media_type
from byoc_serving.formats.plain import UnencodableError


def as_type(name, body):
    return decode(body, media_type(name))


def test_an_unknown_type_is_refused_with_the_known_ones():
    with pytest.raises(UnsupportedMediaTypeError) as refused:
        as_type("image/png", b"1")
    assert refused.value.details == {"sent": "image/png", "supported": list(DECODERS)}


def test_what_needs_a_library_that_is_not_there_is_not_among_them(monkeypatch):
    monkeypatch.setattr("byoc_serving.formats.codecs.find_spec", lambda _name: None)
    with pytest.raises(UnsupportedMediaTypeError) as refused:
        as_type("image/png", b"1")
    supported = refused.value.details["supported"]
    assert set(DECODERS) - set(supported) == {
        "application/x-parquet",
        "application/vnd.apache.parquet",
        "application/vnd.apache.arrow.stream",
    }
    assert "parquet" not in str(refused.value)


@pytest.mark.parametrize("name", DECODERS)
def test_an_empty_body_is_refused_as_such(name):
    with pytest.raises(BadRequestError, match="body is empty"):
        as_type(name, b"")


@pytest.mark.parametrize("name", ["application/json", "text/csv", "application/jsonlines"])
def test_undecodable_text_is_refused_with_its_place(name):
    with pytest.raises(BadRequestError, match="byte 6, on line 2") as refused:
        as_type(name, b'1,2\n"\xff"\n')
    assert refused.value.details == {"line": 2, "byte": 6}


@pytest.mark.parametrize("charset", ["nonsense", "idna", "unicode_escape", "zip", "rot13", "hex"])
def test_a_charset_that_is_none_is_refused(charset):
    with pytest.raises(UnsupportedMediaTypeError, match=charset):
        as_type(f"text/csv; charset={charset}", b"1,2")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-16", "latin-1", "windows-1252", "utf-32"])
def test_text_comes_in_any_real_charset(charset):
    assert as_type(f"application/json; charset={charset}", '"é"'.encode(charset)) == "é"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("application/json", b'"so, \\"positive\\""'),
        ("application/jsonlines", b'"so, \\"positive\\""\n'),
        ("text/csv", b'"so, ""positive"""\n'),
    ],
)
def test_a_string_is_quoted_as_its_format_needs_it(name, body):
    assert encode('so, "positive"', name) == body


def test_a_string_has_no_npy_form():
    with pytest.raises(UnencodableError, match="a str, which has no application/x-npy form"):
        encode("positive", "application/x-npy")


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("given", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_bytes_have_no_form_at_all(name, given):
    with pytest.raises(UnencodableError, match="define output_fn"):
        encode(given, name)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("prediction", [(n for n in range(3)), object(), {1, 2}, [object()]])
def test_what_has_no_form_is_refused_by_its_type(name, prediction):
    with pytest.raises(UnencodableError, match=r"generator|object|set|list"):
        encode(prediction, name)


@pytest.mark.parametrize(
    "name", [name for name in ENCODERS if name not in ("application/x-npy", "application/x-npz")]
)
@pytest.mark.parametrize("prediction", [[b"bytes"], 1j, np.array([1j]), np.array([1j], dtype="G")])
def test_what_only_npy_has_a_form_for_is_refused_elsewhere(name, prediction):
    encode(prediction, "application/x-npy")
    with pytest.raises(UnencodableError, match=r"bytes|complex|clongdouble"):
        encode(prediction, name)


@pytest.mark.parametrize(
    ("prediction", "text"),
    [
        (np.array([0.5, 1.0]), "[0.5,1.0]"),
        (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
        (np.float32(0.5), "0.5"),
        (np.array(3), "3"),
        (np.array(["a", None], dtype=object), '["a",null]'),
        (np.array([True]), "[true]"),
        (np.ma.array([1, 2], mask=[False, True]), "[1,null]"),
        ([1.0, float("nan"), float("inf")], "[1.0,null,null]"),
        (np.array([np.nan, 1.0]), "[null,1.0]"),
        (
            {"label": np.str_("é"), "scores": (np.float64(1), np.int64(2))},
            '{"label":"é","scores":[1.0,2]}',
        ),
        ({np.int64(1): None, "b": {}}, '{"1":null,"b":{}}'),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), '[{"a":1,"b":"x"},{"a":2,"b":null}]'),
        (pd.Series([1.5, None]), "[1.5,null]"),
        (pd.Series([1, None], dtype="Int64"), "[1,null]"),
        ([datetime.date(2026, 11, 20), pd.NaT], '["2026-11-20",null]'),
        (np.array([1.5, np.nan], dtype=np.longdouble), "[1.5,null]"),
        ([np.longdouble(0.1)], "[0.1]"),
        (np.array(["2026-11-20T01:02", "NaT"], dtype="M8[s]"), '["2026-11-20T01:02:00",null]'),
        (np.array(["2026-11-20"], dtype="M8[ns]"), '["2026-11-20T00:00:00.000000000"]'),
        ({"day": np.datetime64("2026-11-20")}, '{"day":"2026-11-20"}'),
        (np.array([(1, 0.5)], dtype=[("a", "i4"), ("b", "f16")]), "[[1,0.5]]"),
        (None, "null"),
        ([], "[]"),
    ],
)
def test_json_is_the_plain_value(prediction, text):
    assert encode(prediction, "application/json").decode() == text


@pytest.mark.parametrize(
    ("prediction", "text"),
    [
        (np.array([0.5, 1.0]), "0.5\n1.0\n"),
        (np.array([[1, 2], [3, 4]]), "1,2\n3,4\n"),
        ([["a,b", 'say "x"'], ["line\nbreak", None]], '"a,b","say ""x"""\n"line\nbreak",\n'),
        (["é"], "é\n"),
        (0.25, "0.25\n"),
        (np.array([np.nan, 1.0]), '""\n1.0\n'),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "1,x\n2,y\n"),
        (pd.Series([1, 2]), "1\n2\n"),
    ],
)
def test_csv_is_a_line_for_each_value_or_row(prediction, text):
    assert encode(prediction, "text/csv").decode() == text


@pytest.mark.parametrize("prediction", [{"a": 1}, [{"a": 1}], np.zeros((2, 2, 2))])
def test_csv_has_no_form_for_what_is_no_table(prediction):
    with pytest.raises(UnencodableError, match="text/csv"):
        encode(prediction, "text/csv")


@pytest.mark.parametrize(
    ("prediction", "lines"),
    [
        (np.array([[1, 2], [3, 4]]), ["[1,2]", "[3,4]"]),
        (pd.DataFrame({"a": [1, 2]}), ['{"a":1}', '{"a":2}']),
        ({"a": 1}, ['{"a":1}']),
        (0.5, ["0.5"]),
    ],
)
def test_json_lines_are_a_line_for_each_item(prediction, lines):
    assert encode(prediction, "application/jsonlines").decode() == "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    "prediction", [np.array([[1.5, 2]], dtype="f4"), [1, 2, 3], pd.Series([1.0]), np.int8(1)]
)
def test_npy_is_the_array(prediction):
    body = encode(prediction, "application/x-npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(body), allow_pickle=False), np.asarray(prediction))


@pytest.mark.parametrize("prediction", [[[1], [2, 3]], {"a": 1}, [None], np.array([object()])])
def test_npy_never_needs_pickle(prediction):
    with pytest.raises(UnencodableError):
        encode(prediction, "application/x-npy")


@pytest.mark.parametrize("name", ENCODERS)
def test_a_table_that_was_encoded_is_decoded_to_the_same(name):
    table = np.random.default_rng(0).normal(size=(7, 3))
    np.testing.assert_array_equal(as_type(name, encode(table, name)), table)


@pytest.mark.parametrize("name", ["application/json", "text/csv", "application/x-npy"])
def test_missing_values_come_back_missing(name):
    table = np.array([[1.0, np.nan], [np.nan, 2.0]])
    np.testing.assert_array_equal(as_type(name, encode(table, name)), table)


@pytest.mark.parametrize("name", ENCODERS)
def test_times_between_dates_have_no_form(name):
    with pytest.raises(UnencodableError, match=r"timedelta64|ndarray"):
        encode(np.array([1], dtype="m8[ns]"), name)


@pytest.mark.parametrize("name", DECODERS)
def test_random_bytes_are_the_callers_fault(name):
    random = np.random.default_rng(1)
    for length in range(1, 200):
        body = random.bytes(length)
        for sent in (
            body,
            b"\x93NUMPY\x01\x00" + body,
            b"[" + body,
            json.dumps(list(body)).encode()[:length],
        ):
            with contextlib.suppress(BadRequestError):
                as_type(name, sent)
