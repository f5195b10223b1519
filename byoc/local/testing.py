"""pytest fixtures: a local SageMaker for a test, or one that all tests share.

In a conftest.py:

    from byoc.local.testing import sagemaker_local, sagemaker_local_session

    def test_it_answers(sagemaker_local):
        sagemaker_local.add_program("my-model", Path("container/custom_algorithm"))
        sagemaker_local.client("sagemaker").create_model(...)
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from byoc.local.ecr import add_programs
from byoc.local.instance import Instance
from byoc.local.launch import Asked, embedded, program_around
from byoc.local.programs import checked_program


@dataclass(frozen=True)
class SageMakerLocal:
    """A running local SageMaker, as a test uses it."""

    instance: Instance

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.instance.url

    @property
    def role_arn(self) -> str:
        """A role that SageMaker may assume."""
        return self.instance.role_arn

    @property
    def bucket(self) -> str:
        """The default bucket, which exists."""
        return self.instance.bucket

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with every AWS setting replaced: for child processes."""
        return self.instance.environment(os.environ)

    @property
    def settings(self) -> Mapping[str, str]:
        """What has to be set in an environment to reach it, such as by monkeypatch.setenv."""
        return self.instance.settings()

    def session(self) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        """Return a boto3 session with its credentials and region."""
        import boto3

        return boto3.session.Session(
            aws_access_key_id=self.instance.access_key,
            aws_secret_access_key=self.instance.secret_key,
            region_name=self.instance.region,
        )

    def client(self, service: str, **options: Any) -> Any:  # noqa: ANN401
        """Return a boto3 client of it, whatever the environment says; `options` as boto3 has them."""
        return self.session().client(service, endpoint_url=self.url, **options)

    def image(self, name: str) -> str:
        """Return the URI of a repository's image in its ECR."""
        return f"{self.instance.account}.dkr.ecr.{self.instance.region}.amazonaws.com/{name}:latest"

    def add_program(self, name: str, folder: Path) -> str:
        """Have a folder with `train` and `serve` stand for images of a repository; return a URI of one.

        Raises:
            LocalError: there is nothing to run in it.
        """
        add_programs(self.instance, {name: checked_program(name, folder)}, self.client("ecr"))
        return self.image(name)


@contextmanager
def sagemaker_local_for_a_while(programs: Mapping[str, Path] | None = None) -> Iterator[SageMakerLocal]:
    """Run a local SageMaker of one's own until the block ends, on a free port.

    Args:
        programs: folders that stand for images, by repository name; beside them `custom-algorithm` is the
            program of the checkout around the current folder, if there is one.
    """
    asked = Asked(port=0, programs=dict(programs or {}), default=program_around(Path.cwd()))
    with embedded(asked, os.environ) as instance:
        yield SageMakerLocal(instance)


@pytest.fixture
def sagemaker_local() -> Iterator[SageMakerLocal]:
    """A local SageMaker of this test's own."""
    with sagemaker_local_for_a_while() as running:
        yield running


@pytest.fixture(scope="session")
def sagemaker_local_session() -> Iterator[SageMakerLocal]:
    """A local SageMaker that all tests of the session share."""
    with sagemaker_local_for_a_while() as running:
        yield running
