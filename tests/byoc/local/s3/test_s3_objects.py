import io
import os
from datetime import UTC, datetime, timedelta

import pytest

AWKWARD_KEYS = [
    "..",
    "../../etc/passwd",
    "a/../b",
    "a//b",
    "/leading",
    "folder/",
    ".",
    "spaces and + & = ? # % ~ ' \" <xml>",
    "ünïcødé/日本語/🙂",
    "tab\tnew\nline\rbell\x07",
    "k" * 1024,
    "x-id",
]


@pytest.fixture
def put(local_s3, made_bucket):
    def put(key, body=b"hello world", **more):
        return local_s3.client.put_object(Bucket=made_bucket, Key=key, Body=body, **more)

    return put


@pytest.fixture
def get(local_s3, made_bucket):
    def get(key, **more):
        return local_s3.client.get_object(Bucket=made_bucket, Key=key, **more)

    return get


@pytest.mark.parametrize("key", AWKWARD_KEYS, ids=lambda key: ascii(key[:20]))
def test_any_key_is_an_object_of_its_own(key, local_s3, made_bucket, put, get):
    put(key, key.encode())
    assert get(key)["Body"].read() == key.encode()
    listed = local_s3.client.list_objects_v2(Bucket=made_bucket)["Contents"]
    assert [one["Key"] for one in listed] == [key]
    local_s3.client.delete_object(Bucket=made_bucket, Key=key)
    assert not local_s3.client.list_objects_v2(Bucket=made_bucket)["KeyCount"]


def test_what_the_client_says_of_an_object_comes_back_with_it(local_s3, made_bucket, put, get):
    said = {
        "ContentType": "text/csv",
        "ContentEncoding": "gzip",
        "ContentDisposition": "attachment",
        "ContentLanguage": "de",
        "CacheControl": "no-store",
        "Metadata": {"owner": "me", "mixed-case": "Value With Spaces"},
    }
    put("k", b"12345", **said)
    head = local_s3.client.head_object(Bucket=made_bucket, Key="k")
    for told in (head, get("k")):
        assert {name: told[name] for name in said} == said
        assert told["ContentLength"] == 5
        assert told["ETag"] == '"827ccb0eea8a706c4c34a16891f84e7b"'
        assert told["ServerSideEncryption"] == "AES256"
        assert datetime.now(UTC) - told["LastModified"] < timedelta(seconds=20)


def test_an_object_without_a_type_is_binary_as_on_aws(put, get):
    put("k")
    assert get("k")["ContentType"] == "binary/octet-stream"


def test_an_empty_object_is_an_object(local_s3, made_bucket, put, get, refused):
    put("k", b"")
    assert get("k")["Body"].read() == b""
    assert refused("get_object", Bucket=made_bucket, Key="k", Range="bytes=0-5") == ("InvalidRange", 416)


def test_a_newer_object_takes_the_place_of_the_older_and_its_file(local_s3, made_bucket, put, get):
    put("k", b"old", Metadata={"a": "b"})
    old = local_s3.store.head(made_bucket, "k").path
    put("k", b"newer")
    assert get("k")["Body"].read() == b"newer"
    assert get("k")["Metadata"] == {}
    assert not old.exists()


@pytest.mark.parametrize(
    ("asked", "body", "told"),
    [
        ("bytes=0-4", b"hello", "bytes 0-4/11"),
        ("bytes=6-", b"world", "bytes 6-10/11"),
        ("bytes=-5", b"world", "bytes 6-10/11"),
        ("bytes=6-999", b"world", "bytes 6-10/11"),
        ("bytes=-999", b"hello world", "bytes 0-10/11"),
        ("bytes=0-0", b"h", "bytes 0-0/11"),
    ],
)
def test_a_range_is_that_part_of_the_object(asked, body, told, put, get):
    put("k")
    answer = get("k", Range=asked)
    assert answer["Body"].read() == body
    assert answer["ContentRange"] == told
    assert answer["ContentLength"] == len(body)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "lines=0-1", "bytes=5-2", "bytes=-", "nonsense"])
def test_what_is_no_single_range_is_ignored(asked, put, get):
    put("k")
    answer = get("k", Range=asked)
    assert answer["Body"].read() == b"hello world"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("asked", ["bytes=11-", "bytes=11-12", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(asked, made_bucket, put, refused):
    put("k")
    assert refused("get_object", Bucket=made_bucket, Key="k", Range=asked) == ("InvalidRange", 416)


def test_what_is_missing_has_awss_own_errors(made_bucket, refused):
    assert refused("get_object", Bucket=made_bucket, Key="k") == ("NoSuchKey", 404)
    assert refused("head_object", Bucket=made_bucket, Key="k") == ("404", 404)
    assert refused("get_object", Bucket="nobodys", Key="k") == ("NoSuchBucket", 404)
    assert refused("put_object", Bucket="nobodys", Key="k", Body=b"1") == ("NoSuchBucket", 404)
    assert refused("get_object_tagging", Bucket=made_bucket, Key="k") == ("NoSuchKey", 404)
    assert refused("get_object", Bucket=made_bucket, Key="k", VersionId="1") == ("NoSuchVersion", 404)


def test_a_refused_upload_does_not_spoil_the_connection(local_s3, made_bucket, refused, get, put):
    # A file is sent only after "100 Continue"; the refusal comes instead of it.
    assert (
        refused("put_object", Bucket="nobodys", Key="k", Body=io.BytesIO(b"x" * 10_000_000))[0]
        == "NoSuchBucket"
    )
    put("k")
    assert get("k")["Body"].read() == b"hello world"


def test_a_reader_can_make_it_depend_on_what_is_there(made_bucket, put, get, refused):
    etag = put("k")["ETag"]
    known = {"Bucket": made_bucket, "Key": "k"}
    past, future = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    assert get("k", IfMatch=etag)["Body"].read()
    assert refused("get_object", **known, IfMatch='"other"') == ("PreconditionFailed", 412)
    assert refused("get_object", **known, IfNoneMatch=etag) == ("304", 304)
    assert refused("head_object", **known, IfNoneMatch=etag) == ("304", 304)
    assert get("k", IfNoneMatch='"other"')["Body"].read()
    assert refused("get_object", **known, IfModifiedSince=future) == ("304", 304)
    assert get("k", IfModifiedSince=past)["Body"].read()
    assert refused("get_object", **known, IfUnmodifiedSince=past) == ("PreconditionFailed", 412)
    assert get("k", IfUnmodifiedSince=past, IfMatch=etag)["Body"].read()


def test_a_writer_can_make_it_depend_on_what_is_there(made_bucket, put, get, refused):
    known = {"Bucket": made_bucket, "Key": "k", "Body": b"other"}
    assert refused("put_object", **known, IfMatch='"x"') == ("NoSuchKey", 404)
    etag = put("k", IfNoneMatch="*")["ETag"]
    assert refused("put_object", **known, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused("put_object", **known, IfMatch='"x"') == ("PreconditionFailed", 412)
    assert get("k")["Body"].read() == b"hello world"
    put("k", b"changed", IfMatch=etag)
    assert refused("delete_object", Bucket=made_bucket, Key="k", IfMatch=etag) == ("PreconditionFailed", 412)
    assert get("k")["Body"].read() == b"changed"


def test_a_reader_chooses_the_headers_that_he_sees(local_s3, made_bucket, put, get):
    put("k", CacheControl="no-store")
    told = get("k", ResponseContentType="text/x", ResponseContentDisposition='attachment; filename="a b"')
    assert (told["ContentType"], told["CacheControl"]) == ("text/x", "no-store")
    assert told["ContentDisposition"] == 'attachment; filename="a b"'
    path = f"/{made_bucket}/k?response-content-type=a%0d%0aevil:%20header"
    status, headers, body = local_s3.ask("GET", path)
    assert (status, headers["evil"]) == (400, None)
    assert b"<Code>InvalidRequest</Code>" in body


def test_a_copy_keeps_or_replaces_what_is_said_of_the_object(local_s3, made_bucket, put, get):
    put("a b/ü", Metadata={"one": "1"}, ContentType="text/x", Tagging="t=1")
    source = {"Bucket": made_bucket, "Key": "a b/ü"}
    copied = local_s3.client.copy_object(Bucket=made_bucket, Key="copy", CopySource=source)
    assert copied["CopyObjectResult"]["ETag"] == get("a b/ü")["ETag"]
    told = get("copy")
    assert (told["Metadata"], told["ContentType"], told["TagCount"]) == ({"one": "1"}, "text/x", 1)
    local_s3.client.copy_object(
        Bucket=made_bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"two": "2"}
    )
    assert get("copy")["Metadata"] == {"two": "2"}
    local_s3.client.delete_object(Bucket=made_bucket, Key="a b/ü")
    assert get("copy")["Body"].read() == b"hello world"


def test_a_copy_onto_itself_must_change_something(local_s3, made_bucket, put, get, refused):
    put("k")
    onto_itself = {"Bucket": made_bucket, "Key": "k", "CopySource": f"{made_bucket}/k"}
    assert refused("copy_object", **onto_itself) == ("InvalidRequest", 400)
    local_s3.client.copy_object(**onto_itself, MetadataDirective="REPLACE", Metadata={"n": "1"})
    assert (get("k")["Metadata"], get("k")["Body"].read()) == ({"n": "1"}, b"hello world")


def test_a_copy_depends_on_its_source(made_bucket, put, refused):
    etag = put("k")["ETag"]
    copy = {"Bucket": made_bucket, "Key": "copy"}
    assert refused("copy_object", **copy, CopySource=f"{made_bucket}/none") == ("NoSuchKey", 404)
    assert refused("copy_object", **copy, CopySource="nobodys/k") == ("NoSuchBucket", 404)
    known = copy | {"CopySource": f"{made_bucket}/k"}
    assert refused("copy_object", **known, CopySourceIfNoneMatch=etag) == ("PreconditionFailed", 412)
    assert refused("copy_object", **known, CopySourceIfMatch='"x"') == ("PreconditionFailed", 412)


def test_deleting_is_safe_to_repeat(local_s3, made_bucket, put, refused):
    put("k")
    file = local_s3.store.head(made_bucket, "k").path
    for _ in range(2):
        local_s3.client.delete_object(Bucket=made_bucket, Key="k")
    assert refused("get_object", Bucket=made_bucket, Key="k") == ("NoSuchKey", 404)
    assert not file.exists()


def test_many_are_deleted_at_once(local_s3, made_bucket, put):
    for key in ("a", "<&>\r\n ü", "c"):
        put(key)
    wanted = {"Objects": [{"Key": key} for key in ("a", "<&>\r\n ü", "missing")]}
    told = local_s3.client.delete_objects(Bucket=made_bucket, Delete=wanted)
    assert [one["Key"] for one in told["Deleted"]] == ["a", "<&>\r\n ü", "missing"]
    told = local_s3.client.delete_objects(
        Bucket=made_bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True}
    )
    assert "Deleted" not in told
    assert local_s3.client.list_objects_v2(Bucket=made_bucket)["KeyCount"] == 0


def test_tags_are_put_changed_and_removed(local_s3, made_bucket, put, get, refused):
    put("k", Tagging="stage=dev&owner=a%20b")
    known = {"Bucket": made_bucket, "Key": "k"}
    told = local_s3.client.get_object_tagging(**known)["TagSet"]
    assert told == [{"Key": "stage", "Value": "dev"}, {"Key": "owner", "Value": "a b"}]
    local_s3.client.put_object_tagging(**known, Tagging={"TagSet": [{"Key": "n", "Value": "<&>"}]})
    assert local_s3.client.get_object_tagging(**known)["TagSet"] == [{"Key": "n", "Value": "<&>"}]
    local_s3.client.delete_object_tagging(**known)
    assert local_s3.client.get_object_tagging(**known)["TagSet"] == []
    many = {"TagSet": [{"Key": str(n), "Value": ""} for n in range(11)]}
    assert refused("put_object_tagging", **known, Tagging=many) == ("BadRequest", 400)


def test_the_attributes_of_an_object(local_s3, made_bucket, put):
    put("k", ChecksumAlgorithm="SHA1")
    wanted = ["ETag", "Checksum", "ObjectSize", "StorageClass"]
    told = local_s3.client.get_object_attributes(Bucket=made_bucket, Key="k", ObjectAttributes=wanted)
    assert (told["ETag"], told["ObjectSize"]) == ("5eb63bbbe01eeed093cb22bb8f5acdc3", 11)
    assert told["StorageClass"] == "STANDARD"
    assert told["Checksum"] == {"ChecksumSHA1": "Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "ChecksumType": "FULL_OBJECT"}


def test_what_is_not_there_is_refused_with_a_400_that_names_it(local_s3, made_bucket, put, refused):
    put("k")
    known = {"Bucket": made_bucket, "Key": "k"}
    assert refused("restore_object", **known, RestoreRequest={"Days": 1}) == ("NotImplemented", 400)
    assert refused("get_object_torrent", **known) == ("NotImplemented", 400)
    secret = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    assert refused("put_object", **known, **secret)[0] in ("NotImplemented", "InvalidRequest")
    assert refused("put_object", **known, ACL="public-read") == ("AccessControlListNotSupported", 400)
    status, _, body = local_s3.ask("PATCH", f"/{made_bucket}/k")
    assert (status, b"PATCH of an object" in body) == (400, True)


def test_keys_that_aws_refuses_are_refused(local_s3, made_bucket, refused):
    known = {"Bucket": made_bucket, "Key": "k" * 1025, "Body": b""}
    assert refused("put_object", **known) == ("KeyTooLongError", 400)
    status, _, body = local_s3.ask("PUT", f"/{made_bucket}/%FF%FE", b"x")
    assert (status, b"<Code>InvalidURI</Code>" in body) == (400, True)


def test_a_presigned_url_is_enough(local_s3, made_bucket):
    known = {"Bucket": made_bucket, "Key": "a b+c"}
    upload = local_s3.client.generate_presigned_url("put_object", Params=known)
    assert local_s3.ask("PUT", upload.removeprefix(local_s3.url), b"signed")[0] == 200
    download = local_s3.client.generate_presigned_url("get_object", Params=known)
    assert local_s3.ask("GET", download.removeprefix(local_s3.url))[2] == b"signed"


def test_the_bucket_may_be_in_the_host_name(local_s3, made_bucket):
    host = f"{made_bucket}.localhost:{local_s3.port}"
    assert local_s3.ask("PUT", "/folder/k", b"x", host=host)[0] == 200
    assert local_s3.ask("GET", f"/{made_bucket}/folder/k")[2] == b"x"
    assert b"<Key>folder/k</Key>" in local_s3.ask("GET", "/", host=host)[2]


def test_head_tells_the_length_and_sends_nothing(local_s3, made_bucket, put):
    put("k")
    status, headers, body = local_s3.ask("HEAD", f"/{made_bucket}/k")
    assert (status, headers["content-length"], body) == (200, "11", b"")
    status, _, body = local_s3.ask("HEAD", f"/{made_bucket}/missing")
    assert (status, body) == (404, b"")


def test_a_fault_of_ours_is_no_5xx_which_clients_would_repeat(
    local_s3, made_bucket, put, refused, monkeypatch, caplog
):
    def broken(*_):
        raise RuntimeError("a bug")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_s3.store, "head", broken)
    assert refused("get_object", Bucket=made_bucket, Key="k") == ("InternalFailure", 400)
    assert "a bug" in caplog.text
    monkeypatch.setattr(os, "pwrite", full)
    assert refused("put_object", Bucket=made_bucket, Key="k", Body=b"1") == ("StorageFailure", 400)
    assert local_s3.store.find(made_bucket, "k") is None
