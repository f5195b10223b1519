"""A container is dialled at its own address where that is here, by what a stand-in for the engine says."""

import os
import subprocess

import pytest

from byoc.runtime import docker_door
from byoc.runtime.docker_door import Door

ID = "0123456789ab" + "c" * 52


@pytest.fixture(autouse=True)
def dialled(monkeypatch):
    """What would be connected to is returned instead."""
    monkeypatch.setattr(docker_door, "dial_port", lambda port, host="127.0.0.1": lambda: (host, port))


class Asked:
    """An engine whose container has that first process, that address and that published port."""

    def __init__(self, pid=0, addresses="172.17.0.2 ", port="127.0.0.1:32768"):
        self.pid, self.addresses, self.port = pid, addresses, port
        self.questions = []

    def __call__(self, *words):
        self.questions.append(words)
        if words[0] == "port":
            return self.port
        return f"{self.pid} {ID}" if "Pid" in words[2] else self.addresses.strip()


@pytest.fixture
def process():
    """A process as a container's first one is: known by the name of its host."""
    with subprocess.Popen(["sleep", "60"], env={"HOSTNAME": ID[:12]}) as process:
        yield process
        process.kill()


def test_a_container_of_this_machine_is_dialled_at_its_own_address(process):
    door = Door("name", Asked(process.pid))
    assert door.is_direct()
    assert door.dial() == ("172.17.0.2", 8080)


def test_nobody_is_dialled_once_its_first_process_has_ended(process):
    door = Door("name", Asked(process.pid))
    door.dial()
    process.kill()
    process.wait()
    with pytest.raises(ConnectionRefusedError, match="not running"):
        door.dial()


def test_where_the_engine_is_in_a_network_of_its_own_the_published_port_is_dialled(process, monkeypatch):
    monkeypatch.setattr(docker_door, "network_of", {os.getpid(): 1, os.getppid(): 1}.get)
    monkeypatch.setattr(docker_door, "parent_of", lambda _pid: -1)
    door = Door("name", Asked(process.pid))
    assert not door.is_direct()
    assert door.dial() == ("127.0.0.1", 32768)


def test_a_process_that_is_not_here_yet_is_looked_for_again_and_not_for_ever(process):
    asked = Asked()
    door = Door("name", asked)
    assert door.dial() == ("127.0.0.1", 32768)
    asked.pid = process.pid
    assert door.dial() == ("172.17.0.2", 8080)
    never = Asked()
    door = Door("name", never)
    for _ in range(docker_door._LOOKS + 5):
        door.dial()
    assert sum("Pid" in " ".join(words) for words in never.questions) == docker_door._LOOKS


def test_a_container_that_has_not_started_is_not_reached():
    door = Door("name", Asked(port=None, addresses=""))
    assert not door.is_direct()
    with pytest.raises(ConnectionRefusedError, match="not running"):
        door.dial()
    with pytest.raises(ConnectionRefusedError, match="has no address"):
        door.reach(80)


def test_any_port_is_reached_at_the_first_address():
    assert Door("name", Asked(addresses="172.17.0.2 10.0.0.2 ")).reach(81) == ("172.17.0.2", 81)
