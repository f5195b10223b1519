"""The local SageMaker with a real engine and registry: our own image from door to door, and a foreign one."""

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from byoc.local.instance import Instance
from byoc.local.launch import Asked, embedded
from docker_engine import BASE_IMAGE, Engine
from processes import eventually, processes_with
from sagemaker_user import User

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
GONE_WITHIN_S = 60

# Nothing of it is like our own image: no /opt/program, no Python, one program for both, fixed to port 8080.
DOCKERFILE = f"""
ARG BASE_IMAGE={BASE_IMAGE}
FROM ${{BASE_IMAGE}}
COPY app.pl /srv/fortune/
ENTRYPOINT ["/usr/bin/perl", "/srv/fortune/app.pl"]
"""
APP = r"""
use strict; use IO::Socket::INET;
my ($verb) = @ARGV;
$| = 1;
sub slurp { open(my $file, '<', shift) or die "$!\n"; local $/; <$file> }
if ($verb eq 'train') {
    slurp('/opt/ml/input/config/hyperparameters.json') =~ /"number": *"(\d+)"/ or die "no number\n";
    open(my $model, '>', '/opt/ml/model/number') or die "$!\n";
    print $model $1;
    exit 0;
}
my $number = slurp('/opt/ml/model/number');
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die "$!\n";
while (1) {
    my $caller = $listener->accept() or next;
    my $length = 0;
    while (my $line = <$caller>) {
        $length = $1 if $line =~ /^content-length: (\d+)/i;
        last if $line =~ /^\r?\n$/;
    }
    read $caller, my $asked, $length;
    my $answer = qq({"number": "$number", "asked": "$asked"});
    print $caller "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n$answer";
    close $caller;
}
"""


class Laptop:
    """A shell of the checkout's user, with the variables of a local SageMaker."""

    def __init__(self, aws: Instance, engine: Engine) -> None:
        self._environ = aws.environment(engine.environ)

    def __call__(self, *words: str | Path) -> str:
        """Run our Python in the checkout and return what it printed."""
        command = [sys.executable, *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environ, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def laptop(aws, engine):
    return Laptop(aws, engine)


def started(engine: Engine, image: str, since: str) -> set[str]:
    """Return the names of the containers of an image that were started, whether or not they run still."""
    words = ["--filter", "type=container", "--filter", "event=start", "--filter", f"image={image}"]
    said = engine.docker(
        "events", *words, "--since", since, "--until", now_of(engine), "--format", "{{json .}}"
    )
    return {json.loads(line)["Actor"]["Attributes"]["name"] for line in said.stdout.splitlines()}


def now_of(engine: Engine) -> str:
    return engine.docker("info", "--format", "{{.SystemTime}}").stdout.strip()


def containers(engine: Engine, image: str) -> list[str]:
    return engine.docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}").stdout.split()


def forget(engine: Engine, image: str) -> None:
    """Remove an image of a repository from the engine, so that it has to be pulled."""
    repository = image.partition("@")[0]
    listed = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={repository}"]
    engine.docker("image", "rm", *engine.docker(*listed).stdout.split())
    engine.docker("image", "rm", image, check=False)  # some engines keep it by its digest
    assert engine.docker("image", "inspect", image, check=False).returncode


def test_what_build_and_push_printed_is_deployed_and_answers(engine, aws, checkout, laptop):
    pushed = checkout.push("team/deployed")
    assert pushed.returncode == 0, pushed.stderr
    image = pushed.stdout.strip()
    forget(engine, image)

    apps = checkout.folder / "container" / "custom_algorithm" / "apps"
    laptop(apps / "main.py")
    uploaded = laptop(apps / "s3_upload.py", apps / ".temps" / "model", f"s3://{aws.bucket}/models")
    told = dict(line.split("=", 1) for line in uploaded.splitlines())
    version = [
        "--model-version",
        told["model_version"],
        "--model-manifest-sha256",
        told["model_manifest_sha256"],
    ]

    since = now_of(engine)
    deployed = laptop(
        "generate_endpoint.py", "--name", "direct", "--image", image, *version, "--direct", "--yes"
    )
    assert deployed.startswith(f"LOCAL: account 123456789012, region us-east-1, {aws.url}\n")
    assert len(containers(engine, image)) == 1
    laptop("generate_endpoint.py", "--name", "estimated", "--image", image, *version, "--yes")
    assert len(containers(engine, image)) == 2
    assert len(started(engine, image, since)) == 3  # the dummy job's `train` was one of them

    answers = [laptop("test_endpoint.py", name, "--accept", "text/csv") for name in ("direct", "estimated")]
    assert answers[0] == answers[1]
    predictions = [float(line) for line in answers[0].splitlines()]
    assert len(predictions) == 114

    for name in ("direct", "estimated"):
        laptop("-m", "awscli", "sagemaker", "delete-endpoint", "--endpoint-name", name)
    assert eventually(lambda: not containers(engine, image), GONE_WITHIN_S)


def test_a_foreign_image_trains_and_serves_twice_at_once_and_nothing_of_it_is_left(engine, tmp_path):
    for name, text in {"Dockerfile": DOCKERFILE, "app.pl": APP}.items():
        (tmp_path / name).write_text(text)
    image = engine.built(tmp_path, "foreign")
    asked = Asked(port=0, data=tmp_path / "data")
    with embedded(asked, engine.environ) as instance:
        user = User.of(instance, image)
        for name, number in (("seven", "7"), ("eight", "8")):
            user.serve(name, user.train(name, number=number))
        assert user.ask("seven", "which") == {"number": "7", "asked": "which"}
        assert user.ask("eight", "which") == {"number": "8", "asked": "which"}
        assert len(containers(engine, image)) == 2
    assert not containers(engine, image)

    with embedded(asked, engine.environ) as instance:
        again = replace(user, instance=instance)
        again.wait_until_in_service("seven")
        assert again.ask("seven")["number"] == "7"
        os.kill(instance.pid, signal.SIGKILL)
        assert eventually(lambda: not containers(engine, image), GONE_WITHIN_S)
    assert eventually(lambda: not processes_with(str(tmp_path)))
