"""What a report counts agrees with its number."""

import pytest

from byoc.check.number import counted, were


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 processes were"), (1, "1 process was"), (2000, "2,000 processes were")]
)
def test_a_noun_and_its_verb_agree_with_their_number(number, said):
    assert f"{counted(number, 'process', 'processes')} {were(number)}" == said
