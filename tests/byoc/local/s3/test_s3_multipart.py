import hashlib
import random
import zlib
from base64 import b64encode
from dataclasses import dataclass, field

import pytest

MIB = 1024 * 1024
DATA = random.Random(7).randbytes(18 * MIB)
PARTS = [DATA[: 6 * MIB], DATA[6 * MIB : 12 * MIB], DATA[12 * MIB : 12 * MIB + 1000]]
WHOLE = b"".join(PARTS)


@dataclass
class Uploading:
    """A multipart upload under way."""

    client: object
    known: dict
    etags: dict = field(default_factory=dict)

    def send(self, number, body, **more):
        told = self.client.upload_part(**self.known, PartNumber=number, Body=body, **more)
        self.etags[number] = told["ETag"]
        return told

    def parts(self, numbers=None):
        return {"Parts": [{"PartNumber": n, "ETag": self.etags[n]} for n in numbers or sorted(self.etags)]}

    def complete(self, numbers=None, **more):
        return self.client.complete_multipart_upload(
            **self.known, MultipartUpload=self.parts(numbers), **more
        )


@pytest.fixture
def begin(local_s3, made_bucket):
    def begin(key="k", **more):
        told = local_s3.client.create_multipart_upload(Bucket=made_bucket, Key=key, **more)
        return Uploading(local_s3.client, {"Bucket": made_bucket, "Key": key, "UploadId": told["UploadId"]})

    return begin


@pytest.fixture
def content(local_s3, made_bucket):
    return lambda key="k": local_s3.store.head(made_bucket, key).path.read_bytes()


@pytest.fixture
def files(local_s3):
    """How many files there are more than at the beginning of the test."""
    before = len(list(local_s3.store.blobs.folder.iterdir()))
    return lambda: len(list(local_s3.store.blobs.folder.iterdir())) - before


def test_parts_become_an_object_with_what_was_said_at_the_beginning(begin, content, local_s3, made_bucket):
    upload = begin(ContentType="text/x", Metadata={"a": "b"}, Tagging="t=1")
    for number, part in enumerate(PARTS, 1):
        upload.send(number, part)
    md5s = b"".join(hashlib.md5(part).digest() for part in PARTS)
    etag = f'"{hashlib.md5(md5s).hexdigest()}-3"'
    assert upload.complete()["ETag"] == etag
    head = local_s3.client.head_object(Bucket=made_bucket, Key="k")
    assert (head["ETag"], head["ContentType"], head["Metadata"]) == (etag, "text/x", {"a": "b"})
    assert content() == WHOLE


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 1, 3), (3, 2, 1), (2, 3, 1)])
def test_parts_may_come_in_any_order(order, begin, content, files):
    upload = begin()
    for number in order:
        upload.send(number, PARTS[number - 1])
    upload.complete()
    assert content() == WHOLE
    assert files() == 1


def test_parts_of_one_size_are_put_together_without_a_copy(begin, local_s3, made_bucket, files):
    upload = begin()
    for number in (2, 1, 3):
        upload.send(number, PARTS[number - 1])
    assert files() == 1
    (path,) = {part.path for part in local_s3.store.uploads.parts(upload.known["UploadId"])}
    upload.complete()
    assert local_s3.store.head(made_bucket, "k").path == path


def test_a_part_that_is_sent_again_counts(begin, content, files):
    upload = begin()
    for number, part in ((1, PARTS[1]), (1, PARTS[2]), (1, PARTS[0]), (2, PARTS[1]), (3, PARTS[2])):
        upload.send(number, part)
    upload.complete()
    assert content() == WHOLE
    assert files() == 1


def test_only_the_parts_that_are_named_count(begin, content, files):
    upload = begin()
    for number, part in ((1, PARTS[0]), (2, PARTS[0]), (7, PARTS[1]), (9, PARTS[2]), (10, b"no")):
        upload.send(number, part)
    upload.complete([1, 7, 9])
    assert content() == WHOLE
    assert files() == 1


def test_parts_of_any_sizes_are_put_together(begin, content):
    upload = begin()
    sizes = [5 * MIB, 5 * MIB + 1, 7 * MIB, 3]
    position = 0
    for number, size in enumerate(sizes, 1):
        upload.send(number, DATA[position : position + size])
        position += size
    upload.complete()
    assert content() == DATA[: sum(sizes)]


def test_an_aborted_upload_leaves_nothing(begin, files, local_s3, made_bucket, refused):
    upload = begin()
    upload.send(1, PARTS[0])
    upload.send(1, PARTS[1])
    local_s3.client.abort_multipart_upload(**upload.known)
    assert files() == 0
    assert refused("abort_multipart_upload", **upload.known) == ("NoSuchUpload", 404)
    assert refused("upload_part", **upload.known, PartNumber=1, Body=b"") == ("NoSuchUpload", 404)
    assert refused("get_object", Bucket=made_bucket, Key="k") == ("NoSuchKey", 404)


def test_a_completed_upload_has_ended(begin, refused):
    upload = begin()
    upload.send(1, b"x")
    upload.complete()
    assert refused("list_parts", **upload.known) == ("NoSuchUpload", 404)


def test_wrong_lists_of_parts_are_refused_and_the_upload_goes_on(begin, refused, content):
    upload = begin()
    for number, part in enumerate(PARTS, 1):
        upload.send(number, part)

    def complete(parts):
        listed = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
        return refused("complete_multipart_upload", **upload.known, MultipartUpload=listed)

    etags = upload.etags
    assert complete([(1, etags[2])]) == ("InvalidPart", 400)
    assert complete([(1, etags[1]), (4, etags[1])]) == ("InvalidPart", 400)
    assert complete([(2, etags[2]), (1, etags[1])]) == ("InvalidPartOrder", 400)
    assert complete([(1, etags[1]), (1, etags[1])]) == ("InvalidPartOrder", 400)
    assert refused("complete_multipart_upload", **upload.known) == ("MalformedXML", 400)
    upload.send(2, b"too small")
    assert complete(upload.etags.items()) == ("EntityTooSmall", 400)
    upload.send(2, PARTS[1])
    wrong = {"MultipartUpload": upload.parts(), "MpuObjectSize": 5}
    assert refused("complete_multipart_upload", **upload.known, **wrong) == ("InvalidRequest", 400)
    upload.complete(MpuObjectSize=len(WHOLE))
    assert content() == WHOLE


@pytest.mark.parametrize("number", [0, 10_001])
def test_a_part_has_a_number_that_aws_takes(number, begin, refused):
    code = refused("upload_part", **begin().known, PartNumber=number, Body=b"")
    assert code == ("InvalidArgument", 400)


def test_completing_can_depend_on_what_is_there(begin, refused, local_s3, made_bucket, content):
    upload = begin()
    upload.send(1, b"new")
    local_s3.client.put_object(Bucket=made_bucket, Key="k", Body=b"there first")
    wanted = upload.known | {"MultipartUpload": upload.parts(), "IfNoneMatch": "*"}
    assert refused("complete_multipart_upload", **wanted) == ("PreconditionFailed", 412)
    assert content() == b"there first"
    upload.complete()
    assert content() == b"new"


def test_uploads_and_their_parts_are_listed(begin, local_s3, made_bucket):
    upload, other = begin("a"), begin("b/c", ChecksumAlgorithm="SHA256")
    for number in (1, 2, 5):
        upload.send(number, b"x" * number)
    told = local_s3.client.list_multipart_uploads(Bucket=made_bucket)["Uploads"]
    assert [(one["Key"], one["UploadId"]) for one in told] == [
        ("a", upload.known["UploadId"]),
        ("b/c", other.known["UploadId"]),
    ]
    assert told[1]["ChecksumAlgorithm"] == "SHA256"
    pages = local_s3.client.get_paginator("list_multipart_uploads").paginate(
        Bucket=made_bucket, PaginationConfig={"PageSize": 1}
    )
    assert [len(page["Uploads"]) for page in pages] == [1, 1]
    pages = list(
        local_s3.client.get_paginator("list_parts").paginate(**upload.known, PaginationConfig={"PageSize": 2})
    )
    assert [[part["PartNumber"] for part in page["Parts"]] for page in pages] == [[1, 2], [5]]
    assert [part["Size"] for page in pages for part in page["Parts"]] == [1, 2, 5]
    assert pages[1]["Parts"][0]["ETag"] == upload.etags[5]


def test_parts_can_be_copied_from_objects(begin, content, local_s3, made_bucket, refused):
    local_s3.client.put_object(Bucket=made_bucket, Key="source", Body=WHOLE)
    upload = begin()
    source = {"CopySource": f"{made_bucket}/source"}
    for number, span in ((1, f"bytes=0-{6 * MIB - 1}"), (2, f"bytes={6 * MIB}-{len(WHOLE) - 1}")):
        told = local_s3.client.upload_part_copy(
            **upload.known, **source, PartNumber=number, CopySourceRange=span
        )
        upload.etags[number] = told["CopyPartResult"]["ETag"]
    upload.complete()
    assert content() == WHOLE
    behind = {"PartNumber": 1, "CopySourceRange": f"bytes=0-{len(WHOLE)}"}
    assert refused("upload_part_copy", **begin("x").known, **source, **behind) == ("InvalidArgument", 400)


def test_a_copy_of_an_object_in_parts_is_in_one_piece(begin, local_s3, made_bucket):
    upload = begin(ChecksumAlgorithm="CRC32")
    for number, part in enumerate(PARTS, 1):
        upload.send(number, part)
    upload.complete()
    local_s3.client.copy_object(Bucket=made_bucket, Key="copy", CopySource=f"{made_bucket}/k")
    told = local_s3.client.head_object(Bucket=made_bucket, Key="copy", ChecksumMode="ENABLED")
    assert told["ETag"] == f'"{hashlib.md5(WHOLE).hexdigest()}"'
    assert told["ChecksumCRC32"] == b64encode(zlib.crc32(WHOLE).to_bytes(4)).decode()


def sha256(data):
    return b64encode(hashlib.sha256(data).digest()).decode()


def test_a_composite_checksum_is_that_of_the_parts_checksums(begin, local_s3, made_bucket):
    upload = begin(ChecksumAlgorithm="SHA256")
    for number, part in enumerate(PARTS, 1):
        assert upload.send(number, part, ChecksumSHA256=sha256(part))["ChecksumSHA256"] == sha256(part)
    expected = sha256(b"".join(hashlib.sha256(part).digest() for part in PARTS)) + "-3"
    assert upload.complete()["ChecksumSHA256"] == expected
    wanted = ["Checksum", "ObjectParts"]
    told = local_s3.client.get_object_attributes(Bucket=made_bucket, Key="k", ObjectAttributes=wanted)
    assert told["Checksum"] == {
        "ChecksumSHA256": expected.partition("-")[0] + "-3",
        "ChecksumType": "COMPOSITE",
    }
    assert told["ObjectParts"]["TotalPartsCount"] == 3
    assert [part["ChecksumSHA256"] for part in told["ObjectParts"]["Parts"]] == [
        sha256(part) for part in PARTS
    ]


def test_a_full_object_checksum_is_that_of_all_bytes(begin, refused, local_s3, made_bucket):
    upload = begin(ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    for number, part in enumerate(PARTS, 1):
        upload.send(number, part, ChecksumAlgorithm="CRC32")
    wrong = {"MultipartUpload": upload.parts(), "ChecksumCRC32": "AAAAAA=="}
    assert refused("complete_multipart_upload", **upload.known, **wrong) == ("BadDigest", 400)
    told = upload.complete()
    assert told["ChecksumCRC32"] == b64encode(zlib.crc32(WHOLE).to_bytes(4)).decode()
    assert (
        local_s3.client.get_object(Bucket=made_bucket, Key="k", ChecksumMode="ENABLED")["Body"].read()
        == WHOLE
    )


def test_a_part_needs_the_checksum_that_was_announced(begin, refused):
    upload = begin(ChecksumAlgorithm="SHA256")
    other = {"PartNumber": 1, "Body": b"x", "ChecksumAlgorithm": "CRC32"}
    assert refused("upload_part", **upload.known, **other) == ("InvalidRequest", 400)
    wrong = {"PartNumber": 1, "Body": b"x", "ChecksumSHA256": sha256(b"y")}
    assert refused("upload_part", **upload.known, **wrong) == ("BadDigest", 400)


def test_a_part_can_be_read_alone(begin, local_s3, made_bucket, refused):
    upload = begin()
    for number, part in enumerate(PARTS, 1):
        upload.send(number, part)
    upload.complete()
    told = local_s3.client.get_object(Bucket=made_bucket, Key="k", PartNumber=3)
    assert told["Body"].read() == PARTS[2]
    assert told["PartsCount"] == 3
    code = refused("get_object", Bucket=made_bucket, Key="k", PartNumber=4)
    assert code == ("InvalidPartNumber", 416)
