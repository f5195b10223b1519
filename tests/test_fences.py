"""What conftest.py holds off every test: this machine's AWS, proxy and git settings, and a missing nginx."""

import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from aws_fence import YouReachedForRealAws
from serving import require_nginx

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def seen_by_a_session_fixture():
    client = boto3.client("s3", "us-east-1", config=Config(signature_version=UNSIGNED))
    elsewhere = boto3.client("s3", endpoint_url="https://s3.amazonaws.com", region_name="us-east-1")
    elsewhere.meta.events.register("choose-signer.*.*", lambda **_: UNSIGNED)
    try:
        elsewhere.list_buckets()
    except YouReachedForRealAws as error:
        return client.meta.endpoint_url, str(error)
    return client.meta.endpoint_url, "it got there"


def test_session_fixtures_are_within_the_fence_too(seen_by_a_session_fixture):
    assert seen_by_a_session_fixture == ("http://127.0.0.1:9", "GET https://s3.amazonaws.com/")


def test_a_bucket_answers(s3, bucket):
    assert s3.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert boto3.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_neither_a_profile_nor_a_proxy_of_the_laptop_changes_that():
    laptops = {"AWS_PROFILE": "nope", "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "test_a_bucket_answers"]
    ran = subprocess.run(
        [*command, __file__], cwd=ROOT, env=kept | laptops, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_git_reads_no_settings_of_the_laptop(tmp_path):
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Somebody\n")
    command = ["git", "config", "--global", "--list"]
    listed = subprocess.run(
        command, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert listed.stdout == ""


@pytest.mark.parametrize(
    ("environ", "ending"), [({"CI": "true"}, pytest.fail.Exception), ({}, pytest.skip.Exception)]
)
def test_without_nginx_a_test_that_needs_it_fails_in_ci_and_is_skipped_elsewhere(environ, ending):
    with pytest.raises(ending, match="nginx is not installed: apt-get install nginx"):
        require_nginx(None, environ)


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", "1 error"), ("", "1 skipped")], ids=["in-ci", "elsewhere"]
)
def test_the_mark_asks_for_nginx(tmp_path, ci, outcome):
    (tmp_path / "test_marked.py").write_text(
        "import pytest\n@pytest.mark.nginx\ndef test_marked():\n    pass\n"
    )
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "import byoc_serving.supervision.nginx as nginx\nnginx.find_nginx = lambda path: None\n"
        "from conftest_of_all import *\n"
    )
    (tmp_path / "conftest_of_all.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    ran = subprocess.run(
        [*command, "--rootdir", ROOT, tmp_path / "test_marked.py"],
        env={**os.environ, "CI": ci, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in ran.stdout, ran.stdout + ran.stderr
