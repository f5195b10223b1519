"""byoc check runs images in a real engine: our own, one that keeps every rule, and some with faults."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docker_engine import BASE_IMAGE, Engine

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
GOOD = ROOT / "tests" / "byoc" / "check" / "good"
OURS = ["--request", ROOT / "dummy_data" / "breast_cancer.csv", "--content-type", "text/csv"]
OURS += ["--hyperparameter", "mode=train"]
# What no image shows: a timeout that serve computes, a training that is over before its SIGTERM comes, and
# calls in a ping's way, where a model takes no time.
NOT_SEEN = {"ping-busy", "proxy-limits", "train-sigterm"}
FAULTY = f"""
ARG BASE_IMAGE={BASE_IMAGE}
FROM ${{BASE_IMAGE}}
ARG A_TOKEN=kj3h4kjh5kj3h4kjh5
RUN mkdir -p /opt/ml/model /opt/program && echo "$A_TOKEN" > /opt/ml/model/x
RUN printf '#!/usr/bin/python2\\r\\n' > /opt/program/serve
LABEL com.amazonaws.sagemaker.capabilities.multi-model=true
VOLUME /data
ENV PATH=/opt/program:$PATH
USER nobody
"""
EDITS = {
    "    daemon_threads = False": "    daemon_threads = True",  # its end waits for no call
    "    factor = load()\n": '    MODEL.with_name("cache").write_text("x")\n    factor = load()\n',
    # Deaf for a moment whenever more than a few connections are open.
    "    request_queue_size = 128\n": """    request_queue_size = 128

    def process_request(self, *connection):
        super().process_request(*connection)
        if threading.active_count() > 9:
            self.socket.shutdown(socket.SHUT_RD)
            threading.Event().wait(0.4)
            self.socket.listen(128)
""",
}


@pytest.fixture(scope="module")
def base(engine: Engine, pristine: Path) -> str:
    """An image with Python alone: the first stage of our own, from the build cache."""
    said = engine.build(pristine, "python", "--target", "system")
    assert said.returncode == 0, said.stdout + said.stderr
    return "byoc-test-python"


@pytest.fixture
def sample(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "sample.csv").write_text("1\n2.5\n")
    return ["--request", tmp_path / "sample.csv", "--content-type", "text/csv"]


def program(folder: Path, base: str) -> Path:
    """Return a copy of the good program, which becomes an image on that base."""
    shutil.copytree(GOOD, folder)
    dockerfile = folder / "Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text(text.replace(text.split()[1], base, 1))
    return folder


def kept(engine: Engine) -> set[str]:
    """Return the containers and volumes that the engine has."""
    said = engine.docker("ps", "--all", "--quiet").stdout + engine.docker("volume", "ls", "--quiet").stdout
    return set(said.split())


def checked(engine: Engine, image: str, *words: str | Path) -> dict[str, dict[str, str]]:
    """Return the results by the rules' ids; nothing is left in the engine."""
    before = kept(engine)
    command = [sys.executable, "-m", "byoc", "check", image, "--json", "-", *words]
    said = subprocess.run(
        command, cwd=ROOT, env=engine.environ, capture_output=True, text=True, check=False, timeout=280
    )
    assert said.stdout, said.stderr
    assert kept(engine) == before
    return {result["id"]: result for result in json.loads(said.stdout)["results"]}


def noticed(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {rule: result["seen"] for rule, result in found.items() if result["outcome"] in ("fail", "warn")}


def untested(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {rule: result["seen"] for rule, result in found.items() if result["outcome"] == "untested"}


def test_the_projects_own_image_keeps_every_rule(engine, image, capsys):
    began = time.monotonic()
    found = checked(engine, image, *OURS)
    with capsys.disabled():
        print(f"\nbyoc check of the project's own image took {time.monotonic() - began:.0f} s.")
    assert not noticed(found)
    assert untested(found).keys() <= NOT_SEEN, untested(found)


def test_an_image_that_keeps_every_rule_has_them_all_tested(engine, base, sample, tmp_path):
    name = engine.built(program(tmp_path / "good", base), "good")
    found = checked(engine, name, *sample, "--hyperparameter", "seconds=1.5")
    assert not noticed(found)
    assert untested(found).keys() <= {"ping-busy"}


def test_faults_of_an_image_are_seen_in_it(engine, tmp_path):
    (tmp_path / "Dockerfile").write_text(FAULTY)
    name = engine.built(tmp_path, "faulty")
    static = ["program-line-ends", "program-executable", "program-interpreter", "no-credentials"]
    static += ["opt-ml-empty", "labels-known", "runs-as-root"]
    found = checked(engine, name, *(word for rule in static for word in ("--only", rule)))
    assert noticed(found).keys() == set(static), found


def test_faults_that_show_as_it_runs_are_seen_in_docker_as_in_a_folder(engine, base, sample, tmp_path):
    folder = program(tmp_path / "program", base)
    text = (folder / "serve").read_text()
    for old, new in EDITS.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "serve").write_text(text)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.txt").write_text("2")
    rules = ["model-read-only", "connects-in-time", "sigterm-loses-nothing"]
    words = [*sample, "--model", tmp_path / "model", *(word for rule in rules for word in ("--only", rule))]
    found = checked(engine, engine.built(folder, "running"), *words)
    assert noticed(found).keys() == set(rules), found


def test_a_server_that_listens_on_loopback_alone_is_told_so_soon(engine, base, tmp_path):
    folder = program(tmp_path / "program", base)
    text = (folder / "serve").read_text()
    (folder / "serve").write_text(text.replace('("0.0.0.0", PORT)', '("127.0.0.1", PORT)'))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.txt").write_text("2")
    name = engine.built(folder, "loopback")
    found = checked(engine, name, "--model", tmp_path / "model", "--only", "serve-starts")
    assert "listens on 127.0.0.1 alone" in found["serve-starts"]["seen"]


def test_a_word_that_is_no_image_is_told_with_the_command_that_gets_one(engine):
    command = [sys.executable, "-m", "byoc", "check", "byoc-test-of-nobody:1"]
    for environ, told in (
        (engine.environ, "Docker has no such image. Build it, or docker pull byoc-test-of-nobody:1."),
        (
            {**engine.environ, "DOCKER_HOST": "unix:///of/nobody.sock"},
            "no Docker engine answers (Cannot connect",
        ),
    ):
        said = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
        assert (said.returncode, told in said.stderr) == (1, True), said.stderr
