"""What a job leaves behind goes up as it lies there."""

import os
import tarfile

import pytest

from byoc.local.sagemaker.artefacts import upload_model, upload_output
from byoc.runtime.opt_ml import lay_out_training

BUCKET = "sagemaker-us-east-1-123456789012"


@pytest.fixture
def tree(tmp_path):
    return lay_out_training(tmp_path / "ml", {})


def job(compression="GZIP"):
    output = {"S3OutputPath": f"s3://{BUCKET}/out/", "CompressionType": compression}
    return {"TrainingJobName": "j", "OutputDataConfig": output}


def test_an_archive_has_files_empty_folders_and_links_as_they_are(world, tree, tmp_path):
    (tree.model / "deep" / "empty").mkdir(parents=True)
    (tree.model / "deep" / "weights").write_bytes(b"\0" * 5000)
    (tree.model / "link").symlink_to("deep/weights")
    os.mkfifo(tree.model / "pipe")
    upload_model(world, job(), tree, tmp_path)
    stored = world.objects.head(BUCKET, "out/j/output/model.tar.gz")
    with tarfile.open(stored.path) as archive:
        kinds = {member.name: (member.isfile(), member.isdir(), member.issym()) for member in archive}
        owners = {(member.uid, member.uname) for member in archive}
    assert kinds == {
        "deep": (False, True, False),
        "deep/empty": (False, True, False),
        "deep/weights": (True, False, False),
        "link": (False, False, True),
    }
    assert owners == {(0, "")}
    assert not (tmp_path / "model.tar.gz").exists()


def test_links_that_lead_out_stay_behind_where_files_go_up_one_by_one(world, tree, tmp_path):
    (tmp_path / "secret").write_text("mine")
    (tree.model / "weights").write_text("w")
    (tree.model / "inside").symlink_to("weights")
    (tree.model / "outside").symlink_to(tmp_path / "secret")
    (tree.model / "dangling").symlink_to("nothing")
    upload_model(world, job("NONE"), tree, tmp_path)
    keys = [stored.key for stored in world.objects.walk(BUCKET, "out/")]
    assert keys == ["out/j/output/model/inside", "out/j/output/model/weights"]


def test_nothing_becomes_of_nothing(world, tree, tmp_path):
    upload_model(world, job(), tree, tmp_path)
    upload_output(world, job(), tree, tmp_path)
    assert list(world.objects.walk(BUCKET, "")) == []


def test_a_second_job_of_the_name_replaces_the_output(world, tree, tmp_path):
    for text in ("first", "second"):
        (tree.failure.parent / "data" / "report").write_text(text)
        upload_output(world, job(), tree, tmp_path)
    with tarfile.open(world.objects.head(BUCKET, "out/j/output/output.tar.gz").path) as archive:
        assert archive.extractfile("report").read() == b"second"


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_a_folder_that_became_a_link_to_this_machine_stays_behind(world, tree, tmp_path, compression):
    secrets = tmp_path / "home"
    secrets.mkdir()
    (secrets / "key").write_text("mine")
    for folder in (tree.model, tree.failure.parent / "data"):
        folder.rmdir()
        folder.symlink_to(secrets)
    upload_model(world, job(compression), tree, tmp_path)
    upload_output(world, job(), tree, tmp_path)
    assert list(world.objects.walk(BUCKET, "")) == []
