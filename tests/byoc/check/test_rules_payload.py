"""A large body that is not read is told by what about it is too much: its size, its records, its blanks."""

import pytest

from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.question import Sample
from byoc.check.rules import payload
from byoc.check.verdict import CannotTestError, Outcome

SIZE = 50_000
CSV = Sample(b"1,2\n", "text/csv")
JSON = Sample(b'{"x": 1}', "application/json")


class Stand:
    """A lab whose server answers each body as a function says: a status, or 0 for none."""

    def __init__(self, sample, status_of):
        self.sample = sample
        self.status_of = status_of

    def good_answer(self):
        pass

    def progress(self, _text):
        pass

    def server(self):
        return self

    def ask(self, _method, _path, body, _headers, _timeout_s):
        if status := self.status_of(body):
            return Answer(status, {}, b"", 0.1)
        raise BrokenCallError("the connection was closed")


def judged(sample, status_of, monkeypatch):
    monkeypatch.setattr("byoc.check.bodies._MOST_RECORDS", 1000)
    return payload._large_body(Stand(sample, status_of), SIZE)


def is_blank(body):
    return body.endswith((b"  ", b"\n\n"))


@pytest.mark.parametrize("sample", [CSV, JSON])
@pytest.mark.parametrize("status", [413, 500, 0])
def test_the_size_is_at_fault_where_a_small_body_with_blanks_is_answered(sample, status, monkeypatch):
    found = judged(sample, lambda body: status if len(body) > 10_000 else 200, monkeypatch)
    assert (found.outcome, found.mend) == (Outcome.FAIL, "")
    assert found.seen.startswith("A body of 50,000 bytes: ")


@pytest.mark.parametrize("status", [500, 0])
def test_the_number_of_records_is_at_fault_where_one_of_that_size_with_one_is_read(status, monkeypatch):
    found = judged(CSV, lambda body: status if body.count(b"1,2") > 10 else 200, monkeypatch)
    assert found.outcome is Outcome.WARN
    assert found.mend.startswith("Call with fewer records")


def test_empty_lines_are_no_fault_of_the_size(monkeypatch):
    found = judged(CSV, lambda body: 500 if is_blank(body) else 200, monkeypatch)
    assert found.outcome is Outcome.PASS
    assert "50,000 bytes, lines alone, is answered 200" in found.seen
    found = judged(CSV, lambda body: 500 if is_blank(body) or len(body) > 10_000 else 200, monkeypatch)
    assert found.outcome is Outcome.FAIL


@pytest.mark.parametrize("status", [500, 400])
def test_what_breaks_on_a_few_blanks_after_json_is_not_told_to_raise_a_limit(status, monkeypatch):
    with pytest.raises(CannotTestError, match="with 4,096 blanks, which JSON allows"):
        judged(
            JSON, lambda body: (500 if len(body) > 10_000 else status) if is_blank(body) else 200, monkeypatch
        )
