"""The objects of a channel lie where SageMaker puts them."""

import gzip
import json

import pytest

from byoc.local.sagemaker.channels import DownloadError, download, path_below

BUCKET = "sagemaker-us-east-1-123456789012"


def job(uri, kind="S3Prefix", mode="File", **channel):
    source = {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}
    return {
        "AlgorithmSpecification": {"TrainingInputMode": mode},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": source, **channel}],
    }


def laid_out(folder):
    files = (path for path in (folder / "train").rglob("*") if path.is_file())
    return {path.relative_to(folder / "train").as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("rows", "rows/a.csv", "a.csv"),
        ("rows/", "rows/deep/a.csv", "deep/a.csv"),
        ("data/rows/a.csv", "data/rows/a.csv", "a.csv"),
        ("data/ro", "data/rows/a.csv", "rows/a.csv"),
        ("", "rows/a.csv", "rows/a.csv"),
        ("rows/", "rows/", ""),
        ("rows/", "rows//etc/a.csv", "/etc/a.csv"),
    ],
)
def test_a_key_becomes_a_path_below_its_prefix(prefix, key, path):
    assert path_below(prefix, key) == path


def test_a_prefix_brings_all_below_it(world, put, tmp_path):
    put("rows/", b"")
    put("rows/a.csv", b"a")
    put("rows/deep/b.csv", b"b")
    put("rows//etc/c.csv", b"c")
    put("other/d.csv", b"d")
    download(world, job(f"s3://{BUCKET}/rows/"), tmp_path)
    assert laid_out(tmp_path) == {"a.csv": b"a", "deep/b.csv": b"b", "etc/c.csv": b"c"}


def test_a_job_that_is_to_stop_brings_nothing_more(world, put, tmp_path):
    put("rows/a.csv")
    download(world, job(f"s3://{BUCKET}/rows/"), tmp_path, enough=lambda: True)
    assert laid_out(tmp_path) == {}


def test_a_manifest_brings_what_it_lists(world, put, tmp_path):
    put("rows/a.csv", b"a")
    put("rows/deep/b.csv", b"b")
    put("rows/c.csv", b"c")
    manifest = put("list", json.dumps([{"prefix": f"s3://{BUCKET}/rows/"}, "a.csv", "deep/b.csv"]).encode())
    download(world, job(manifest, "ManifestFile"), tmp_path)
    assert laid_out(tmp_path) == {"a.csv": b"a", "deep/b.csv": b"b"}


@pytest.mark.parametrize("body", [b"no json", b"{}", b"[]", b"[1]", b'[{"prefix": "s3://no/"}, "a"]'])
def test_a_manifest_that_is_none_is_told(world, put, tmp_path, body):
    with pytest.raises(DownloadError, match="train: "):
        download(world, job(put("list", body), "ManifestFile"), tmp_path)


def test_packed_objects_are_unpacked(world, put, tmp_path):
    put("rows/a.csv.gz", gzip.compress(b"a" * 100_000))
    put("rows/plain", gzip.compress(b"b"))
    download(world, job(f"s3://{BUCKET}/rows", CompressionType="Gzip"), tmp_path)
    assert laid_out(tmp_path) == {"a.csv": b"a" * 100_000, "plain": b"b"}


def test_half_a_packed_object_is_told(world, put, tmp_path):
    put("rows/a.gz", gzip.compress(b"a" * 100_000)[:-20])
    with pytest.raises(DownloadError, match="train: "):
        download(world, job(f"s3://{BUCKET}/rows", CompressionType="Gzip"), tmp_path)


@pytest.mark.parametrize("key", ["rows/../../out", "rows/a/b"])
def test_a_key_that_cannot_be_a_file_is_told(world, put, tmp_path, key):
    put("rows/a")
    put(key)
    with pytest.raises(DownloadError, match="train: "):
        download(world, job(f"s3://{BUCKET}/rows"), tmp_path / "ml")
    assert not (tmp_path / "out").exists()


def test_fast_files_are_read_only(world, put, tmp_path):
    put("rows/deep/a.csv")
    download(world, job(f"s3://{BUCKET}/rows", mode="FastFile"), tmp_path)
    paths = [tmp_path / "train", *(tmp_path / "train").rglob("*")]
    assert {path.stat().st_mode & 0o222 for path in paths} == {0}


def test_a_program_may_change_its_files_and_not_ours(world, put, tmp_path):
    put("rows/a.csv", b"ours")
    download(world, job(f"s3://{BUCKET}/rows"), tmp_path)
    (tmp_path / "train" / "a.csv").write_bytes(b"theirs")
    assert world.objects.head(BUCKET, "rows/a.csv").path.read_bytes() == b"ours"
