import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from byoc_serving.errors import ModelVersionError, StorageError
from byoc_serving.model_version import check_destination, describe, pull, read_manifest, write_manifest
from s3_upload import upload_model
from serving import program_with

SCRIPT = Path(__file__).parents[2] / "container" / "custom_algorithm" / "apps" / "s3_upload.py"


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "model.txt").write_text("tree")
    return folder


def run_script(*arguments, script=SCRIPT):
    command = [sys.executable, "-B", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=dict(os.environ))


def test_the_script_describes_and_uploads_any_folder(model, bucket, tmp_path):
    run = run_script(model, f"s3://{bucket}/p")
    assert run.returncode == 0, run.stderr
    told = dict(line.split("=", 1) for line in run.stdout.splitlines()[-2:])
    assert told["model_version"].startswith(f"s3://{bucket}/p/my-model/")
    assert "MB" in run.stderr
    pull(told["model_version"], tmp_path / "pulled", expected_sha256=told["model_manifest_sha256"])


def test_the_script_keeps_the_description_that_is_there(model, bucket):
    write_manifest(model, describe(model, name="described", n_features=3))
    run = run_script(model, f"s3://{bucket}/p")
    assert "/described/" in run.stdout
    assert read_manifest(model).n_features == 3


def test_the_script_says_that_a_version_was_there_already(model, bucket):
    first = run_script(model, f"s3://{bucket}/p")
    again = run_script(model, f"s3://{bucket}/p")
    uri = again.stdout.splitlines()[-2].removeprefix("model_version=")
    assert "was there already" not in first.stderr
    assert again.stderr.splitlines()[-1] == f"{uri} was there already"
    assert again.stdout == first.stdout


def test_the_script_fails_in_one_line(model, bucket):
    run = run_script(model, "s3://nowhere-at-all/p")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("No such bucket: ")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("inside", ["", "apps", "apps/.temps"])
def test_the_script_refuses_its_own_program_and_leaves_it_as_it_was(tmp_path, bucket, inside):
    program = program_with(SCRIPT.parent, tmp_path / "program")
    kept = program / "apps" / ".temps" / "model"
    kept.mkdir(parents=True)
    (kept / "model.txt").write_text("tree")
    before = sorted(program.rglob("*"))
    run = run_script(program / inside, f"s3://{bucket}/p", script=program / "apps" / "s3_upload.py")
    assert (run.returncode, run.stdout) == (1, "")
    assert re.match(rf"No model: .* holds .*such as {kept}\.$", run.stderr)
    assert sorted(program.rglob("*")) == before


def test_the_script_refuses_another_checkouts_program(tmp_path, bucket):
    for name in ("main.py", "inference.py"):
        (tmp_path / name).touch()
    run = run_script(tmp_path, f"s3://{bucket}/p")
    assert (run.returncode, run.stdout) == (1, "")
    assert "holds main.py and inference.py, and every file in it would be uploaded" in run.stderr
    assert not (tmp_path / "manifest.json").exists()


def test_the_script_tells_a_file_from_its_folder(model, bucket):
    run = run_script(model / "model.txt", f"s3://{bucket}/p")
    assert run.returncode == 1
    assert "is a file, not a folder" in run.stderr


class DeniesAll:
    """An S3 whose caller may not list the bucket."""

    def list_objects_v2(self, **_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListObjectsV2")


def test_a_destination_is_there_or_not_and_who_may_not_list_it_may_try(bucket, monkeypatch):
    check_destination(f"s3://{bucket}/p")
    with pytest.raises(StorageError, match="No such bucket: s3://nowhere-at-all/p/"):
        check_destination("s3://nowhere-at-all/p")
    monkeypatch.setattr("byoc_serving.versions.upload.make_client", lambda _: DeniesAll())
    check_destination("s3://nowhere-at-all/p")


def test_a_folder_without_a_manifest_is_not_uploaded(model, bucket):
    with pytest.raises(ModelVersionError, match=r"^Missing manifest: "):
        upload_model(model, f"s3://{bucket}/p")
