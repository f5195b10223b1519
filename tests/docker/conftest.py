"""The engine, the registry, the embedded AWS and the image that the Docker tests share."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
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
    """S3, and an ECR whose answers point at the engine's registry."""
    with embedded(Asked(port=0, registry=engine.registry), os.environ) as running:
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
