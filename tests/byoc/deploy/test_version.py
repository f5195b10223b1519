"""The model version: there, and the one whose digest was given."""

import hashlib

import pytest
from botocore.exceptions import ClientError

from byoc.deploy.errors import MissingError
from byoc.deploy.version import find_version, require_bucket

MANIFEST = b'{"name": "cancer"}'
SHA256 = hashlib.sha256(MANIFEST).hexdigest()


@pytest.fixture
def version(aws, bucket):
    """An AWS, and the URI of a version in it."""
    aws.client("s3").put_object(Bucket=bucket, Key="m/cancer/1/manifest.json", Body=MANIFEST)
    return aws, f"s3://{bucket}/m/cancer/1/"


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper()])
def test_a_version_is_found_with_or_without_the_last_slash(version, sha256):
    aws, uri = version
    assert find_version(aws, uri, sha256) == (uri, SHA256, ())
    assert find_version(aws, uri.rstrip("/"), sha256) == (uri, SHA256, ())


def test_as_found_takes_the_buckets_word_and_says_so(version):
    aws, uri = version
    _, sha256, (note,) = find_version(aws, uri, "as-found")
    assert sha256 == SHA256
    assert f"is {SHA256}, as found: whoever may write to" in note


@pytest.mark.bad_input
def test_another_manifest_is_refused(version):
    aws, uri = version
    with pytest.raises(
        MissingError, match=f"has the SHA-256 {SHA256}, and model_manifest_sha256 is {'0' * 64}"
    ):
        find_version(aws, uri, "0" * 64)


@pytest.mark.bad_input
def test_a_missing_version_is_named_with_the_command_that_uploads_one(version, bucket):
    aws, uri = version
    with pytest.raises(
        MissingError, match=rf"no model version at {uri}no/: .*s3_upload.py .* s3://{bucket}/"
    ):
        find_version(aws, f"{uri}no", SHA256)


@pytest.mark.bad_input
def test_a_missing_bucket_is_named_with_the_command_that_creates_it(version):
    aws, _ = version
    told = "no bucket not-there. Create it, and upload the model: aws s3 mb s3://not-there &&"
    with pytest.raises(MissingError, match=told):
        find_version(aws, "s3://not-there/m/", SHA256)
    with pytest.raises(MissingError, match=told):
        require_bucket(aws, "not-there")


def test_a_bucket_that_is_there_is_enough(version, bucket):
    require_bucket(version[0], bucket)


class DeniesAll:
    """An AWS whose caller may not read the bucket."""

    def client(self, _service):
        return self

    def get_object(self, **_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")


def test_who_may_not_read_the_bucket_goes_on_with_the_digest_and_a_note():
    _, sha256, (note,) = find_version(DeniesAll(), "s3://models/m/", SHA256)
    assert sha256 == SHA256
    assert "the role must be able to" in note
    with pytest.raises(ClientError):
        find_version(DeniesAll(), "s3://models/m/", "as-found")
