"""Bodies of an exact size."""

import json

import pytest

from byoc.check.bodies import garbage, padded, sized
from byoc.check.question import Sample

_SIZES = [1, 10, 999, 6_291_456]


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize(
    "sample",
    [
        Sample(b"1,2\n3,4\n", "text/csv"),
        Sample(b"1,2", "text/csv; charset=utf-8"),
        Sample(b'{"a": 1}\n', "application/jsonlines"),
        Sample(b"[1]", "application/json"),
        Sample(b"\x93NUMPY", "application/x-npy"),
        Sample(b"", "text/csv"),
        Sample(b"", "application/octet-stream"),
    ],
    ids=["csv", "one-line", "lines", "json", "binary", "empty", "empty-binary"],
)
def test_a_body_has_exactly_the_size_asked_for(sample, size):
    assert len(sized(sample, size)) == size


def test_lines_are_repeated_whole_and_empty_ones_make_up_the_rest():
    assert sized(Sample(b"1,2\n3,4", "text/csv"), 19) == b"1,2\n3,4\n1,2\n3,4\n\n\n\n"


def test_there_are_no_more_records_than_a_program_reads_in_a_moment():
    body = sized(Sample(b"1\n2\n", "Text/CSV"), 1_000_000)
    assert len(body.split()) == 50_000


def test_json_stays_the_same_json():
    assert json.loads(sized(Sample(b'{"a": [1]}', "application/json; charset=utf-8"), 500)) == {"a": [1]}


def test_other_bytes_are_repeated():
    assert sized(Sample(b"abc", "image/x"), 7) == b"abcabca"


def test_padding_has_the_sample_once_where_a_type_has_padding():
    assert padded(Sample(b"1\n", "text/csv"), 4) == b"1\n\n\n"
    assert padded(Sample(b"1", "application/json"), 4) == b"1   "
    assert padded(Sample(b"1", "image/x"), 4) is None


def test_garbage_is_no_text_and_always_the_same():
    with pytest.raises(UnicodeDecodeError):
        garbage().decode()
    assert garbage() == garbage()
