"""Calls at the same time are compared with what each is answered alone."""

import pytest

from byoc.check.exchange import Answer
from byoc.check.question import Sample
from byoc.check.records import pieces_of
from byoc.check.rules.crowds import Alone, judged
from byoc.check.verdict import Outcome


def answer(status=200, body=b"1\n"):
    return Answer(status, {}, body, 0.01)


ONE = Alone(Sample(b"1\n", "text/csv"), answer(), repeats=True)
TWO = Alone(Sample(b"2\n", "text/csv"), answer(body=b"2\n"), repeats=True)


def test_calls_at_once_pass_where_each_is_answered_as_it_is_alone():
    verdict = judged([(ONE, answer()), (TWO, answer(body=b"2\n"))] * 9, [])
    assert verdict.outcome is Outcome.PASS
    assert verdict.seen == "18 calls of 2 kinds were all answered as they are alone."


@pytest.mark.parametrize(
    ("answered", "broken", "seen"),
    [
        ([(ONE, answer())], ["POST /invocations: closed"], "1 of 2 calls was not answered"),
        ([(ONE, answer()), (ONE, answer(503))], [], "1 200, 1 503"),
        ([(ONE, answer()), (TWO, answer())], [], "1 of 2 calls was answered otherwise than a call alone"),
    ],
    ids=["broken", "refused", "somebody else's"],
)
def test_calls_at_once_fail_where_one_is_lost_refused_or_wrong(answered, broken, seen):
    verdict = judged(answered, broken)
    assert verdict.outcome is Outcome.FAIL
    assert seen in verdict.seen


def test_a_model_that_never_says_the_same_is_not_taken_for_one_that_mixes_up():
    never = Alone(ONE.request, ONE.answer, repeats=False)
    verdict = judged([(never, answer(body=b"3\n"))], [])
    assert verdict.outcome is Outcome.PASS
    assert "differ from call to call anyway" in verdict.seen


@pytest.mark.parametrize(
    ("body", "content_type", "pieces"),
    [
        (b"1,2\n3,4\n1,2\n", "text/csv", [b"1,2\n", b"3,4\n"]),
        (b"[[1], [2]]", "application/json", [b"[[1]]", b"[[2]]"]),
        (
            b'{"instances": [{"a": 1}, {"a": 2}]}',
            "application/json",
            [b'{"instances": [{"a": 1}]}', b'{"instances": [{"a": 2}]}'],
        ),
        (b"[1, 2]", "application/json", []),
        (b"[", "application/json", []),
        (b"\x93NUMPY", "application/x-npy", []),
    ],
)
def test_a_request_of_several_records_is_taken_apart(body, content_type, pieces):
    assert [piece.body for piece in pieces_of(Sample(body, content_type), 4)] == pieces
