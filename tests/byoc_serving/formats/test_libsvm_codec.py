import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.codecs import decode
from byoc_serving.formats.negotiation import media_type

LIBSVM = media_type("text/libsvm")
GOLDEN = Path(__file__).parents[2] / "golden" / "bodies"
DUMMY_DATA = Path(__file__).parents[3] / "dummy_data"


@pytest.mark.parametrize(
    "body",
    [
        b"1 1:0.5 3:2\n0 2:-1e3\n",
        b"1:0.5 3:2\r\n2:-1e3",
        b"+1 3:2 1:.5\n\n-1 qid:7 2:-1000 # a comment\n# another\n",
        b"qid:1 1:0.5 3:2.0\n1.5\t2:-1000  ",
    ],
)
def test_what_is_not_sent_is_zero(body):
    data = decode(body, LIBSVM)
    assert data.dtype == np.float64
    assert data.tolist() == [[0.5, 0, 2], [0, -1000, 0]]


def test_the_sample_has_the_rows_of_the_dummy_data():
    rows = np.load(DUMMY_DATA / "breast_cancer.npy")
    np.testing.assert_array_equal(decode((GOLDEN / "breast_cancer.libsvm").read_bytes(), LIBSVM, 30), rows)


def test_the_table_is_as_wide_as_the_model_takes():
    assert decode(b"1 2:5\n0\n", LIBSVM, n_features=4).tolist() == [[0, 5, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"1 1:1\n1 0:1", "Line 2 .* out of range"),
        (b"1 4:1", "Line 1 .*the model takes 1 to 3"),
        (b"1 -1:1", "no pair"),
        (b"1 1:", "no number"),
        (b"1 1", "no pair"),
        (b"1 1:1:1", "no number"),
        (b"x 1:1", "'x' is no number"),
        (b"1 1:1_0", "no number"),
        (b"1_0 1:1", "no number"),
        ("1 \u0b67\u00b2:1".encode(), "no pair"),
        (b"1 1:1 qid:2", "no pair"),
        (b"\n# nothing\n", "empty"),
        (b"\xff 1:1", "UTF-8"),
    ],
)
def test_what_is_no_libsvm_is_refused_with_its_line(body, words):
    with pytest.raises(BadRequestError, match=words):
        decode(body, LIBSVM, n_features=3)


@pytest.mark.parametrize("body", [b"1\n0", b"#"])
def test_a_table_of_labels_is_empty(body):
    with pytest.raises(BadRequestError, match="empty"):
        decode(body, LIBSVM)


@pytest.mark.parametrize(
    "body",
    [b"1 1152921504606846976:1", b"1 999999999999999999:1", b"1 " + b"9" * 5000 + b":1", b"1 9000000:1"],
)
def test_an_index_that_would_take_all_memory_is_refused(body):
    tracemalloc.start()
    with pytest.raises(BadRequestError, match=r"would become|no pair"):
        decode(body, LIBSVM)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
