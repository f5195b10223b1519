"""Finding an instance that may no longer be there, and what the server's process is given."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from byoc.local import instance, launch
from byoc.local.instance import Instance, LocalError
from byoc.local.launch import Asked


@pytest.fixture
def environ(tmp_path):
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def left_behind(environ, data, port=4577):
    """Write the state file of an instance that was killed, whose process id is a living one's by now."""
    folder = instance.private_folder(instance.state_folder(environ, port))
    kept = Instance(
        url=f"http://127.0.0.1:{port}",
        port=port,
        region="us-east-1",
        account="123456789012",
        access_key="AKIAOURS",
        secret_key="secret",
        pid=os.getpid(),
        data=str(data),
        temporary=True,
        folder=str(folder),
        role_arn="arn:aws:iam::123456789012:role/r",
        bucket="b",
    )
    kept.write()
    (folder / "lock").touch()
    return kept


def test_what_a_killed_instance_left_is_cleared_away(environ, tmp_path):
    data = tmp_path / "data"
    (data / "read-only").mkdir(parents=True)
    (data / "read-only").chmod(0o500)
    left = left_behind(environ, data)
    assert launch.find(environ, 4577) is None
    assert not data.exists()
    assert instance.read_instance(Path(left.folder)) is None


def test_ending_an_instance_that_has_ended_harms_nobody(environ, tmp_path):
    launch.stop(left_behind(environ, tmp_path / "data"))
    assert launch.find(environ, 4577) is None


def test_the_server_sees_nothing_of_the_users_aws():
    environment = launch.server_environment({"AWS_PROFILE": "work", "MOTO_ACCOUNT_ID": "1", "HOME": "/h"})
    assert {"AWS_PROFILE", "MOTO_ACCOUNT_ID"}.isdisjoint(environment)
    assert environment["AWS_CONFIG_FILE"] == os.devnull
    assert environment["HOME"] == "/h"


def test_the_checkouts_program_is_found_from_any_folder_in_it(tmp_path):
    program = tmp_path / "container" / "custom_algorithm"
    (program / "apps").mkdir(parents=True)
    assert launch.program_around(program / "apps") == launch.program_around(tmp_path) == program
    assert launch.program_around(tmp_path.parent) is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked(port=0, registry="nonsense"), "the registry is 'nonsense'. Give HOST:PORT"),
        (
            Asked(port=0, programs={"model": Path("/nonexistent")}),
            "to be /nonexistent, which is no folder",
        ),
    ],
)
def test_why_an_embedded_one_does_not_start_is_one_line(asked, told):
    with pytest.raises(LocalError) as refused, launch.embedded(asked, os.environ):
        pass
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_state_file_says_all_that_there_is_to_say(environ, tmp_path):
    left = left_behind(environ, tmp_path / "data")
    assert json.loads((Path(left.folder) / "instance.json").read_text()) == asdict(left)
