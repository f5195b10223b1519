"""A model's artefact becomes its container's /opt/ml/model, or the reason why it cannot is told."""

import io
import tarfile

import pytest

from byoc.local.hosting import model_data
from byoc.local.hosting.model_data import ModelDataError, lay_out
from byoc.local.s3.store import ObjectStore


class Bucket:
    """One bucket of a real store."""

    def __init__(self, folder):
        self._file = folder / "upload"
        self.new = folder / "new"
        self.objects = ObjectStore(folder / "objects")
        self.objects.create_bucket("bucket")

    def put(self, key, data=b"data"):
        self._file.write_bytes(data)
        self.objects.put_file("bucket", key, self._file)
        return f"s3://bucket/{key}"


@pytest.fixture
def bucket(tmp_path):
    made = Bucket(tmp_path)
    yield made
    made.objects.close()


@pytest.fixture
def laid_out(bucket, tmp_path):
    def lay(**container):
        model = tmp_path / "model"
        lay_out(bucket.objects, container, model)
        return {
            str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*") if path.is_file()
        }

    return lay


def source(uri, kind="S3Prefix", compression="None"):
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}}


def archive(**members):
    """Return a tar.gz of files, or of the TarInfo given."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in members.items():
            member = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            body = b"" if isinstance(data, tarfile.TarInfo) else data
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return made.getvalue()


@pytest.fixture
def replaced_at_the_last_moment(bucket, monkeypatch):
    """Have every object replaced by one with other data between its being found and its being opened."""
    found = bucket.objects.head

    def replace(name, key):
        stored = found(name, key)
        if stored.path.read_bytes() != b"newer":
            bucket.put(key, b"newer")
        return stored

    monkeypatch.setattr(bucket.objects, "head", replace)


@pytest.mark.usefixtures("replaced_at_the_last_moment")
def test_an_object_that_is_replaced_while_it_is_fetched_is_the_old_one_or_the_new(bucket, laid_out):
    bucket.put("v1/w.bin", b"older")
    assert laid_out(ModelDataSource=source("s3://bucket/v1/")) == {"w.bin": b"newer"}
    with pytest.raises(ModelDataError, match="Failed to extract model data archive"):
        lay_out(bucket.objects, {"ModelDataUrl": bucket.put("model.tar.gz", archive(a=b"1"))}, bucket.new)


def test_an_object_that_goes_away_while_a_prefix_is_fetched_is_named(bucket, laid_out, monkeypatch):
    for key in ("v1/a", "v1/b"):
        bucket.put(key)
    opened = bucket.objects.open

    def open_and_remove(name, key):
        bucket.objects.remove(name, "v1/b")
        return opened(name, key)

    monkeypatch.setattr(bucket.objects, "open", open_and_remove)
    with pytest.raises(ModelDataError, match="v1/b went away meanwhile"):
        laid_out(ModelDataSource=source("s3://bucket/v1/"))


def test_no_model_data_is_an_empty_folder(laid_out):
    assert laid_out() == {}


def test_an_archive_is_unpacked(bucket, laid_out):
    uri = bucket.put("v1/model.tar.gz", archive(**{"weights.bin": b"w", "code/inference.py": b"c"}))
    assert laid_out(ModelDataUrl=uri) == {"weights.bin": b"w", "code/inference.py": b"c"}


def test_an_archive_may_be_given_as_a_source_too(bucket, laid_out):
    uri = bucket.put("model.tar.gz", archive(a=b"1"))
    assert laid_out(ModelDataSource=source(uri, "S3Object", "Gzip")) == {"a": b"1"}


def test_a_prefix_is_copied_as_it_is(bucket, laid_out):
    for key in ("v1/a", "v1/sub/b", "v10/c"):
        bucket.put(key, key.encode())
    assert laid_out(ModelDataSource=source("s3://bucket/v1/")) == {"a": b"v1/a", "sub/b": b"v1/sub/b"}


def test_one_object_keeps_the_last_part_of_its_key(bucket, laid_out):
    assert laid_out(ModelDataSource=source(bucket.put("v1/w.bin"), "S3Object")) == {"w.bin": b"data"}


@pytest.mark.parametrize("key", ["v1/", "v1/a//b", "v1/../b", "v1/./b", "v1/" + "x" * 256])
def test_keys_that_cannot_be_files_are_refused(bucket, laid_out, key):
    bucket.put("v1/ok")
    bucket.put(key, b"")
    with pytest.raises(ModelDataError, match="cannot be a file"):
        laid_out(ModelDataSource=source("s3://bucket/v1/"))


def test_a_key_that_is_both_file_and_folder_is_refused(bucket, laid_out):
    bucket.put("v1/a")
    bucket.put("v1/a/b")
    with pytest.raises(ModelDataError, match="both a file and a folder"):
        laid_out(ModelDataSource=source("s3://bucket/v1/"))


@pytest.mark.parametrize("uri", ["s3://bucket/none.tar.gz", "s3://other/x", "s3://bucket", "https://x/y"])
def test_what_is_not_there_is_said_in_awss_words(laid_out, uri):
    words = f'Failed to download model data for container "container_1" from URL "{uri}". Please ensure'
    with pytest.raises(ModelDataError, match=words):
        laid_out(ModelDataUrl=uri)


def test_an_empty_prefix_is_refused(bucket, laid_out):
    with pytest.raises(ModelDataError, match="No object is there"):
        laid_out(ModelDataSource=source("s3://bucket/v1/"))


def link(kind):
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


@pytest.mark.parametrize(
    "data",
    [
        b"not an archive",
        archive(a=b"1" * 100)[:-20],
        archive(link=link(tarfile.SYMTYPE)),
        archive(link=link(tarfile.LNKTYPE)),
        archive(device=link(tarfile.CHRTYPE)),
        archive(**{"../outside": b"1"}),
    ],
    ids=["text", "cut", "symlink", "hard link", "device", "outside"],
)
def test_an_archive_that_cannot_be_unpacked_is_refused(bucket, laid_out, data, tmp_path):
    uri = bucket.put("model.tar.gz", data)
    with pytest.raises(ModelDataError, match="Failed to extract model data archive"):
        laid_out(ModelDataUrl=uri)
    assert not (tmp_path / "outside").exists()


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(bucket, laid_out, monkeypatch):
    monkeypatch.setattr(model_data, "MOST_BYTES", 1000)
    uri = bucket.put("model.tar.gz", archive(a=b"0" * 1001))
    with pytest.raises(ModelDataError, match="more than 1000 bytes"):
        laid_out(ModelDataUrl=uri)
