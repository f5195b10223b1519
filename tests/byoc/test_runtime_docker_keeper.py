"""What keeps a container ends it, even when the program that started it was killed."""

import os
import sys
from pathlib import Path

import pytest

from byoc.runtime import docker
from byoc.runtime.process import Command, Process
from processes import eventually, processes_with

KEEPER = Path(docker.__file__).with_name("docker_keeper.py")
# The engine. `run` is the client, which ends when the container does; `stop` takes its time.
DOCKER = """#!/bin/sh
cd {folder}
case $1 in
run) echo $$ > client.new; mv client.new client; exec sleep 600 ;;
stop) sleep 0.3; kill "$(cat client)" ;;
rm) touch removed ;;
esac
"""
STARTS_A_CONTAINER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-I", "-S", *sys.argv[1:]], stdin=subprocess.PIPE, start_new_session=True)
subprocess.Popen(["sleep", "600"])
time.sleep(600)
"""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_CHILD_SUBREAPER")


@pytest.fixture
def command(tmp_path):
    """What starts a keeper of a container, of an engine that leaves marks in `tmp_path`."""
    engine = tmp_path / "docker"
    engine.write_text(DOCKER.format(folder=tmp_path))
    engine.chmod(0o755)
    keeper = [str(KEEPER), "5", "1", "a-container", str(engine), "run"]
    return [sys.executable, "-c", STARTS_A_CONTAINER, *keeper]


def start(command, folder, *, foreign):
    environment = {"PATH": os.environ["PATH"], "BYOC_KEEPERS": "made up"}
    return Process(Command("p", command, environment, folder, folder / "log", 5.0, foreign=foreign))


def test_a_container_of_a_program_that_was_killed_is_ended_and_removed_before_all_is_over(command, tmp_path):
    with start(command, tmp_path, foreign=False) as program:
        assert eventually((tmp_path / "client").exists)
        program.kill()
        assert (tmp_path / "removed").exists()
    assert not processes_with(str(tmp_path))


def test_a_users_program_cannot_outlive_its_end_as_a_keeper_of_a_container(command, tmp_path):
    with start(command, tmp_path, foreign=True) as program:
        assert eventually((tmp_path / "client").exists)
        program.kill()
        assert not (tmp_path / "removed").exists()
    assert not processes_with(str(tmp_path))
