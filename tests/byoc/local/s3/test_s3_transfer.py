import io
import json
import os
import random
import subprocess
import sys

import pytest
from boto3.s3.transfer import TransferConfig

from byoc_serving.model_version import describe, pull, upload
from byoc_serving.versions.manifest import manifest_bytes

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A file of 24 MiB, which is sent in parts."""
    path = tmp_path_factory.mktemp("big") / "model.bin"
    path.write_bytes(random.Random(3).randbytes(24 * MIB + 17))
    return path


def test_a_large_file_goes_up_and_down(local_s3, made_bucket, big, tmp_path):
    local_s3.client.upload_file(str(big), made_bucket, "big", ExtraArgs={"Metadata": {"a": "b"}})
    head = local_s3.client.head_object(Bucket=made_bucket, Key="big")
    assert (head["ContentLength"], head["Metadata"]) == (big.stat().st_size, {"a": "b"})
    assert head["ETag"].endswith('-4"')
    local_s3.client.download_file(made_bucket, "big", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == big.read_bytes()


def test_file_objects_and_copies_by_the_transfer_manager(local_s3, made_bucket, big):
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    bucket = local_s3.session.resource("s3", endpoint_url=local_s3.url).Bucket(made_bucket)
    bucket.upload_fileobj(io.BytesIO(big.read_bytes()), "one", Config=config)
    bucket.copy({"Bucket": made_bucket, "Key": "one"}, "two", Config=config)
    got = io.BytesIO()
    bucket.download_fileobj("two", got, Config=config)
    assert got.getvalue() == big.read_bytes()
    assert [one.key for one in bucket.objects.filter(Prefix="t")] == ["two"]


def test_a_model_version_of_ours_is_uploaded_and_pulled(local_s3, made_bucket, big, tmp_path, monkeypatch):
    for name, value in local_s3.env.items():
        monkeypatch.setenv(name, value)
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "sub" / "weights.bin").write_bytes(big.read_bytes())
    (model / "empty").touch()
    (model / "model.txt").write_bytes(b"tree\n")
    manifest = describe(model, name="m", part_size=5 * MIB)
    first = upload(model, manifest, f"s3://{made_bucket}/models")
    assert not first.was_there
    assert upload(model, manifest, f"s3://{made_bucket}/models").was_there
    kept = local_s3.store.head(made_bucket, f"models/m/{manifest.version}/manifest.json")
    assert kept.path.read_bytes() == manifest_bytes(manifest)
    assert kept.content_type == "application/json"
    pull(first.uri, tmp_path / "pulled", expected_sha256=first.manifest_sha256)
    assert (tmp_path / "pulled" / "sub" / "weights.bin").read_bytes() == big.read_bytes()


# The CLI's own driver, several commands in one process: each start of `aws` takes a second or two.
CLI = """
import json, sys
from awscli.clidriver import create_clidriver
driver = create_clidriver()
for command in json.loads(sys.argv[1]):
    if status := driver.main(command):
        sys.exit(f"{command}: {status}")
"""


def test_the_aws_cli_makes_fills_syncs_lists_and_removes_a_bucket(local_s3, big, tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    os.link(big, folder / "big.bin")
    (folder / "sub" / "ü b.txt").write_text("text")
    commands = [
        ["s3", "mb", "s3://made-by-cli"],
        ["s3", "sync", str(folder), "s3://made-by-cli/up", "--only-show-errors"],
        ["s3", "cp", "s3://made-by-cli/up/sub/ü b.txt", "s3://made-by-cli/copy.csv", "--only-show-errors"],
        ["s3", "mv", "s3://made-by-cli/copy.csv", "s3://made-by-cli/moved.csv", "--only-show-errors"],
        ["s3", "ls", "--recursive", "s3://made-by-cli"],
        ["s3api", "head-object", "--bucket", "made-by-cli", "--key", "up/sub/ü b.txt"],
        ["s3", "cp", "s3://made-by-cli/up/big.bin", str(tmp_path / "got"), "--only-show-errors"],
        ["s3", "rm", "s3://made-by-cli/up/big.bin"],
        ["s3", "rb", "s3://made-by-cli", "--force"],
    ]
    run = [sys.executable, "-c", CLI, json.dumps(commands)]
    done = subprocess.run(run, env=local_s3.env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{big.stat().st_size} up/big.bin" in done.stdout
    assert '"ContentType": "text/plain"' in done.stdout
    assert "4 moved.csv" in done.stdout
    assert (tmp_path / "got").read_bytes() == big.read_bytes()
    assert not local_s3.store.has_bucket("made-by-cli")
