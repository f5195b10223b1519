"""What keeps a container ends it, even when the program that started it was killed."""

import sys
from pathlib import Path

import pytest

from byoc.runtime import docker
from byoc.runtime.program import Place, run
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


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_CHILD_SUBREAPER")
def test_a_container_of_a_program_that_was_killed_is_ended_and_removed_before_all_is_over(tmp_path):
    engine = tmp_path / "docker"
    engine.write_text(DOCKER.format(folder=tmp_path))
    engine.chmod(0o755)
    keeper = [str(KEEPER), "5", "1", "a-container", str(engine), "run"]
    command = [sys.executable, "-c", STARTS_A_CONTAINER, *keeper]
    with run(command, Place(tmp_path / "place"), {}, tmp_path) as program:
        assert eventually((tmp_path / "client").exists)
        program.kill()
        assert (tmp_path / "removed").exists()
    assert not processes_with(str(tmp_path))
