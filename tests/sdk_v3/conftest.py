"""For the tests with the SageMaker SDK v3, in an environment of its own: v2 and v3 share their namespace.

pytest -m sdk_v3 tests/sdk_v3 makes that environment, about 1 GB, in a minute or so; SDK_V3_PYTHON names one
that is there already.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from byoc.local.testing import sagemaker_local_for_a_while
from serving import program_with

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def python(tmp_path_factory):
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


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A local SageMaker with a quick program in the repository `quick`."""
    folder = tmp_path_factory.mktemp("programs")
    quick = program_with(ROOT / "tests" / "fixtures" / "quick_apps", folder / "quick")
    shutil.copy(ROOT / "container" / "custom_algorithm" / "apps" / "s3_upload.py", quick / "apps")
    with sagemaker_local_for_a_while({"quick": quick}) as running:
        yield running


@pytest.fixture(scope="session")
def version(world, tmp_path_factory):
    """A model version in the bucket: its URI and the digest of its manifest."""
    model = tmp_path_factory.mktemp("model")
    (model / "rule.json").write_text('{"column": 20, "limit": 16.8}')
    script = ROOT / "container" / "custom_algorithm" / "apps" / "s3_upload.py"
    told = subprocess.run(
        [sys.executable, script, model, f"s3://{world.bucket}/models", "--name", "rule"],
        env=world.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line.partition("=")[2] for line in told.splitlines()]
