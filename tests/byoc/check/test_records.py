"""Records of requests and results of answers."""

import pytest

from byoc.check.question import Sample
from byoc.check.records import are_lines, repeated, results_in


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (b"1\n2\n", {2}),
        (b"1\n\n2", {2}),
        (b"", {0}),
        (b"[1, 2, 3]", {1, 3}),
        (b'{"predictions": [1, 2, 3], "model": "m"}', {1, 3}),
        (b"[0.1, 0.9]\n[0.2, 0.8]\n", {2}),
        (b"7", {1}),
    ],
)
def test_results_are_lines_or_the_elements_of_a_list(answer, counts):
    assert results_in(answer) == counts


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/csv; charset=utf-8", b"1", True),
        ("application/jsonlines", b"{}", True),
        ("application/json", b"{}", False),
        ("text/csv", b"\n", False),
    ],
)
def test_some_types_are_split_by_lines(content_type, body, expected):
    assert are_lines(Sample(body, content_type)) == expected


def test_copies_stand_on_lines_of_their_own():
    assert repeated(Sample(b"1\r\n2\r\n", "text/csv"), 2).body == b"1\r\n2\n1\r\n2\n"
    assert repeated(Sample(b"1", "text/csv"), 0).body == b"1\n"
