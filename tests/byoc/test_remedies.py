"""The remedies: both columns say something for everything, and only what is filled in."""

import dataclasses
import string

import pytest

from byoc import remedies

MEANT = {"bucket", "image", "name", "options", "region", "repository", "trust"}


@pytest.mark.parametrize("column", [remedies.AWS, remedies.local(4577)], ids=["AWS", "local"])
def test_every_remedy_is_a_sentence_with_names_that_are_meant(column):
    for text in dataclasses.asdict(column).values():
        assert text
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= MEANT


def test_on_a_local_sagemaker_nobody_is_sent_to_aws():
    for text in dataclasses.asdict(remedies.local(None)).values():
        assert not {"build_and_push", "sso", "aws configure"} & set(text.split())


def test_a_port_of_ones_own_is_named():
    assert remedies.local(4577).unreachable.endswith('byoc local up && eval "$(byoc local env)"')
    own = remedies.local(8000)
    assert own.unreachable.endswith('byoc local up --port 8000 && eval "$(byoc local env --port 8000)"')
    assert own.image.endswith("add {repository}=DIR --port 8000")
