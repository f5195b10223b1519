import base64
import hashlib
import os
import random
import socket
import zlib
from contextlib import suppress

import pytest

from byoc.local.errors import AwsError
from byoc.local.s3.checksums import combined, composite
from byoc.local.s3.chunked import ChunkedBody
from processes import eventually

BODY = bytes(range(256)) * 20


def b64(digest):
    return base64.b64encode(digest).decode()


CHECKSUMS = {
    "crc32": b64(zlib.crc32(BODY).to_bytes(4)),
    "sha1": b64(hashlib.sha1(BODY).digest()),
    "sha256": b64(hashlib.sha256(BODY).digest()),
    "sha512": b64(hashlib.sha512(BODY).digest()),
    "md5": b64(hashlib.md5(BODY).digest()),
}


def files(local_s3):
    """The sizes of the store's files."""
    found = {}
    for entry in os.scandir(local_s3.store.blobs.folder):
        with suppress(FileNotFoundError):
            found[entry.name] = entry.stat().st_size
    return found


@pytest.fixture
def code_of(local_s3, made_bucket):
    """Send BODY with these headers and return the error's code, or None where the object is there."""
    before = files(local_s3)

    def send(body=BODY, **headers):
        status, _, answer = local_s3.ask("PUT", f"/{made_bucket}/k", body, **headers)
        there = local_s3.store.find(made_bucket, "k") is not None
        assert there == (status == 200)
        assert len(files(local_s3)) == len(before) + there
        return None if there else answer.partition(b"<Code>")[2].partition(b"<")[0].decode()

    return send


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_a_checksum_is_verified_and_told_again(algorithm, code_of, local_s3, made_bucket):
    header = f"x-amz-checksum-{algorithm}"
    wrong = b64(b"\0" * len(base64.b64decode(CHECKSUMS[algorithm])))
    assert code_of(**{header: wrong}) == "BadDigest"
    assert code_of(**{header: "nonsense"}) == "InvalidRequest"
    assert code_of(**{header: CHECKSUMS[algorithm]}) is None
    _, headers, _ = local_s3.ask("HEAD", f"/{made_bucket}/k", x_amz_checksum_mode="ENABLED")
    assert (headers[header], headers["x-amz-checksum-type"]) == (CHECKSUMS[algorithm], "FULL_OBJECT")
    _, headers, _ = local_s3.ask("HEAD", f"/{made_bucket}/k")
    assert headers[header] is None


@pytest.mark.parametrize("algorithm", ["crc32c", "crc64nvme", "xxhash64", "xxhash3", "xxhash128"])
def test_a_checksum_that_no_library_here_computes_is_kept_as_it_is_told(
    algorithm, code_of, local_s3, made_bucket
):
    header = f"x-amz-checksum-{algorithm}"
    told = b64(b"\1" * {"crc32c": 4, "xxhash128": 16}.get(algorithm, 8))
    assert code_of(**{header: told}) is None
    _, headers, _ = local_s3.ask("GET", f"/{made_bucket}/k", x_amz_checksum_mode="ENABLED")
    assert headers[header] == told


def test_a_wrong_digest_is_refused(code_of):
    assert code_of(content_md5="nonsense") == "InvalidDigest"
    assert code_of(content_md5=b64(hashlib.md5(b"other").digest())) == "BadDigest"
    assert code_of(x_amz_content_sha256=hashlib.sha256(b"other").hexdigest()) == "XAmzContentSHA256Mismatch"
    assert code_of(x_amz_checksum_crc32="AAAAAA==", x_amz_checksum_sha1="AA==") == "InvalidRequest"
    assert (
        code_of(content_md5=CHECKSUMS["md5"], x_amz_content_sha256=hashlib.sha256(BODY).hexdigest()) is None
    )


def test_boto3s_own_checksum_comes_back_and_boto3_verifies_it(local_s3, made_bucket):
    for algorithm in ("CRC32", "SHA256"):
        local_s3.client.put_object(Bucket=made_bucket, Key="k", Body=BODY, ChecksumAlgorithm=algorithm)
        told = local_s3.client.get_object(Bucket=made_bucket, Key="k", ChecksumMode="ENABLED")
        assert told["Body"].read() == BODY
        assert told[f"Checksum{algorithm}"] == CHECKSUMS[algorithm.lower()]


def in_chunks(body, *, size=1000, trailer=b"", signature=b""):
    """Return a body as aws-chunked has it."""
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    encoded = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), signature, chunk) for chunk in chunks)
    return encoded + b"0" + signature + b"\r\n" + trailer + b"\r\n"


def chunked(body=BODY, **more):
    length = {"x-amz-decoded-content-length": str(len(body)), "content-encoding": "aws-chunked"}
    return length | {name.replace("_", "-"): value for name, value in more.items()}


def test_a_chunked_body_with_a_trailing_checksum_is_decoded_and_verified(code_of, local_s3, made_bucket):
    told = chunked(
        x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER", x_amz_trailer="x-amz-checksum-crc32"
    )
    wrong = in_chunks(BODY, trailer=b"x-amz-checksum-crc32:AAAAAA==\r\n")
    assert code_of(wrong, **told) == "BadDigest"
    assert code_of(in_chunks(BODY), **told) == "MalformedTrailerError"
    right = in_chunks(BODY, trailer=b"x-amz-checksum-crc32:%s\r\n" % CHECKSUMS["crc32"].encode())
    assert code_of(right, **told) is None
    _, headers, body = local_s3.ask("GET", f"/{made_bucket}/k", x_amz_checksum_mode="ENABLED")
    assert (body, headers["content-encoding"]) == (BODY, None)
    assert headers["x-amz-checksum-crc32"] == CHECKSUMS["crc32"]


def test_a_signed_chunked_body_is_decoded(code_of, local_s3, made_bucket):
    body = in_chunks(BODY, size=4096, signature=b";chunk-signature=" + b"a" * 64)
    told = chunked(x_amz_content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD") | {
        "content-encoding": "aws-chunked,gzip"
    }
    assert code_of(body, **told) is None
    _, headers, got = local_s3.ask("GET", f"/{made_bucket}/k")
    assert (got, headers["content-encoding"]) == (BODY, "gzip")


def test_a_chunked_body_of_another_length_or_form_is_refused(code_of):
    assert code_of(in_chunks(BODY[:-1]), **chunked()) == "IncompleteBody"
    assert code_of(in_chunks(BODY + b"1"), **chunked()) == "IncompleteBody"
    assert code_of(in_chunks(BODY)[:-5], **chunked()) == "IncompleteBody"
    assert code_of(b"xyz\r\n", **chunked()) == "InvalidChunkSizeError"
    assert code_of(b"-5\r\n12345\r\n", **chunked()) == "InvalidChunkSizeError"


def test_a_chunked_body_may_arrive_in_pieces_of_any_size():
    encoded = in_chunks(BODY, size=777, trailer=b"X-Some: thing\r\n", signature=b";chunk-signature=ab")
    for seed in range(50):
        cut = random.Random(seed)
        decoder, found, position = ChunkedBody(), b"", 0
        while position < len(encoded):
            step = cut.choice((1, 2, 3, 50, 5000))
            found += b"".join(decoder.feed(encoded[position : position + step]))
            position += step
        assert (found, decoder.complete, decoder.trailers) == (BODY, True, {"x-some": "thing"})


def test_a_line_without_an_end_is_refused():
    decoder = ChunkedBody()
    decoder.feed(b"1" * 10_000)
    with pytest.raises(AwsError, match="too long"):
        decoder.feed(b"1" * 10_000)


def test_a_length_is_needed(local_s3, made_bucket):
    body = b"3\r\nabc\r\n0\r\n\r\n"
    status, _, body = local_s3.ask("PUT", f"/{made_bucket}/k", body, transfer_encoding="chunked")
    assert (status, b"<Code>MissingContentLength</Code>" in body) == (411, True)
    status, _, body = local_s3.ask("PUT", f"/{made_bucket}/k", b"", content_length=str(6 * 1024**3))
    assert (status, b"<Code>EntityTooLarge</Code>" in body) == (400, True)


def begin_to_send(local_s3, target):
    """Send a part of a body, hang up as soon as it is being written."""
    before = files(local_s3)
    with socket.create_connection(("127.0.0.1", local_s3.port)) as client:
        client.sendall(f"PUT /{target} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n".encode())
        client.sendall(b"x" * 5_000_000)
        assert eventually(lambda: sum(files(local_s3).values()) > sum(before.values()))


def test_an_interrupted_upload_leaves_nothing(local_s3, made_bucket):
    before = files(local_s3)
    begin_to_send(local_s3, f"{made_bucket}/k")
    assert eventually(lambda: files(local_s3) == before)
    assert local_s3.store.find(made_bucket, "k") is None


def test_an_interrupted_part_can_be_sent_again(local_s3, made_bucket):
    known = {"Bucket": made_bucket, "Key": "k"}
    known["UploadId"] = local_s3.client.create_multipart_upload(**known)["UploadId"]
    begin_to_send(local_s3, f"{made_bucket}/k?partNumber=1&uploadId={known['UploadId']}")
    assert "Parts" not in local_s3.client.list_parts(**known)
    etag = local_s3.client.upload_part(**known, PartNumber=1, Body=BODY)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    local_s3.client.complete_multipart_upload(**known, MultipartUpload=parts)
    assert local_s3.store.head(made_bucket, "k").path.read_bytes() == BODY


def test_the_crc_of_the_whole_follows_from_those_of_its_parts():
    parts = [BODY[:1000], BODY[1000:1001], b"", BODY[1001:]]
    sums = [(b64(zlib.crc32(part).to_bytes(4)), len(part)) for part in parts]
    assert combined("CRC32", sums) == CHECKSUMS["crc32"]
    # "123456789", of the catalogue of CRC algorithms, and its halves.
    assert combined("CRC32C", [(b64((0xE3069283).to_bytes(4)), 9)]) == b64((0xE3069283).to_bytes(4))
    assert combined("SHA256", [("x", 1)]) is None
    assert combined("CRC32", [("", 1)]) is None


@pytest.mark.parametrize(
    ("algorithm", "polynomial", "check"),
    [("CRC32C", 0x82F63B78, 0xE3069283), ("CRC64NVME", 0x9A6C9329AC4BC9B5, 0xAE8B14860A799888)],
)
def test_other_crcs_are_combined_alike(algorithm, polynomial, check):
    width = 4 if algorithm == "CRC32C" else 8

    def crc(data):
        value = ones = (1 << 8 * width) - 1
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = (value >> 1) ^ (polynomial if value & 1 else 0)
        return b64((value ^ ones).to_bytes(width))

    assert crc(b"123456789") == b64(check.to_bytes(width))
    assert combined(algorithm, [(crc(b"1234"), 4), (crc(b"56789"), 5)]) == crc(b"123456789")


def test_a_checksum_of_checksums_names_the_number_of_parts():
    sums = [b64(hashlib.sha256(part).digest()) for part in (b"a", b"b")]
    digest = hashlib.sha256(hashlib.sha256(b"a").digest() + hashlib.sha256(b"b").digest()).digest()
    assert composite("SHA256", sums) == f"{b64(digest)}-2"
    assert composite("CRC32C", ["AAAAAA=="]) is None
