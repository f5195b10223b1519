"""An error that is told in words is known, and predictions are not taken for one."""

import pytest

from byoc.check.complaint import is_complaint


@pytest.mark.parametrize(
    ("body", "good", "expected"),
    [
        (b'{"error": "unknown type"}', b'{"predictions": [1]}', True),
        (b'{"Error": {"code": 3}}', b"[1, 2]", True),
        (b'[{"error": "row 1"}]', b'[{"label": "a"}]', True),
        (b"Error: cannot read the body", b"0.5\n", True),
        (b"ValueError: could not convert\n", b"0.5\n", True),
        (b'{"error": null, "predictions": [1]}', b'{"predictions": [1]}', False),
        (b'{"error": 0.2, "mean": 3}', b'{"error": 0.1, "mean": 2}', False),  # of a measurement
        (b'{"predictions": ["error"]}', b'{"predictions": ["ok"]}', False),
        (b"error\n", b"ok\n", False),  # a class
        (b"a type error it is\n", b"error: yes\n", False),
        (b"1.0\n2.0\n", b"1.0\n", False),
        (b"\x89PNG\xff", b"\x89PNG\xfe", False),
        (b"", b"1\n", False),
    ],
)
def test_an_error_in_words_is_told_from_a_prediction(body, good, expected):
    assert is_complaint(body, good) is expected
