"""Asks before something that answers already is changed."""

import sys

import click

from byoc.deploy.errors import DeployError


def consent(question: str, *, yes: bool) -> None:
    """Return if there is no question, or the answer is yes.

    Raises:
        DeployError: it is no, or nobody can answer.
    """
    if not question or yes:
        return
    if not sys.stdin.isatty():
        raise DeployError(f"{question} Nobody can answer here: give --yes, or ask on a terminal.")
    if not click.confirm(question):
        raise DeployError("Nothing was changed.")
