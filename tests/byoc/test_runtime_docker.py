"""What the docker command is started with, by a stand-in for it; tests/docker has a real engine."""

import json
import sys

import pytest

from byoc.runtime.container import DockerImage, Landlord, Place, Spec, start

DOCKER = f"""#!{sys.executable} -S
import json, os, sys
if sys.argv[1] == "run":
    print(json.dumps([sys.argv[1:], dict(os.environ)]), flush=True)
elif sys.argv[1] == "network":
    print(json.dumps([{{"Subnet": "172.17.0.0/16", "Gateway": "127.0.0.1"}}]))
"""


@pytest.fixture
def run_with(tmp_path, monkeypatch):
    """Run an image with these variables; return the words and the environment of `docker run`."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent))
    monkeypatch.delenv("DOCKER_HOST", raising=False)

    def run_with(variables):
        spec = Spec("train", DockerImage("image"), "train", Place(tmp_path / "place"), environment=variables)
        landlord = Landlord(
            0, lambda listener: listener.close(), lambda _: {"AWS_SECRET_ACCESS_KEY": "s3cret"}
        )
        (said,) = start(spec, landlord).process.finish()
        words, environment = json.loads(said)
        return " ".join(words), environment

    return run_with


def test_no_secret_is_on_the_command_line(run_with):
    words, environment = run_with({"TOKEN": "t0ken"})
    assert "--env AWS_SECRET_ACCESS_KEY --env TOKEN" in words
    assert (environment["AWS_SECRET_ACCESS_KEY"], environment["TOKEN"]) == ("s3cret", "t0ken")


@pytest.mark.parametrize(
    "name", ["DOCKER_HOST", "HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "GODEBUG", "HTTPS_PROXY", "https_proxy"]
)
def test_a_variable_of_the_request_is_the_containers_and_not_the_docker_commands(run_with, name):
    words, environment = run_with({name: "/of/the/image"})
    assert f"--env {name}=/of/the/image" in words
    assert environment.get(name) != "/of/the/image"
