"""The engine, the registry, the local SageMaker, the image and its checkout, for all Docker tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from byoc.local.instance import Instance
from byoc.local.launch import Asked, embedded
from docker_engine import (
    Engine,
    EngineRefusedError,
    MissingProgramError,
    NoEngineHereError,
    running_engine,
)

CONTAINER = Path(__file__).parents[2] / "container"


@dataclass(frozen=True)
class Checkout:
    """A git repository whose one commit holds container/, and what runs its script."""

    folder: Path
    environ: dict[str, str]
    build_arguments: tuple[str, ...]

    def push(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the script from another folder."""
        command = [self.folder / "container" / "build_and_push.sh", *words, "--", *self.build_arguments]
        return subprocess.run(
            command, cwd="/", env=self.environ, capture_output=True, text=True, check=False, timeout=300
        )

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=A Tester", "-c", "user.email=tester@example.com"]
        command = ["git", "-C", self.folder, *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self) -> str:
        return self.git("rev-parse", "--short=12", "HEAD")

    def change(self, text: str) -> None:
        (self.folder / "container" / "custom_algorithm" / "apps" / "new.py").write_text(text)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine; skipped only where none can run, never because something is not installed."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(running_engine())
        except EngineRefusedError as error:
            pytest.skip(f"no Docker engine runs on this machine: {error}")
        except NoEngineHereError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        except MissingProgramError as error:
            pytest.fail(str(error))
        yield found


@pytest.fixture(scope="session")
def aws(engine: Engine) -> Iterator[Instance]:
    """A local SageMaker that reaches the engine, and whose ECR's answers point at the engine's registry."""
    with embedded(Asked(port=0, registry=engine.registry), engine.environ) as running:
        yield running


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of container/ without what this checkout has collected."""
    copy = tmp_path_factory.mktemp("pristine") / "container"
    shutil.copytree(CONTAINER, copy, ignore=shutil.ignore_patterns(".temps", "__pycache__"))
    return copy


@pytest.fixture
def container(pristine: Path, tmp_path: Path) -> Path:
    """A copy of container/ that a test may change."""
    return shutil.copytree(pristine, tmp_path / "container")


@pytest.fixture(scope="session")
def image(engine: Engine, pristine: Path) -> str:
    """The name of the project's own image, built."""
    return engine.built(pristine, "image")


@pytest.fixture
def checkout(engine: Engine, aws: Instance, container: Path, image: str) -> Checkout:
    """A checkout whose image is built already, so that the script builds from the cache."""
    environ = aws.environment(engine.environ)
    environ["PATH"] = f"{environ['PATH']}:{Path(sys.executable).parent}"  # docker's first, then the aws CLI's
    made = Checkout(container.parent, environ, engine.build_arguments)
    made.git("init", "--quiet")
    made.git("add", "container")
    made.git("commit", "--quiet", "--message", "All of it")
    return made
