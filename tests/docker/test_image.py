"""The image in a real engine: what is in it, and that it trains, serves and stops as SageMaker expects."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from byoc.local.instance import Instance
from docker_engine import BASE_IMAGE, Engine

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
AWKWARD_APPS = ROOT / "tests" / "fixtures" / "awkward_apps"
READY_S = 60.0

# Prints the megabytes of the distributions that apps/requirements.lock lists.
SIZE_OF_THE_LIBRARIES = """
import re
from importlib.metadata import files
from pathlib import Path
names = re.findall("^([A-Za-z0-9_.-]+)==", Path("apps/requirements.lock").read_text(), re.MULTILINE)
print(sum(file.locate().stat().st_size for name in set(names) for file in files(name)) // 1_000_000)
"""


@dataclass(frozen=True)
class Served:
    """A container that serves, and the URL that its port is published at."""

    engine: Engine
    name: str
    url: str

    def test_api(self, *words: str | Path) -> str:
        """Return what the laptop's test_api.py prints when it is sent to this container."""
        script = ROOT / "container" / "custom_algorithm" / "test_api.py"
        command = [sys.executable, script, "--url", f"{self.url}/invocations", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def stop(self) -> int:
        """Stop it as SageMaker does and return its exit status."""
        self.engine.docker("stop", "--time", "30", self.name)
        return int(self.engine.docker("inspect", "--format", "{{.State.ExitCode}}", self.name).stdout)


@contextmanager
def serving(engine: Engine, image: str, model: Path, *options: str) -> Iterator[Served]:
    """Run `serve` on a read-only /opt/ml/model until the block ends; ready when the block begins."""
    name = f"byoc-test-{os.getpid()}-{time.monotonic_ns()}"
    run = ["run", "--detach", "--name", name, "--publish", "127.0.0.1::8080", *options]
    engine.docker(*run, "--volume", f"{model}:/opt/ml/model:ro", image, "serve")
    try:
        port = engine.docker("port", name, "8080").stdout.split()[0].rpartition(":")[2]
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + READY_S
        while not is_ready(url):
            running = engine.docker("inspect", "--format", "{{.State.Running}}", name).stdout.strip()
            if running != "true" or time.monotonic() > until:
                logs = engine.docker("logs", name)
                pytest.fail(f"the container is not ready:\n{logs.stdout}{logs.stderr}")
            time.sleep(0.1)
        yield Served(engine, name, url)
    finally:
        engine.docker("rm", "--force", "--volumes", name)


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=2) as answer:
            return answer.status == 200
    except OSError:  # refused, reset, or an HTTP status other than 200
        return False


def train(engine: Engine, image: str, opt_ml: Path, aws: Instance, **hyperparameters: str) -> None:
    """Run `train` in a container that reaches this machine's loopback."""
    config = opt_ml / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    variables = [word for pair in aws.environment().items() for word in ("--env", "=".join(pair))]
    engine.docker(
        "run", "--rm", "--network", "host", "--volume", f"{opt_ml}:/opt/ml", *variables, image, "train"
    )


@pytest.fixture(scope="session")
def version(aws: Instance, pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The hyperparameters that name a version in S3, as apps/main.py printed them."""
    client = boto3.session.Session(aws.access_key, aws.secret_key, region_name=aws.region).client
    client("s3", endpoint_url=aws.url).create_bucket(Bucket="models")
    program = shutil.copytree(pristine / "custom_algorithm", tmp_path_factory.mktemp("laptop") / "program")
    command = [sys.executable, program / "apps" / "main.py", "--upload", "s3://models/versions"]
    environ = aws.environment(os.environ)
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0, said.stderr
    return dict(line.split("=", 1) for line in said.stdout.splitlines()[-2:])


@pytest.fixture(scope="session")
def model(engine, image, aws, version, tmp_path_factory) -> Path:
    """What the image's own `train` fetched from S3 into /opt/ml/model."""
    opt_ml = tmp_path_factory.mktemp("opt_ml")
    train(engine, image, opt_ml, aws, **version)
    return opt_ml / "model"


def test_train_fetches_the_version_that_the_hyperparameters_name(model, version):
    manifest = json.loads((model / "manifest.json").read_text())

    assert manifest["version"] in version["model_version"]
    assert (model / "model.txt").is_file()


def test_train_unpacks_an_archive_in_the_model_channel(engine, image, aws, model, tmp_path):
    opt_ml = tmp_path / "opt_ml"
    channel = opt_ml / "input" / "data" / "model"
    channel.mkdir(parents=True)
    with tarfile.open(channel / "model.tar.gz", "w:gz") as archive:
        for file in model.iterdir():
            archive.add(file, file.name)

    digest = hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest()
    train(engine, image, opt_ml, aws, model_manifest_sha256=digest)

    for file in model.iterdir():
        assert (opt_ml / "model" / file.name).read_bytes() == file.read_bytes()


def accuracy(probabilities: list[float]) -> float:
    """How many of the dummy data's rows are answered with their label."""
    labels = (ROOT / "dummy_data" / "labels.csv").read_text().split()
    right = [(p > 0.5) == (label == "malignant") for p, label in zip(probabilities, labels, strict=True)]
    return sum(right) / len(right)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="as root"),
        pytest.param(("--user", "65534"), id="as another uid"),
        pytest.param(("--read-only", "--tmpfs", "/tmp"), id="on a read-only file system"),
        pytest.param(
            ("--read-only", "--tmpfs", "/tmp", "--user", "65534", "--cap-drop", "ALL"), id="all at once"
        ),
    ],
)
def test_serve_answers_and_ends_with_status_0(engine, image, model, options):
    with serving(engine, image, model, *options) as served:
        answer = json.loads(served.test_api("--file", ROOT / "dummy_data" / "breast_cancer.csv"))
        sample = json.loads(engine.docker("exec", served.name, "python", "test_api.py").stdout)

        assert accuracy(answer) > 0.9
        assert len(sample) == 16
        assert served.stop() == 0


def test_the_first_process_is_serve_itself(engine, image, model):
    with serving(engine, image, model) as served:
        first = engine.docker("exec", served.name, "cat", "/proc/1/cmdline").stdout.split("\0")

    assert "/opt/program/serve" in first
    assert not {"sh", "bash", "/bin/sh", "env", "/usr/bin/env"} & set(first)


def test_the_image_names_its_programs_without_a_shell_or_a_user(engine, image):
    config = json.loads(engine.docker("image", "inspect", "--format", "{{json .Config}}", image).stdout)

    assert config["Entrypoint"] == ["/usr/bin/env"]
    assert config["Cmd"] == ["serve"]
    assert config["User"] == ""
    for capability in ("accept-bind-to-port", "multi-models"):
        assert config["Labels"][f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"


def test_no_compiler_and_no_pip_are_in_the_image(engine, image):
    look = "for program in gcc cc g++ make pip pip3; do command -v $program; done; exit 0"

    assert engine.docker("run", "--rm", image, "sh", "-c", look).stdout == ""


def test_keys_notebooks_and_leftovers_stay_out(engine, image, container):
    program = container / "custom_algorithm"
    left = (
        ".env",
        "apps/.temps/model.txt",
        "apps/deploy.pem",
        "apps/id_rsa",
        "apps/look.ipynb",
        ".aws/credentials",
    )
    for name in (*left, "apps/kept.txt"):
        (program / name).parent.mkdir(parents=True, exist_ok=True)
        (program / name).write_text("not for the image")

    name = engine.built(container, "leftovers")

    found = engine.docker(
        "run", "--rm", name, "grep", "-rl", "not for the image", "/opt/program"
    ).stdout.split()
    assert found == ["/opt/program/apps/kept.txt"]


def test_a_lock_that_is_older_than_its_requirements_ends_the_build(engine, image, container):
    apps = container / "custom_algorithm" / "apps"
    lock = apps / "requirements.lock"
    lock.write_text("threadpoolctl==" + lock.read_text().partition("\nthreadpoolctl==")[2])
    (apps / "requirements.txt").write_text("threadpoolctl\nUnidecode>=1.3\n")

    said = engine.build(container, "stale", "--target", "build")

    assert said.returncode != 0
    assert "apps/requirements.lock is not what apps/requirements.txt asks for" in said.stdout + said.stderr


def test_a_private_index_is_a_build_secret(engine, image, container, tmp_path):
    lock = container / "custom_algorithm" / "byoc_serving" / "requirements.lock"
    lock.write_text(lock.read_text() + "# not in the cache\n")
    secret = tmp_path / "pip.conf"
    secret.write_text("[global]\nindex-url = http://someone:password@127.0.0.1:9/simple\nretries = 0\n")

    said = engine.build(container, "private", "--target", "build", "--secret", f"id=pip_conf,src={secret}")

    # Nobody listens there: what matters is that pip asked there, and that nobody can read the password.
    assert said.returncode != 0
    assert "127.0.0.1" in said.stdout + said.stderr
    assert ":password@" not in said.stdout + said.stderr


def test_only_apps_changes_for_an_awkward_algorithm(engine, aws, container, tmp_path):
    apps = container / "custom_algorithm" / "apps"
    shutil.rmtree(apps)
    shutil.copytree(AWKWARD_APPS, apps)
    opt_ml = tmp_path / "opt_ml"
    channel = opt_ml / "input" / "data" / "reviews"
    channel.mkdir(parents=True)
    (apps / "reviews.csv").rename(channel / "reviews.csv")
    row = {"wait_minutes": 5, "price": 20.5, "city": "León", "comment": "Großartig, wir kommen wieder"}
    (tmp_path / "rows.json").write_text(json.dumps([row, row]))

    name = engine.built(container, "awkward")
    train(engine, name, opt_ml, aws, mode="train")

    with serving(engine, name, opt_ml / "model") as served:
        answer = json.loads(served.test_api("--file", tmp_path / "rows.json"))
        assert [set(each) for each in answer] == [{"comes_back", "probability"}] * 2
        assert served.stop() == 0


def test_the_images_size_is_told_beside_that_of_the_libraries(engine, image, capsys):
    libraries = int(engine.docker("run", "--rm", image, "python", "-c", SIZE_OF_THE_LIBRARIES).stdout)
    inspect = ["image", "inspect", "--format", "{{.Size}}"]
    whole = int(engine.docker(*inspect, image).stdout) // 1_000_000
    base = "unknown"
    if engine.build_arguments:
        base = str(int(engine.docker(*inspect, BASE_IMAGE).stdout) // 1_000_000)

    with capsys.disabled():
        print(f"\nThe image has {whole} MB: the ML libraries {libraries} MB, the base {base} MB.")
    assert libraries < whole
