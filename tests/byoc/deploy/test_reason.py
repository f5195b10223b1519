"""A reason: its first sentence, and what follows."""

import pytest

from byoc.deploy.reason import parted


@pytest.mark.parametrize(
    ("reason", "first", "rest"),
    [
        ("No ping. Look at 1.5 logs.", "No ping.", "Look at 1.5 logs."),
        ("rule.json is missing", "rule.json is missing.", ""),
        ("first line\n  second line", "first line.", "second line"),
        ("", "", ""),
        ("x" * 301, "x" * 300 + "...", "x" * 301),
    ],
)
def test_a_reason_falls_into_its_first_sentence_and_the_rest(reason, first, rest):
    assert parted(reason) == (first, rest)
