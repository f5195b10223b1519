import contextlib
import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from byoc_serving.errors import RequestError
from byoc_serving.formats import csv_codec, json_codec, simd
from byoc_serving.formats.codecs import decode
from byoc_serving.formats.negotiation import media_type
from byoc_serving.formats.simd import UnreadableError, csv_numbers, json_line_numbers, json_value

few = settings(derandomize=True, deadline=None, database=None, max_examples=80)

numbers = (
    st.floats() | st.integers(-(2**70), 2**70) | st.sampled_from([0, -0.0, 5e-324, 1e16, 0.1, 2**53 + 1])
)
cells = numbers | st.none()
anything = st.recursive(
    cells | st.booleans() | st.text(max_size=3), lambda items: st.lists(items, max_size=3), max_leaves=8
)
tables = st.integers(0, 4).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width)))
bodies = tables | st.lists(cells) | anything | st.lists(tables, max_size=3)
wrappers = st.sampled_from(["{}", '{{"instances": {}}}', '{{"inputs":{}}}', '{{"a": {}}}', " {} \n", "{}]"])

JSON_CELLS = ["1", "-2.5", "1e5", "-0", "-0.0", "0", "", " 7", "1e400", "98765432109876543210", "\t4"]
OTHER_CELLS = ["1.", ".5", "+1", "nan", "inf", "x", '"3"', "[1", "1]", "null", "true", "1 2", "{}", "\r"]
texts = st.sampled_from([*JSON_CELLS, *OTHER_CELLS, "-7.039872368516943e-301"])
lines = st.lists(st.lists(texts, min_size=1, max_size=3).map(",".join), min_size=1, max_size=4)
ends = st.sampled_from(["\n", "\r\n", "\n\n", "\r"])


def outcome(body, header, n_features=None):
    """Return all that can be told of what a body becomes."""
    try:
        data = decode(body, media_type(header), n_features)
    except RequestError as error:
        return type(error), str(error), error.details
    if hasattr(data, "columns"):
        return list(data.columns), data.to_numpy().dtype, repr(data.to_numpy().tolist())
    if isinstance(data, np.ndarray):
        return data.dtype, data.shape, data.flags.writeable, repr(data.tolist())
    return repr(data)


def refuse(text):
    raise UnreadableError


def slow_outcome(body, header, n_features=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_codec, "json_value", refuse)
        patch.setattr(json_codec, "json_line_numbers", lambda _text: None)
        patch.setattr(csv_codec, "csv_numbers", lambda *_: None)
        return outcome(body, header, n_features)


@few
@given(bodies, wrappers, st.sampled_from([None, 2]))
@example([[[1, 2], []], [[3], [4]]], "{}", None)
@example([[1, 2], [[3], 4]], "{}", None)
@example([[], []], "{}", None)
@example([[True, 1]], "{}", None)
def test_json_is_what_it_is_without_simd(value, wrapper, n_features):
    body = wrapper.format(json.dumps(value)).encode()
    told = outcome(body, "application/json", n_features)
    assert told == slow_outcome(body, "application/json", n_features)


@few
@given(st.lists(st.lists(cells, min_size=2, max_size=2) | anything, max_size=4), ends)
@example([[1], [2]], ",")
def test_json_lines_are_what_they_are_without_simd(values, end):
    body = end.join(map(json.dumps, values)).encode()
    assert outcome(body, "application/jsonlines") == slow_outcome(body, "application/jsonlines")


@pytest.mark.parametrize(
    "body", [b"[1\n2]", b"[1\n2],[3,4]", b"[1],[2]", b"[[1]\n[2]]", b"[1]\n\n", b"[1]\n[2]\n3", b"[1]\n [2]"]
)
def test_json_lines_hold_one_value_each(body):
    assert outcome(body, "application/jsonlines") == slow_outcome(body, "application/jsonlines")


@few
@given(lines, ends, st.sampled_from(["", "; header=absent", "; header=present"]), st.sampled_from([None, 2]))
@example(["a,b", "1,2", "3,"], "\n", "", None)
@example([",", "1,2"], "\n", "", None)
@example(["1,2", ",", "3,4"], "\n", "", None)
@example(["1],[2", "3"], "\n", "", None)
@example(["1", "", "2"], "\n", "", None)
@example(["1", "\r,2"], "", "", None)
def test_csv_is_what_it_is_without_simd(rows, end, parameter, n_features):
    body = end.join(rows).encode()
    if body:
        header = f"text/csv{parameter}"
        assert outcome(body, header, n_features) == slow_outcome(body, header, n_features)


@few
@given(st.lists(st.lists(st.floats(width=64), min_size=3, max_size=3), min_size=1, max_size=5))
def test_every_float_comes_back_as_it_was(rows):
    table = np.array(rows)
    text = "\n".join(",".join("" if math.isnan(cell) else repr(cell) for cell in row) for row in rows)
    for body, header in ((text, "text/csv; header=absent"), (json.dumps(rows), "application/json")):
        data = decode(body.encode(), media_type(header))
        np.testing.assert_array_equal(data, table)
        assert (np.signbit(data) == np.signbit(table))[~np.isnan(table)].all()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(simd, "_BLOCK_BYTES", 16)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_long_bodies_are_read_in_blocks(small_blocks, end):
    rows = [[float(place), -1.5] for place in range(50)]
    assert csv_numbers(end.join(b"%f,%f" % tuple(row) for row in rows) + end).tolist() == rows
    assert json_line_numbers(end.join(json.dumps(row).encode() for row in rows) + end).tolist() == rows


@pytest.mark.parametrize(
    "body", [b"1,2\n" * 20 + b"3\n" * 20, b"1,2\n" * 20 + b"x,2\n", b"1,2\n" * 8 + b"\n" + b"1,2\n" * 8]
)
def test_a_fault_in_a_later_block_is_seen(small_blocks, body):
    assert csv_numbers(body) is None
    assert outcome(body, "text/csv") == slow_outcome(body, "text/csv")


def test_a_line_longer_than_a_block_is_one_row(small_blocks):
    assert csv_numbers(b"1,2,3,4,5,6,7,8,9,10,11,12,13\n" * 2).shape == (2, 13)
    assert csv_numbers(b"1,2,3,4,5,6,7,8,9,10,11,12,13").shape == (1, 13)


def test_threads_do_not_share_a_parser():
    bodies = [json.dumps([[float(number)] * 50] * 50).encode() for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(50):
            decoded = pool.map(json_value, bodies)
            assert [(table == number).all() for number, table in enumerate(decoded)] == [True] * 4


def test_a_value_that_was_refused_does_not_hold_the_parser():
    for body in (
        b'[[1, "x"]]',
        b"[1",
        b"[[1], 2]",
        b'{"instances": 1}',
        b"[" * 3000,
        b'{"a": [1]}',
        b"[[null]]",
    ):
        with contextlib.suppress(UnreadableError):
            json_value(body)
        assert json_value(b"[[1.5]]").tolist() == [[1.5]]


def test_an_array_may_be_changed_in_place():
    for body, header in (
        (b"[[1,2]]", "application/json"),
        (b"1,2", "text/csv"),
        (b"[1,2]", "application/jsonl"),
    ):
        data = decode(body, media_type(header))
        data[0, 0] = 5
        assert data.tolist() == [[5, 2]]
