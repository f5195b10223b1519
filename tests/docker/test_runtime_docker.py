"""A container program runs in a real engine, and ends with whoever started it."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from byoc.errors import ProgramError
from byoc.runtime import docker, opt_ml
from byoc.runtime.container import Container, DockerImage, Landlord, Place, Spec, start
from byoc.runtime.docker import find_image, pull_image, why_no_engine
from byoc.runtime.readiness import ping, wait_until_ready
from docker_engine import BASE_IMAGE, Engine
from processes import eventually

pytestmark = pytest.mark.docker

REPO = Path(__file__).parents[2]
SECRET = "a secret that no command line has"
# The stand-in base image has Perl, and no Python.
DOCKERFILE = f"""
ARG BASE_IMAGE={BASE_IMAGE}
FROM ${{BASE_IMAGE}}
LABEL colour=blue
ENV OF_IMAGE=yes
COPY serve train /opt/program/
RUN chmod 755 /opt/program/*
ENV PATH=/opt/program:$PATH
WORKDIR /opt/program
ENTRYPOINT ["/usr/bin/env"]
"""
# Answers what an expression is worth where it runs.
SERVE = r"""#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { print "finishing\n"; exit 7 };
$| = 1;
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die $!;
while (1) {
    my $caller = $listener->accept() or next;
    my $length = 0;
    while (my $line = <$caller>) {
        $length = $1 if $line =~ /^content-length: (\d+)/i;
        last if $line =~ /^\r?\n$/;
    }
    read $caller, my $asked, $length;
    my $answer = $length ? eval $asked : "ready";
    $answer = $@ || $! unless defined $answer;
    print $caller "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n$answer";
    close $caller;
}
"""
TRAIN = """#!/bin/sh
echo "$@"
cat /opt/ml/input/config/hyperparameters.json > /opt/ml/model/copy.json
ls /sys/class/net
echo "$AWS_ENDPOINT_URL"
"""


@dataclass
class Aws:
    """A landlord who answers "aws" on whatever it is asked to listen to."""

    listeners: list[socket.socket]

    def listen(self, listener: socket.socket) -> None:
        self.listeners.append(listener)
        threading.Thread(target=self.answer, args=[listener], daemon=True).start()

    def answer(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                with caller:
                    caller.sendall(b"aws")


@pytest.fixture(scope="module", autouse=True)
def reached(engine: Engine) -> Iterator[None]:
    """The engine is the one that this process's docker command reaches."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in engine.environ.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory) -> DockerImage:
    context = tmp_path_factory.mktemp("context")
    for name, text in {"Dockerfile": DOCKERFILE, "serve": SERVE, "train": TRAIN}.items():
        (context / name).write_text(text)
    found = find_image(engine.built(context, "runtime"))
    assert found
    return found


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    aws = Aws([])
    aws.listen(socket.create_server(("127.0.0.1", 0)))
    yield aws
    for listener in aws.listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        listener.close()


@pytest.fixture(scope="module")
def landlord(aws) -> Landlord:
    port = aws.listeners[0].getsockname()[1]
    return Landlord(port, aws.listen, lambda url: {"AWS_ENDPOINT_URL": url, "AWS_SECRET_ACCESS_KEY": SECRET})


def serving(root: Path, image: DockerImage) -> Spec:
    (root / "given").mkdir(parents=True)
    (root / "given" / "model.txt").write_text("tree")
    place = Place(root / "instance")
    opt_ml.lay_out_serving(place.opt_ml, root / "given")
    return Spec("serve", image, "serve", place, read_only_model=True)


def training(root: Path, image: DockerImage) -> Spec:
    place = Place(root / "job")
    opt_ml.lay_out_training(place.opt_ml, {"a": "b"})
    return Spec("train", image, "train", place)


def asked(container: Container, expression: str) -> str:
    connection = HTTPConnection("127.0.0.1", timeout=10)
    connection.sock = container.dial()
    try:
        connection.request("POST", "/invocations", expression)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def containers(engine: Engine, image: DockerImage) -> list[str]:
    words = ["ps", "--all", "--quiet", "--filter", f"ancestor={image.reference}"]
    return engine.docker(*words).stdout.split()


@pytest.fixture(scope="module")
def served(image, landlord, tmp_path_factory) -> Iterator[Container]:
    spec = serving(tmp_path_factory.mktemp("served"), image)
    container = start(replace(spec, environment={"GIVEN": "yes", "HOME": "/elsewhere"}), landlord)
    try:
        wait_until_ready(container.process, container.dial, 60)
        yield container
    finally:
        container.process.kill()


def test_an_image_is_known_by_its_labels(image):
    assert why_no_engine() == ""
    assert image.labels["colour"] == "blue"
    assert find_image("byoc-test-of-nobody") is None
    assert pull_image("localhost:1/of-nobody") is None


def test_without_a_docker_command_nothing_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why_no_engine() == "docker cannot be run: No such file or directory"
    assert find_image(BASE_IMAGE) is None


def test_a_served_program_has_its_model_read_only(served):
    assert served.mode == "docker"
    assert asked(served, "open(my $f, '<', '/opt/ml/model/model.txt'); <$f>") == "tree"
    written = asked(served, "open(my $f, '>', '/opt/ml/model/new') ? 'written' : undef")
    assert written == "Read-only file system"


def test_variables_arrive_and_no_command_line_shows_a_secret(served):
    names = "GIVEN HOME OF_IMAGE AWS_SECRET_ACCESS_KEY"
    assert asked(served, f"join ',', map {{ $ENV{{$_}} }} qw({names})") == f"yes,/elsewhere,yes,{SECRET}"
    seen = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = entry.read_bytes()
            seen += b"AWS_SECRET_ACCESS_KEY" in line
            assert SECRET.encode() not in line
    assert seen


def test_nothing_of_this_process_s_environment_is_passed_on(served):
    assert asked(served, "join ',', sort grep { /^(AWS|DOCKER)/ } keys %ENV") == (
        "AWS_ENDPOINT_URL,AWS_SECRET_ACCESS_KEY"
    )


def test_a_program_reaches_its_aws_at_the_url_that_it_has(served, aws):
    call = "$ENV{AWS_ENDPOINT_URL} =~ m{//(.+)}; IO::Socket::INET->new(PeerAddr => $1)->getline"
    assert asked(served, call) == "aws"


def test_two_programs_fixed_to_one_port_run_side_by_side(served, image, landlord, aws, tmp_path):
    listeners = len(aws.listeners)
    spec = replace(serving(tmp_path, image), environment={"GIVEN": "other"})
    other = start(spec, landlord)
    try:
        wait_until_ready(other.process, other.dial, 60)
        assert [asked(one, "$ENV{GIVEN}") for one in (served, other)] == ["yes", "other"]
        assert len(aws.listeners) == listeners, "it listens on the bridge once"
    finally:
        status = other.process.stop()
    assert status == 7
    assert other.process.last_lines() == ["finishing"]
    assert ping(other.dial)[0] == 0


def test_a_container_that_has_ended_is_removed(engine, image, landlord, tmp_path):
    before = containers(engine, image)
    assert start(training(tmp_path, image), landlord).process.wait(60) == 0
    assert containers(engine, image) == before


def test_train_reads_and_writes_its_opt_ml(image, landlord, tmp_path):
    spec = training(tmp_path, image)
    said, *_, interface, url = start(spec, landlord).process.finish()
    assert json.loads((spec.place.opt_ml / "model" / "copy.json").read_text()) == {"a": "b"}
    assert (said, interface) == ("", "lo")
    assert url.endswith(f":{landlord.port}")


def test_an_isolated_training_has_no_network_and_no_aws(image, landlord, tmp_path):
    container = start(replace(training(tmp_path, image), isolated=True), landlord)
    assert container.process.finish() == ["", "lo", ""]
    assert container.note == ""


def test_an_isolated_server_has_no_aws_and_says_what_is_missing(image, landlord, tmp_path):
    container = start(replace(serving(tmp_path, image), isolated=True), landlord)
    try:
        wait_until_ready(container.process, container.dial, 60)
        assert asked(container, "join ',', grep { /^AWS/ } keys %ENV") == ""
        assert "not isolated" in container.note
    finally:
        container.process.kill()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"entrypoint": ["/bin/echo", "own"]}, "own"),
        ({"entrypoint": ["/bin/echo", "own"], "arguments": ["a"]}, "own a"),
        ({"arguments": ["echo", "a"]}, "a"),
    ],
)
def test_what_a_request_runs_instead_takes_the_place_that_docker_gives_it(
    image, landlord, tmp_path, request_, said
):
    spec = replace(training(tmp_path, image), **request_)
    assert start(spec, landlord).process.finish() == [said]


def test_where_the_engine_has_no_bridge_a_container_is_on_this_machines_network(
    image, landlord, tmp_path, monkeypatch
):
    monkeypatch.setattr(docker, "_gateway", lambda: None)
    container = start(serving(tmp_path, image), landlord)
    try:
        wait_until_ready(container.process, container.dial, 60)
        assert asked(container, "$ENV{AWS_ENDPOINT_URL}") == f"http://127.0.0.1:{landlord.port}"
        assert "port 8080 is not private here: one such endpoint at a time" in container.note
        with pytest.raises(ProgramError, match="Port 8080 is taken"):
            start(serving(tmp_path / "other", image), landlord)
    finally:
        container.process.stop()


def test_a_program_that_is_not_in_the_image_ends_127_and_says_so(image, landlord, tmp_path):
    spec = replace(training(tmp_path, image), entrypoint=["/no/such/program"])
    with start(spec, landlord).process as process:
        assert process.wait(60) == 127
    assert "/no/such/program" in "".join(process.last_lines())


def test_a_stop_while_the_engine_still_makes_the_container_is_not_lost(engine, image, landlord, tmp_path):
    before = containers(engine, image)
    container = start(serving(tmp_path, image), landlord)
    container.process.stop(0.2)  # process 1 does not get a SIGTERM that it has no handler for yet
    assert containers(engine, image) == before


PARENT = """
import sys, time
from pathlib import Path
from byoc.runtime.container import *
from byoc.runtime.docker import find_image
from byoc.runtime.readiness import wait_until_ready
place = Place(Path(sys.argv[1]) / "instance")
(place.opt_ml / "model").mkdir(parents=True)
landlord = Landlord(int(sys.argv[3]), lambda listener: None, lambda url: {})
container = start(Spec("serve", find_image(sys.argv[2]), "serve", place), landlord)
wait_until_ready(container.process, container.dial, 60)
print("ready", flush=True)
time.sleep(60)
"""


def test_kill_9_of_whoever_started_a_container_removes_it(engine, image, tmp_path):
    before = containers(engine, image)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-c", PARENT, str(tmp_path), image.reference, port]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE) as killed:
        assert killed.stdout.readline() == b"ready\n"
        assert len(containers(engine, image)) == len(before) + 1
        killed.kill()
    assert eventually(lambda: containers(engine, image) == before, 30)
