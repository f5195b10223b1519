"""A pull of an image, by a stand-in for the docker command, ends when it is told to, and says what failed."""

import os
import threading

import pytest

from byoc.runtime.docker_pull import Pulls
from processes import eventually, processes_with

DOCKER = """#!/bin/sh
case $4 in
missing) echo "manifest unknown" >&2; exit 1 ;;
slow) touch {folder}/pulling; exec sleep 600 ;;
esac
"""


@pytest.fixture
def environment(tmp_path):
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(folder=tmp_path))
    docker.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_an_image_that_cannot_be_pulled_is_told_in_the_log(environment, caplog):
    assert Pulls().pull("there", environment)
    assert not Pulls().pull("missing", environment)
    assert caplog.messages == ["image missing: docker pull ended with status 1: manifest unknown"]


def test_a_pull_under_way_ends_at_once_and_none_begins_after_it(environment, tmp_path):
    pulls, pulled = Pulls(), []
    pulling = threading.Thread(target=lambda: pulled.append(pulls.pull("slow", environment)))
    pulling.start()
    assert eventually((tmp_path / "pulling").exists)
    pulls.end()
    pulling.join(2)
    assert pulled == [False]
    assert not processes_with(str(tmp_path))
    assert not pulls.pull("there", environment)
