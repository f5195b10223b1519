"""The question: asked on a terminal, refused anywhere else, not asked with --yes."""

import io

import pytest

from byoc.deploy.consent import consent
from byoc.deploy.errors import DeployError


class Terminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self):
        return True


def test_without_a_question_and_with_yes_nobody_is_asked():
    consent("", yes=False)
    consent("Update it?", yes=True)


@pytest.mark.bad_input
def test_where_nobody_can_answer_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(DeployError, match=r"Update it\? Nobody can answer here: give --yes"):
        consent("Update it?", yes=False)


@pytest.mark.parametrize(("typed", "goes_on"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_only_a_yes_goes_on(monkeypatch, typed, goes_on):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    if goes_on:
        consent("Update it?", yes=False)
    else:
        with pytest.raises(DeployError, match="Nothing was changed"):
            consent("Update it?", yes=False)
