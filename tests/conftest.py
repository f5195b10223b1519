"""What every test has: no way to real AWS, nobody's git settings, nginx where asked for, an embedded S3."""

import os
import signal

import pytest

from aws_fence import forget_the_laptops_aws, stop_what_leaves_this_machine
from byoc_serving.supervision.nginx import find_nginx
from s3_server import s3_server
from serving import require_nginx


def pytest_configure():
    """Fence the whole process off, and so session fixtures and child processes too."""
    forget_the_laptops_aws(os.environ)
    stop_what_leaves_this_machine()
    os.environ.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    # nohup, and a shell that runs us in the background, have children ignore these; the tests send them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_runtest_setup(item):
    if item.get_closest_marker("nginx"):
        require_nginx(find_nginx(os.environ.get("PATH")), os.environ)


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
