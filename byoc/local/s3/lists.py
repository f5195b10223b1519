"""The operations that list: buckets, objects (both versions of it), versions, uploads under way."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from urllib.parse import quote

from byoc.local.s3.call import Call
from byoc.local.s3.describing import etag_of
from byoc.local.s3.errors import invalid_argument
from byoc.local.s3.listing import Page, page_of
from byoc.local.s3.markup import Children, answer, iso_time
from byoc.local.s3.multipart import number_in
from byoc.local.s3.records import StoredObject, Upload
from byoc.local.wire import Response

OWNER: Children = [("ID", "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a")]

_MOST_KEYS = 1000
_MOST_BUCKETS = 10_000


async def list_buckets(call: Call) -> Response:
    """Answer ListBuckets."""
    prefix, after = call.query.get("prefix", ""), _position(call.query.get("continuation-token", ""))
    most = number_in(call, "max-buckets", _MOST_BUCKETS)
    if not 1 <= most <= _MOST_BUCKETS:
        raise invalid_argument(f"Give 1 to {_MOST_BUCKETS}.", "max-buckets", str(most))
    found = [one for one in call.store.buckets() if one.name.startswith(prefix) and one.name > after]
    listed = found[:most]
    buckets: Children = [
        ("Bucket", [("Name", one.name), ("CreationDate", iso_time(one.created))]) for one in listed
    ]
    more = _token(listed[-1].name) if len(found) > len(listed) else None
    told: Children = [
        ("Owner", OWNER),
        ("Buckets", buckets),
        ("ContinuationToken", more),
        ("Prefix", prefix or None),
    ]
    return answer("ListAllMyBucketsResult", told)


async def list_objects_v2(call: Call) -> Response:
    """Answer ListObjectsV2."""
    query, written = call.query, _writer(call)
    token, start_after = query.get("continuation-token"), query.get("start-after", "")
    page, limit = await _page(call, _position(token) if token is not None else start_after)
    with_owner = query.get("fetch-owner") == "true"
    return answer(
        "ListBucketResult",
        [
            ("Name", call.bucket),
            ("Prefix", written(query.get("prefix", ""))),
            ("Delimiter", _where_given(call, "delimiter", written)),
            ("StartAfter", _where_given(call, "start-after", written)),
            ("ContinuationToken", token),
            ("NextContinuationToken", _token(page.last) if page.truncated else None),
            ("KeyCount", len(page.objects) + len(page.prefixes)),
            ("MaxKeys", limit),
            ("EncodingType", query.get("encoding-type")),
            ("IsTruncated", page.truncated),
            *(("Contents", _written(one, written, with_owner=with_owner)) for one in page.objects),
            *(("CommonPrefixes", [("Prefix", written(prefix))]) for prefix in page.prefixes),
        ],
    )


async def list_objects(call: Call) -> Response:
    """Answer ListObjects, the first version of it; AWS gives NextMarker only where there is a delimiter."""
    query, written = call.query, _writer(call)
    page, limit = await _page(call, query.get("marker", ""))
    next_marker = written(page.last) if page.truncated and query.get("delimiter") else None
    return answer(
        "ListBucketResult",
        [
            ("Name", call.bucket),
            ("Prefix", written(query.get("prefix", ""))),
            ("Marker", written(query.get("marker", ""))),
            ("NextMarker", next_marker),
            ("MaxKeys", limit),
            ("Delimiter", _where_given(call, "delimiter", written)),
            ("EncodingType", query.get("encoding-type")),
            ("IsTruncated", page.truncated),
            *(("Contents", _written(one, written, with_owner=True)) for one in page.objects),
            *(("CommonPrefixes", [("Prefix", written(prefix))]) for prefix in page.prefixes),
        ],
    )


async def list_object_versions(call: Call) -> Response:
    """Answer ListObjectVersions: every object has one version, which is called null."""
    query, written = call.query, _writer(call)
    page, limit = await _page(call, query.get("key-marker", ""))
    version: Children = [("VersionId", "null"), ("IsLatest", True)]
    return answer(
        "ListVersionsResult",
        [
            ("Name", call.bucket),
            ("Prefix", written(query.get("prefix", ""))),
            ("KeyMarker", written(query.get("key-marker", ""))),
            ("VersionIdMarker", query.get("version-id-marker", "")),
            ("NextKeyMarker", written(page.last) if page.truncated else None),
            ("NextVersionIdMarker", "null" if page.truncated else None),
            ("MaxKeys", limit),
            ("Delimiter", _where_given(call, "delimiter", written)),
            ("EncodingType", query.get("encoding-type")),
            ("IsTruncated", page.truncated),
            *(("Version", [*_written(one, written, with_owner=True), *version]) for one in page.objects),
            *(("CommonPrefixes", [("Prefix", written(prefix))]) for prefix in page.prefixes),
        ],
    )


async def list_multipart_uploads(call: Call) -> Response:
    """Answer ListMultipartUploads; all of them at once, without a delimiter."""
    query, written = call.query, _writer(call)
    call.store.bucket(call.bucket)
    after = (query.get("key-marker", ""), query.get("upload-id-marker", "\U0010ffff"))
    most = min(number_in(call, "max-uploads", _MOST_KEYS), _MOST_KEYS)
    uploads = sorted(
        call.store.uploads.all(call.bucket, query.get("prefix", "")), key=lambda one: (one.key, one.id)
    )
    found = [one for one in uploads if (one.key, one.id) > after]
    listed, more = found[:most], len(found) > most
    return answer(
        "ListMultipartUploadsResult",
        [
            ("Bucket", call.bucket),
            ("KeyMarker", written(query.get("key-marker", ""))),
            ("UploadIdMarker", query.get("upload-id-marker", "")),
            ("NextKeyMarker", written(listed[-1].key) if more and listed else None),
            ("NextUploadIdMarker", listed[-1].id if more and listed else None),
            ("Prefix", written(query.get("prefix", ""))),
            ("EncodingType", query.get("encoding-type")),
            ("MaxUploads", most),
            ("IsTruncated", more),
            *(("Upload", _written_upload(one, written)) for one in listed),
        ],
    )


async def _page(call: Call, after: str) -> tuple[Page, int]:
    limit = min(number_in(call, "max-keys", _MOST_KEYS), _MOST_KEYS)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    call.store.bucket(call.bucket)

    def listed() -> Page:
        return page_of(
            lambda start: call.store.walk(call.bucket, prefix, start), prefix, delimiter, after, limit
        )

    return await asyncio.to_thread(listed), limit


def _writer(call: Call) -> Callable[[str], str]:
    """Return how keys are written: percent-encoded where the client wants it, since XML lacks characters."""
    encoding = call.query.get("encoding-type")
    if encoding not in (None, "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", encoding)
    if encoding:
        return lambda key: quote(key.encode("utf-8", "surrogateescape"), safe="/")
    return lambda key: key


def _where_given(call: Call, name: str, written: Callable[[str], str]) -> str | None:
    return written(call.query[name]) if call.query.get(name) else None


def _written(stored: StoredObject, written: Callable[[str], str], *, with_owner: bool) -> Children:
    algorithm = next(iter(stored.checksums), None)
    return [
        ("Key", written(stored.key)),
        ("LastModified", iso_time(stored.modified)),
        ("ETag", etag_of(stored)),
        ("ChecksumAlgorithm", algorithm),
        ("ChecksumType", stored.checksum_type or None),
        ("Size", stored.size),
        ("Owner", OWNER if with_owner else None),
        ("StorageClass", stored.description.headers.get("x-amz-storage-class", "STANDARD")),
    ]


def _written_upload(upload: Upload, written: Callable[[str], str]) -> Children:
    return [
        ("Key", written(upload.key)),
        ("UploadId", upload.id),
        ("Initiator", OWNER),
        ("Owner", OWNER),
        ("StorageClass", upload.description.headers.get("x-amz-storage-class", "STANDARD")),
        ("Initiated", iso_time(upload.started)),
        ("ChecksumAlgorithm", upload.algorithm or None),
        ("ChecksumType", upload.checksum_type or None),
    ]


def _token(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode("utf-8", "surrogateescape")).decode()


def _position(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError) as error:
        message = "The continuation token provided is incorrect"
        raise invalid_argument(message, "continuation-token", token) from error
