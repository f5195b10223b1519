import io
import pickle
import tracemalloc

import numpy as np
import pytest

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.codecs import decode
from byoc_serving.formats.negotiation import media_type

NPY = media_type("application/x-npy")


def npy_of(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), version=version)
    return out.getvalue()


def npy_saying(header, data=b"", version=1):
    text = header.encode() + b"\n"
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def header_of(descr="'<f8'", order=False, shape="(1, 2)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, 2.0], [3.0, 4.0]]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(4, dtype=">i4").reshape(1, 4),
        np.array(["a", "b"]),
        np.array([[True, False]]),
        np.array([["a", "é\U0001f600"]]),
        np.array([[b"a", b"bc"]]),
        np.zeros((2, 3, 4), dtype="f4"),
        np.array([[1.5]]),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_an_array_comes_as_it_was_saved(array, version):
    data = decode(npy_of(array, version), NPY)
    np.testing.assert_array_equal(data, array)
    assert data.dtype.isnative


def test_the_numbers_are_not_copied():
    body = npy_of(np.zeros((1000, 100)))
    tracemalloc.start()
    decode(body, NPY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_the_order_of_the_headers_entries_is_free():
    header = "{'shape': (1,), 'descr': '<f8', 'fortran_order': False}"
    assert decode(npy_saying(header, bytes(8)), NPY).tolist() == [[0.0]]


@pytest.mark.parametrize("array", [np.array(1.5), np.array([1.5]), np.array([1, 2, 3]), np.array([True])])
def test_numbers_of_one_dimension_are_one_row(array):
    data = decode(npy_of(array), NPY)
    assert (data.shape, data.dtype) == ((1, array.size), array.dtype)


@pytest.mark.parametrize("shape", [(), (29,), (31,), (30, 1), (2, 29), (30, 2, 29)])
def test_the_last_axis_is_held_against_n_features(shape):
    with pytest.raises(BadRequestError) as refused:
        decode(npy_of(np.zeros(shape)), NPY, n_features=30)
    assert refused.value.details["expected"] == 30


@pytest.mark.parametrize("shape", [(30,), (2, 30), (2, 2, 30)])
def test_an_array_as_wide_as_the_model_is_taken(shape):
    assert decode(npy_of(np.zeros(shape)), NPY, n_features=30).shape[-1] == 30


class Dangerous:
    executed = False

    def __reduce__(self):
        return (setattr, (Dangerous, "executed", True))


def test_pickle_is_refused_and_nothing_is_executed():
    out = io.BytesIO()
    np.save(out, np.array([Dangerous()], dtype=object), allow_pickle=True)
    for body in (out.getvalue(), pickle.dumps(Dangerous())):
        with pytest.raises(BadRequestError):
            decode(body, NPY)
    assert not Dangerous.executed


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(1000000, 1000000)", "(2, 2)", "(1,)", "(0,)"])
def test_a_shape_that_lies_is_refused_and_nothing_is_allocated(shape):
    body = npy_saying(header_of(shape=shape), bytes(24))
    tracemalloc.start()
    with pytest.raises(BadRequestError, match="24 bytes follow"):
        decode(body, NPY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_trailing_bytes_are_refused():
    with pytest.raises(BadRequestError, match="9 bytes follow"):
        decode(npy_of(np.array([1.0])) + b"x", NPY)


def test_an_empty_array_is_refused():
    with pytest.raises(BadRequestError, match="empty"):
        decode(npy_of(np.empty((0, 30))), NPY)


@pytest.mark.parametrize(
    "header",
    [
        header_of(descr="'|O'"),
        header_of(descr="[('a', '<f8')]"),
        header_of(descr="'f8,f8'"),
        header_of(descr="'3f8'"),
        header_of(descr="'<f3'"),
        header_of(descr="'<U0'"),
        header_of(descr="'|V8'"),
        header_of(descr="'<M8[s]'"),
        header_of(descr="1"),
        header_of(shape="1"),
        header_of(shape="(-1, -2)"),
        header_of(shape=f"(1{'0' * 4000}, 1{'0' * 4000})"),
        header_of(shape="(1.0, 2)"),
        header_of(shape="(True, 2)"),
        header_of(shape=f"({'1, ' * 60})"),
        "{'descr': '<f8'}",
        "[]",
        "nonsense(",
        "(" * 5000,
        "-" * 5000 + "1",
        "__import__('os')",
    ],
)
def test_a_header_that_is_no_plain_arrays_is_refused(header):
    with pytest.raises(BadRequestError):
        decode(npy_saying(header, bytes(16)), NPY)


@pytest.mark.parametrize(
    "body",
    [
        b"not numpy",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x01\x00\xff\xff{}",
        b"\x93NUMPY\x09\x00\x02\x00{}",
        npy_saying("\xff" * 10, version=1),
        npy_saying(" " * 20_000, version=2),
    ],
)
def test_what_is_no_npy_is_refused(body):
    with pytest.raises(BadRequestError, match="NPY"):
        decode(body, NPY)


def test_text_beyond_unicode_is_refused():
    with pytest.raises(BadRequestError, match="Unicode"):
        decode(npy_saying(header_of(descr="'<U1'", shape="(1,)"), b"\xff\xff\xff\x7f"), NPY)
