"""records: every record has its line in the answer, and a bad one costs few calls."""

import json
import math

import pytest

from byoc_serving.calls import Response
from byoc_serving.errors import BadRequestError, InsufficientMemoryError
from byoc_serving.formats.codecs import decode, encode
from byoc_serving.formats.negotiation import media_type
from byoc_serving.records import NotByRecordError, by_record, records_of, with_stated_header


def doubled(accept, calls=None):
    """Return an answer that doubles a first column of positive numbers, and fails on any other."""

    def answer(body, content_type):
        if calls is not None:
            calls.append(body)
        data = decode(body, content_type)
        numbers = data["a"].to_numpy() if hasattr(data, "columns") else data[:, 0].astype(float)
        if not (numbers > 0).all():
            raise BadRequestError("Not all are positive.")
        return Response(200, encode(numbers * 2, accept), accept)

    return answer


def answered(body, content_type, accept, placeholder="ERROR"):
    records = records_of(body, media_type(content_type))
    return by_record(records, accept, placeholder, doubled(accept)).body.decode()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"1\n-2\n3\n"),
        ("text/csv", b"1\r\nx\r\n3"),
        ("text/csv", b'1\n"\n3\n'),
        ("text/csv", b"1\n\n3\n"),
        ("text/csv", b"1\n\xff\n3\n"),
        ("text/csv; header=present", b"a,b\n1,2\noops\n3,4\n"),
        ("text/csv; header=present", b"a\n1\n\xff\n3\n"),
        ("text/csv; charset=latin-1", b"1\n\xff\n3\n"),
        ("application/jsonlines", b"[1]\n[2\n[3]\n"),
        ("application/x-ndjson", b"[1]\n\nnull\n[3]\n"),
        ("application/jsonl", b'{"a": 1}\n{"b": 2}\n{"a": 3}\n'),
    ],
)
def test_a_bad_record_gets_the_placeholder_and_the_others_their_predictions(content_type, body):
    assert answered(body, content_type, "text/csv") == "2.0\nERROR\n6.0\n"


@pytest.mark.parametrize(
    ("accept", "placeholder", "answer"),
    [
        ("text/csv", "-1,", "2.0\n-1,\n"),
        ("application/jsonlines", "null", "2.0\nnull\n"),
        ("application/jsonlines", "ERROR", '2.0\n"ERROR"\n'),
        ("application/json", '{"error": true}', '[2.0,{"error": true}]'),
    ],
)
def test_the_placeholder_has_the_form_of_the_answer(accept, placeholder, answer):
    assert answered(b"1\n-1\n", "text/csv", accept, placeholder) == answer


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_one_bad_record_is_found_by_halving(count):
    for bad in {0, count // 2, count - 1}:
        lines = [b"1"] * count
        lines[bad] = b"-1"
        calls = []
        records = records_of(b"\n".join(lines), media_type("text/csv"))
        answer = by_record(records, "application/json", "null", doubled("application/json", calls))
        assert json.loads(answer.body) == [None if at == bad else 2.0 for at in range(count)]
        assert records.bad == [bad + 1]
        assert len(calls) <= 2 * math.ceil(math.log2(count) + 1)


def test_what_is_not_answered_record_by_record_gets_no_placeholder():
    records = records_of(b"1\n-1\n", media_type("text/csv"))
    with pytest.raises(NotByRecordError):
        by_record(records, "application/x-npy", "ERROR", doubled("application/x-npy"))
    with pytest.raises(NotByRecordError, match="1 records were answered by 2"):
        by_record(records, "text/csv", "ERROR", lambda *_: Response(200, b"1\n2\n", "text/csv"))


def test_memory_that_is_short_just_now_makes_no_record_a_bad_one():
    def answer(_body, _content_type):
        raise InsufficientMemoryError("There is no memory.")

    with pytest.raises(InsufficientMemoryError):
        by_record(records_of(b"1\n2\n", media_type("text/csv")), "text/csv", "ERROR", answer)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"[1]\n"),
        ("text/csv; charset=utf-16", b"[1]\n"),
        ("text/csv; charset=?", b"[1]\n"),
        ("text/csv; header=?", b"[1]\n"),
        ("text/csv", b"\r\n\n"),
        ("application/jsonlines", b"\n"),
    ],
)
def test_a_body_without_lines_has_no_records(content_type, body):
    assert records_of(body, media_type(content_type)) is None


@pytest.mark.parametrize(
    ("content_type", "body", "header"),
    [
        ("text/csv", b"a,b\n1,2\n", "present"),
        ("text/csv", b'\xef\xbb\xbf"b",a\r\n1,2\n', "present"),
        ("text/csv; charset=utf-16", "a,b\n1,2\n".encode("utf-16"), "present"),
        ("text/csv", b"x,y\n1,2\n", "absent"),
        ("text/csv", b"no number\n1,2\n", "absent"),
        ("text/csv", b"\xff\n1,2\n", "absent"),
        ("text/csv; charset=?", b"a,b\n1,2\n", "absent"),
        ("text/csv; header=present", b"1,2\n1,2\n", "present"),
        ("application/jsonlines", b"a,b\n", None),
    ],
)
def test_a_first_line_is_a_header_where_the_type_says_so_or_it_has_the_schemas_names(
    content_type, body, header
):
    assert with_stated_header(body, media_type(content_type), ["a", "b"]).parameters.get("header") == header
