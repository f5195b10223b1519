"""What every test has: no way to real AWS, and an embedded S3 for the asking."""

import pytest

from aws_fence import put_aws_out_of_reach
from s3_server import s3_server


@pytest.fixture(autouse=True)
def _aws_is_out_of_reach(monkeypatch):
    put_aws_out_of_reach(monkeypatch)


@pytest.fixture(scope="session")
def s3():
    """An embedded S3 for the whole session: `.url`, `.env`, `.client()`."""
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3, request, monkeypatch):
    """A bucket of the test's own; this process and its children find it by their environment."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    name = f"test-{abs(hash(request.node.nodeid)):x}"
    s3.client().create_bucket(Bucket=name)
    return name
