"""Sizes that no program of the tests has."""

import os
from types import SimpleNamespace

import pytest

from byoc.check.facts import Facts
from byoc.check.rules import image, serverless
from byoc.check.verdict import CannotTestError, Outcome
from byoc.runtime.procfs import family

MB = 1024 * 1024


def lab_with(**given):
    return SimpleNamespace(question=SimpleNamespace(sample=None), **given)


@pytest.mark.parametrize(
    ("megabytes", "outcome", "word"),
    [
        (900, Outcome.PASS, "MemorySizeInMB=1024"),
        (1025, Outcome.PASS, "MemorySizeInMB=2048"),
        (3500, Outcome.WARN, "MemorySizeInMB=4096"),
        (7000, Outcome.FAIL, "more than the 6,144 MB"),
    ],
)
def test_memory_is_measured_against_what_there_is(monkeypatch, megabytes, outcome, word):
    monkeypatch.setattr(serverless, "memory_bytes", lambda _pids: megabytes * MB)
    server = SimpleNamespace(processes=lambda: family(os.getpid()))
    verdict = serverless.serverless_memory(lab_with(server=lambda: server))
    assert (verdict.outcome, word in verdict.seen) == (outcome, True)


def test_an_image_may_have_10_gb():
    for size, outcome in ((10 * 10**9, Outcome.PASS), (10 * 10**9 + 1, Outcome.FAIL)):
        lab = lab_with(facts=Facts(None, None, size_bytes=size))
        assert serverless.serverless_image(lab).outcome is outcome
        assert (image.image_size(lab).outcome is Outcome.PASS) == (outcome is Outcome.PASS)


def test_a_folder_has_no_size():
    with pytest.raises(CannotTestError, match="Docker"):
        serverless.serverless_image(lab_with(facts=Facts(None, None)))


@pytest.mark.parametrize(("ready_s", "outcome"), [(3.0, Outcome.PASS), (181.0, Outcome.FAIL)])
def test_a_serverless_endpoint_waits_three_minutes(ready_s, outcome):
    server = SimpleNamespace(ready_s=ready_s)
    assert serverless.serverless_start(lab_with(server=lambda: server)).outcome is outcome
