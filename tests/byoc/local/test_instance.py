"""What is told of an instance: to shells, to clients, to nobody else."""

import os
import stat

import pytest

from byoc.local import instance
from byoc.local.instance import Instance, LocalError


@pytest.fixture
def ours(tmp_path):
    return Instance(
        url="http://127.0.0.1:4577",
        port=4577,
        region="eu-central-1",
        account="123456789012",
        access_key="AKIAOURS",
        secret_key="secret",
        pid=os.getpid(),
        data="/data",
        temporary=False,
        folder=str(tmp_path),
        role_arn="arn:aws:iam::123456789012:role/SageMakerExecutionRole",
        bucket="sagemaker-eu-central-1-123456789012",
    )


def test_nothing_of_the_users_own_aws_leaks_in(ours):
    users = {"AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "x", "AWS_ENDPOINT_URL_S3": "http://a", "HOME": "/h"}
    environment = ours.environment(users)
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"}.isdisjoint(environment)
    assert environment["AWS_ENDPOINT_URL"] == ours.url
    assert environment["HOME"] == "/h"


def test_a_shell_forgets_what_would_send_it_elsewhere(ours):
    unset = ours.unset({"AWS_ENDPOINT_URL_S3": "http://a", "AWS_REGION": "us-east-1"})
    assert {"AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"} <= set(unset)
    assert "AWS_REGION" not in unset


@pytest.mark.parametrize(
    ("theirs", "ours_too"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "intranet"}, "intranet,127.0.0.1,localhost"),
        ({"no_proxy": "localhost,intranet"}, "localhost,intranet,127.0.0.1"),
    ],
)
def test_a_proxy_of_the_users_is_not_asked_for_loopback(ours, theirs, ours_too):
    environment = ours.environment(theirs)
    assert environment["NO_PROXY"] == environment["no_proxy"] == ours_too


def test_what_it_writes_only_its_user_can_read(ours, tmp_path):
    ours.write()
    assert {file.name for file in tmp_path.iterdir()} == {
        "aws-config",
        "aws-credentials",
        "instance.json",
        "sagemaker.yaml",
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert instance.read_instance(tmp_path) == ours


def test_the_keys_are_random_and_kept_and_not_shown(tmp_path):
    (tmp_path / "other").mkdir()
    first, again, other = (instance.keys_of(folder) for folder in (tmp_path, tmp_path, tmp_path / "other"))
    assert first == again
    assert first.access_key != other.access_key
    assert first.secret_key not in repr(first)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "x"}'])
def test_a_broken_state_file_is_none(tmp_path, text):
    (tmp_path / "instance.json").write_text(text)
    assert instance.read_instance(tmp_path) is None


def test_a_folder_that_others_could_read_is_made_private(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    assert stat.S_IMODE(instance.private_folder(folder).stat().st_mode) == 0o700
    assert stat.S_IMODE(instance.private_folder(tmp_path / "new" / "er").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_folder_that_is_somebody_elses_is_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    with pytest.raises(LocalError, match="belongs to another user"):
        instance.private_folder(tmp_path / "link")


def test_state_lies_in_the_runtime_folder_or_in_a_temporary_one_of_this_user(tmp_path):
    assert instance.state_folder({"XDG_RUNTIME_DIR": str(tmp_path)}, 1) == tmp_path / "byoc" / "local-1"
    assert instance.state_folder({}, 1).parent.name == f"byoc-{os.getuid()}"
    assert instance.state_folder({"XDG_RUNTIME_DIR": "/nonexistent"}, 1).parent.name == f"byoc-{os.getuid()}"
