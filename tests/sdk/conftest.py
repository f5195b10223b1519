"""For the tests with every client that a user may have: SDK v2, SDK v3, boto3 and the aws CLI.

pytest -m sdk tests/sdk. SDK v3 gets an environment of its own, as v2 and v3 share their namespace: about
1 GB, made in a minute or so; SDK_V3_PYTHON names one that is there already.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from byoc.local import launch
from byoc.local.testing import SageMakerLocal
from byoc.runtime.network import free_port
from serving import program_with

ROOT = Path(__file__).parents[2]
UPLOAD = ROOT / "container" / "custom_algorithm" / "apps" / "s3_upload.py"
# What a laptop may well have set, and what must lead nowhere.
LAPTOPS_OWN = {
    "AWS_PROFILE": "work",
    "AWS_ACCESS_KEY_ID": "AKIALAPTOPSOWN",
    "AWS_SECRET_ACCESS_KEY": "laptops-own",
    "AWS_SESSION_TOKEN": "laptops-own",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
# A user's shell, told of the local SageMaker as README.md says.
SHELL = 'eval "$(byoc local env --port "$PORT")" && exec "$@"'


@dataclass(frozen=True)
class Shell:
    """A user's shell on a laptop with AWS settings of its own, fenced off by trap/sitecustomize.py.

    Attributes:
        home: the user's home.
        escapes: the file with what tried to reach another host.
    """

    environ: dict[str, str]
    home: Path
    escapes: Path

    def byoc(self, *words):
        """Run `byoc local` with these words."""
        command = [sys.executable, "-m", "byoc", "local", *map(str, words)]
        done = subprocess.run(
            command, env=self.environ, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __call__(self, *command, **given):
        """Run a command after eval "$(byoc local env)"."""
        return subprocess.run(
            ["sh", "-c", SHELL, "sh", *map(str, command)],
            cwd=self.home,
            env=self.environ,
            capture_output=True,
            check=False,
            **given,
        )

    def escaped(self):
        """Return what tried to reach another host."""
        return self.escapes.read_text().splitlines()


@dataclass(frozen=True)
class Version:
    """A model version in the bucket, with the digest of its manifest."""

    uri: str
    digest: str
    limit: float

    @property
    def predictions(self):
        """What this version says of dummy_data/breast_cancer.csv."""
        rows = (ROOT / "dummy_data" / "breast_cancer.csv").read_text().splitlines()
        return [float(float(row.split(",")[20]) > self.limit) for row in rows]


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    """A shell that has `byoc` and `aws`, wherever the checkout was moved to."""
    folder = tmp_path_factory.mktemp("laptop")
    for name in ("bin", "home", "run", "tmp"):
        (folder / name).mkdir(mode=0o700)
    for name, module in (("byoc", "byoc"), ("aws", "awscli")):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (folder / "bin" / name).chmod(0o700)
    (folder / "escapes").touch()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **LAPTOPS_OWN,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": f"{Path(__file__).parent / 'trap'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ESCAPES": str(folder / "escapes"),
        "PORT": str(free_port()),
    }
    return Shell(environ, folder / "home", folder / "escapes")


@pytest.fixture(scope="session")
def world(shell, tmp_path_factory):
    """What `byoc local up` starts and `byoc local down` ends, with a quick program as `quick`."""
    quick = program_with(
        ROOT / "tests" / "fixtures" / "quick_apps", tmp_path_factory.mktemp("programs") / "quick"
    )
    shutil.copy(UPLOAD, quick / "apps")
    port = shell.environ["PORT"]
    assert "is ready at" in shell.byoc("up", "--port", port, "--program", f"quick={quick}")
    try:
        yield SageMakerLocal(launch.find(shell.environ, int(port)))
    finally:
        assert "has ended" in shell.byoc("down", "--port", port)


@pytest.fixture(scope="session")
def versions(world, shell, tmp_path_factory):
    """Two model versions that differ in what they predict."""
    return [_upload(world, shell, tmp_path_factory.mktemp("model"), limit) for limit in (16.8, 14.0)]


def _upload(world, shell, model, limit):
    (model / "rule.json").write_text(f'{{"column": 20, "limit": {limit}}}')
    done = shell(sys.executable, UPLOAD, model, f"s3://{world.bucket}/models", "--name", "rule", text=True)
    assert done.returncode == 0, done.stderr
    uri, digest = [line.partition("=")[2] for line in done.stdout.splitlines()]
    return Version(uri, digest, limit)


@pytest.fixture(scope="session")
def v3_python(tmp_path_factory):
    """The Python of an environment that has the SDK v3, and what this project needs beside it."""
    if given := os.environ.get("SDK_V3_PYTHON"):
        yield given
        return
    folder = tmp_path_factory.mktemp("sdk-v3") / "venv"
    needs = ["sagemaker>=3", *tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]
    made = str(folder / "bin" / "python")
    if shutil.which("uv"):
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, folder], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "-p", made, *needs], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run(
            [made, "-m", "pip", "install", "-q", "--disable-pip-version-check", *needs], check=True
        )
    yield made
    shutil.rmtree(folder)  # pytest keeps such folders for three runs
