"""The multipart upload's operations: create, upload (or copy) a part, list, complete, abort."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from byoc.local.errors import AwsError
from byoc.local.s3.blobs import Draft, read_pieces
from byoc.local.s3.call import Call, receive, to_the_end
from byoc.local.s3.checksums import COMPOSITE, FULL_OBJECT, LENGTHS, combined, composite, header_of, to_base64
from byoc.local.s3.conditions import Span, check_write, span_of
from byoc.local.s3.describing import description_of, etag_of
from byoc.local.s3.errors import conflict, invalid_argument, invalid_request, malformed_xml
from byoc.local.s3.integrity import LARGEST_PUT, Expected, expected_of
from byoc.local.s3.markup import Children, answer, iso_time, parse, text
from byoc.local.s3.objects import copy_source, written_checksums
from byoc.local.s3.records import ObjectPart, StoredObject, Upload, UploadedPart
from byoc.local.wire import Response

_MOST_PARTS = 10_000
_SMALLEST_PART = 5 * 1024**2
_MOST_LISTED = 1000


async def create_multipart_upload(call: Call) -> Response:
    """Answer CreateMultipartUpload."""
    description = description_of(call.headers)
    call.store.bucket(call.bucket)
    algorithm = call.headers.get("x-amz-checksum-algorithm", "").upper()
    kind = call.headers.get("x-amz-checksum-type", "").upper()
    if algorithm and algorithm not in LENGTHS:
        raise invalid_request("Checksum algorithm provided is unsupported.")
    if not algorithm and kind:
        raise invalid_request("The x-amz-checksum-type header can only be used with an algorithm.")
    if kind == FULL_OBJECT and algorithm.startswith("SHA"):
        raise invalid_request(f"The FULL_OBJECT checksum type cannot be used with the {algorithm} algorithm.")
    if algorithm and not kind:
        kind = FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE
    upload = call.store.uploads.begin(call.bucket, call.key, description, algorithm, kind)
    told = [("Bucket", call.bucket), ("Key", call.key), ("UploadId", upload.id)]
    response = answer("InitiateMultipartUploadResult", told)
    checksum = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind} if algorithm else {}
    return Response(200, response.body, {**response.headers, **checksum})


async def upload_part(call: Call) -> Response:
    """Answer UploadPart."""
    upload, number, expected = _upload(call), _number(call), expected_of(call.headers)
    if upload.algorithm and expected.algorithm != upload.algorithm:
        said = expected.algorithm.lower() or "null"
        raise invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, "
            f"actual checksum Type: {said}"
        )
    uploads = call.store.uploads
    draft = uploads.draft(upload.id, number, expected.size, expected.digests())

    try:
        checksums = await receive(call, expected, draft)
    except BaseException:
        uploads.drop(upload.id, number, draft)
        raise
    part = await to_the_end(lambda: _keep_part(call, upload, number, draft, checksums))
    told = {header_of(name): value for name, value in checksums.items()}
    return Response(200, headers={"etag": f'"{part.etag}"', **told})


async def upload_part_copy(call: Call) -> Response:
    """Answer UploadPartCopy."""
    upload, number = _upload(call), _number(call)
    part = await asyncio.to_thread(_copy_part, call, upload, number)
    told = [("ETag", f'"{part.etag}"'), ("LastModified", iso_time(part.modified)), *_checksums(part)]
    return answer("CopyPartResult", told)


async def list_parts(call: Call) -> Response:
    """Answer ListParts."""
    upload = _upload(call)
    after = number_in(call, "part-number-marker", 0)
    most = min(number_in(call, "max-parts", _MOST_LISTED), _MOST_LISTED)
    parts = [part for part in call.store.uploads.parts(upload.id) if part.number > after]
    listed = parts[:most]
    return answer(
        "ListPartsResult",
        [
            ("Bucket", call.bucket),
            ("Key", call.key),
            ("UploadId", upload.id),
            ("PartNumberMarker", after),
            ("NextPartNumberMarker", listed[-1].number if listed else 0),
            ("MaxParts", most),
            ("IsTruncated", len(parts) > most),
            ("ChecksumAlgorithm", upload.algorithm or None),
            ("ChecksumType", upload.checksum_type or None),
            *(("Part", _written(part)) for part in listed),
            ("StorageClass", upload.description.headers.get("x-amz-storage-class", "STANDARD")),
        ],
    )


async def complete_multipart_upload(call: Call) -> Response:
    """Answer CompleteMultipartUpload."""
    upload = _upload(call)
    asked = parse(await call.document(), "CompleteMultipartUpload").findall("Part")
    if not asked or not all(text(part, "PartNumber").isdecimal() for part in asked):
        raise malformed_xml()
    wanted = [
        (int(text(part, "PartNumber")), {child.tag: child.text or "" for child in part}) for part in asked
    ]
    chosen = _chosen(wanted, call.store.uploads.parts(upload.id))
    stored = await asyncio.to_thread(_complete, call, upload, chosen)
    host = call.headers.get("host", "")
    return answer(
        "CompleteMultipartUploadResult",
        [
            ("Location", f"http://{host}/{call.bucket}/{call.key}"),
            ("Bucket", call.bucket),
            ("Key", call.key),
            ("ETag", etag_of(stored)),
            *written_checksums(stored),
        ],
    )


async def abort_multipart_upload(call: Call) -> Response:
    """Answer AbortMultipartUpload."""
    upload = _upload(call)
    await asyncio.to_thread(call.store.uploads.abort, upload.id)
    return Response(204)


def number_in(call: Call, name: str, otherwise: int) -> int:
    """Return a number of the query (InvalidArgument)."""
    given = call.query.get(name, "")
    if given and not given.isdecimal():
        raise invalid_argument(f"Provided {name} not an integer or within integer range", name, given)
    return int(given) if given else otherwise


def _upload(call: Call) -> Upload:
    call.store.bucket(call.bucket)
    return call.store.uploads.head(call.query["uploadId"], call.bucket, call.key)


def _number(call: Call) -> int:
    given = call.query.get("partNumber", "")
    if not given.isdecimal() or not 1 <= int(given) <= _MOST_PARTS:
        message = f"Part number must be an integer between 1 and {_MOST_PARTS}, inclusive"
        raise invalid_argument(message, "partNumber", given)
    return int(given)


def _etag(draft: Draft) -> str:
    return draft.digests["MD5"].digest().hex()


def _keep_part(
    call: Call, upload: Upload, number: int, draft: Draft, checksums: Mapping[str, str]
) -> UploadedPart:
    uploads = call.store.uploads
    try:
        return uploads.keep(upload.id, number, draft, _etag(draft), checksums)
    except BaseException:
        uploads.drop(upload.id, number, draft)
        raise


def _copy_part(call: Call, upload: Upload, number: int) -> UploadedPart:
    source = copy_source(call)
    ranged = call.headers.get("x-amz-copy-source-range")
    span = span_of(ranged, source.size) or Span(0, source.size)
    if ranged and span.content_range(source.size) != f"{ranged.replace('bytes=', 'bytes ')}/{source.size}":
        message = "The x-amz-copy-source-range value must be of the form bytes=first-last within the source"
        raise invalid_argument(message, "x-amz-copy-source-range", ranged)
    if span.size > LARGEST_PUT:
        raise invalid_request("The specified copy source is larger than 5 GB. Copy ranges of it.")
    uploads = call.store.uploads
    digests = Expected(span.size, algorithm=upload.algorithm).digests()
    draft = uploads.draft(upload.id, number, span.size, digests)
    try:
        for piece in read_pieces(source.path, span.start, span.size):
            draft.write(piece)
        algorithm = upload.algorithm
        checksums = {algorithm: to_base64(digests[algorithm].digest())} if algorithm in digests else {}
    except FileNotFoundError as error:  # it was replaced just now
        uploads.drop(upload.id, number, draft)
        raise conflict() from error
    except BaseException:
        uploads.drop(upload.id, number, draft)
        raise
    return _keep_part(call, upload, number, draft, checksums)


def _chosen(
    wanted: Sequence[tuple[int, Mapping[str, str]]], known: Sequence[UploadedPart]
) -> list[UploadedPart]:
    """Return the parts that the client names (InvalidPart, InvalidPartOrder, EntityTooSmall)."""
    numbers = [number for number, _ in wanted]
    if numbers != sorted(set(numbers)):
        raise AwsError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        )
    parts = {part.number: part for part in known}
    chosen = [_part(number, said, parts.get(number)) for number, said in wanted]
    for part in chosen[:-1]:
        if part.size < _SMALLEST_PART:
            members = {
                "ProposedSize": part.size,
                "MinSizeAllowed": _SMALLEST_PART,
                "PartNumber": part.number,
                "ETag": part.etag,
            }
            message = "Your proposed upload is smaller than the minimum allowed size"
            raise AwsError("EntityTooSmall", message, members=members)
    return chosen


def _part(number: int, said: Mapping[str, str], part: UploadedPart | None) -> UploadedPart:
    checksums = {} if part is None else part.checksums
    other = [name for name in checksums if said.get(f"Checksum{name}", checksums[name]) != checksums[name]]
    if part is None or said.get("ETag", "").strip('"') != part.etag or other:
        raise AwsError(
            "InvalidPart",
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or "
            "the specified entity tag may not match the part's entity tag.",
            members={"PartNumber": number, "ETag": said.get("ETag", "")},
        )
    return part


def _complete(call: Call, upload: Upload, chosen: Sequence[UploadedPart]) -> StoredObject:
    size = sum(part.size for part in chosen)
    if call.headers.get("x-amz-mp-object-size", str(size)) != str(size):
        raise invalid_request("The provided 'x-amz-mp-object-size' header does not match what was computed.")
    checksums = _whole_checksum(call, upload, chosen)

    def finish(path: Path, size: int) -> StoredObject:
        new = StoredObject(
            bucket=call.bucket,
            key=call.key,
            size=size,
            etag=_whole_etag(chosen),
            modified=0.0,
            path=path,
            description=upload.description,
            checksums=checksums,
            checksum_type=upload.checksum_type if checksums else "",
            parts=tuple(ObjectPart(part.number, part.size, part.checksums) for part in chosen),
        )
        return call.store.keep(new, lambda before: check_write(call.headers, call.key, before))

    return call.store.uploads.complete(upload.id, chosen, finish)


def _whole_etag(chosen: Sequence[UploadedPart]) -> str:
    """Return the MD5 of the parts' MD5s and their number, as AWS makes it."""
    together = b"".join(bytes.fromhex(part.etag) for part in chosen)
    return f"{hashlib.md5(together, usedforsecurity=False).hexdigest()}-{len(chosen)}"


def _whole_checksum(call: Call, upload: Upload, chosen: Sequence[UploadedPart]) -> dict[str, str]:
    """Return the checksum of the whole from those of the parts (BadDigest where the client says another)."""
    algorithm = upload.algorithm
    if not algorithm:
        return {}
    said = call.headers.get(header_of(algorithm), "")
    sums = [(part.checksums.get(algorithm, ""), part.size) for part in chosen]
    if upload.checksum_type == FULL_OBJECT:
        found = combined(algorithm, sums)
    else:
        found = composite(algorithm, [checksum for checksum, _size in sums])
    if said and found and said not in (found, found.partition("-")[0]):
        raise AwsError("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
    return {algorithm: found or said} if found or said else {}


def _checksums(part: UploadedPart) -> Children:
    return [(f"Checksum{name}", value) for name, value in part.checksums.items()]


def _written(part: UploadedPart) -> Children:
    return [
        ("PartNumber", part.number),
        ("LastModified", iso_time(part.modified)),
        ("ETag", f'"{part.etag}"'),
        ("Size", part.size),
        *_checksums(part),
    ]
