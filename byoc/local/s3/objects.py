"""What changes objects: PutObject, CopyObject, DeleteObject(s), and the object's tags."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from byoc.local.errors import AwsError
from byoc.local.s3.blobs import Draft, read_pieces
from byoc.local.s3.call import Call, checked_key, decoded, receive, to_the_end
from byoc.local.s3.checksums import FULL_OBJECT, LENGTHS, digests, to_base64
from byoc.local.s3.conditions import check_source, check_write
from byoc.local.s3.describing import checked_tags, checksum_headers, description_of, etag_of
from byoc.local.s3.errors import conflict, invalid_argument, invalid_request, malformed_xml, not_implemented
from byoc.local.s3.integrity import LARGEST_PUT, expected_of
from byoc.local.s3.markup import Children, answer, iso_time, parse, text
from byoc.local.s3.reading import check_version
from byoc.local.s3.records import Description, StoredObject
from byoc.local.wire import Response

_MOST_DELETES = 1000
_SSE = "x-amz-server-side-encryption"


async def put_object(call: Call) -> Response:
    """Answer PutObject: the object is there as a whole once it is answered, or not at all."""
    description, expected = description_of(call.headers), expected_of(call.headers)
    _check_write(call, call.store.find(call.bucket, call.key))  # before gigabytes come for nothing
    draft = call.store.blobs.draft(expected.digests())
    try:
        checksums = await receive(call, expected, draft)
    except BaseException:
        draft.discard()
        raise
    stored = await to_the_end(lambda: _keep_draft(call, draft, description, checksums))
    return Response(200, headers={"etag": etag_of(stored), **_encryption(stored), **checksum_headers(stored)})


async def copy_object(call: Call) -> Response:
    """Answer CopyObject: a second name for the same file, which nobody changes."""
    stored = await asyncio.to_thread(_copy, call)
    told = [
        ("ETag", etag_of(stored)),
        ("LastModified", iso_time(stored.modified)),
        *written_checksums(stored),
    ]
    response = answer("CopyObjectResult", told)
    return Response(200, response.body, {**response.headers, **_encryption(stored)})


async def delete_object(call: Call) -> Response:
    """Answer DeleteObject; what is not there is deleted too."""
    check_version(call)
    await asyncio.to_thread(_remove, call, call.key, call.headers.get("if-match"))
    return Response(204)


async def delete_objects(call: Call) -> Response:
    """Answer DeleteObjects."""
    asked = parse(await call.document(), "Delete")
    wanted = asked.findall("Object")
    if not 0 < len(wanted) <= _MOST_DELETES or not all(text(item, "Key") for item in wanted):
        raise malformed_xml()
    quiet = text(asked, "Quiet") == "true"
    call.store.bucket(call.bucket)
    return answer("DeleteResult", await asyncio.to_thread(_remove_all, call, wanted, quiet))


async def get_object_tagging(call: Call) -> Response:
    """Answer GetObjectTagging."""
    tags = call.store.head(call.bucket, call.key).description.tags
    return answer("Tagging", [("TagSet", written_tags(tags))])


async def put_object_tagging(call: Call) -> Response:
    """Answer PutObjectTagging."""
    asked = parse(await call.document(), "Tagging")
    tags = checked_tags([(text(tag, "Key"), text(tag, "Value")) for tag in asked.findall("TagSet/Tag")])
    call.store.describe(call.bucket, call.key, lambda before: replace(before, tags=tags))
    return Response(200)


async def delete_object_tagging(call: Call) -> Response:
    """Answer DeleteObjectTagging."""
    call.store.describe(call.bucket, call.key, lambda before: replace(before, tags={}))
    return Response(204)


def copy_source(call: Call) -> StoredObject:
    """Return the object that x-amz-copy-source names.

    Raises:
        AwsError: it is not there, or its x-amz-copy-source-if-* do not hold.
    """
    given = call.headers["x-amz-copy-source"]
    if given.startswith("arn:"):
        raise not_implemented("access points as the source of a copy")
    parts = urlsplit(given.removeprefix("/"), allow_fragments=False)
    bucket, _, key = decoded(parts.path).partition("/")
    if not bucket or not key:
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise invalid_argument(message, "x-amz-copy-source", given)
    if parts.query not in ("", "versionId=null"):
        raise not_implemented("versions of objects")
    source = call.store.head(bucket, key)
    check_source(call.headers, source)
    return source


def written_checksums(stored: StoredObject) -> Children:
    """Return an object's checksum as elements."""
    told = [(f"Checksum{name}", value) for name, value in stored.checksums.items()]
    return [*told, ("ChecksumType", stored.checksum_type)] if told else []


def written_tags(tags: Mapping[str, str]) -> Children:
    """Return tags as elements."""
    return [("Tag", [("Key", name), ("Value", value)]) for name, value in tags.items()]


def _encryption(stored: StoredObject) -> dict[str, str]:
    return {_SSE: stored.description.headers.get(_SSE, "AES256")}


def _check_write(call: Call, before: StoredObject | None) -> None:
    check_write(call.headers, call.key, before)


def _keep_draft(
    call: Call, draft: Draft, description: Description, checksums: Mapping[str, str]
) -> StoredObject:
    new = StoredObject(
        bucket=call.bucket,
        key=call.key,
        size=draft.size,
        etag=draft.digests["MD5"].digest().hex(),
        modified=0.0,
        path=draft.path,
        description=description,
        checksums=checksums,
        checksum_type=FULL_OBJECT if checksums else "",
    )
    try:
        draft.close()
        return _keep(call, new)
    except BaseException:
        draft.discard()
        raise


def _keep(call: Call, new: StoredObject) -> StoredObject:
    return call.store.keep(new, lambda before: _check_write(call, before))


def _copy(call: Call) -> StoredObject:
    source = copy_source(call)
    if source.size > LARGEST_PUT:
        message = "The specified copy source is larger than the maximum allowable size for a copy source"
        raise invalid_request(f"{message}: {LARGEST_PUT}")
    description = _copied_description(call, source)
    try:
        path = call.store.blobs.link(source.path)
    except FileNotFoundError as error:  # it was replaced just now
        raise conflict() from error
    try:
        new = replace(source, bucket=call.bucket, key=call.key, path=path, description=description)
        return _keep(call, _whole(call, new))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _copied_description(call: Call, source: StoredObject) -> Description:
    """Return what is said of the copy, by the two directives."""
    given = description_of(call.headers)
    replaced = call.headers.get("x-amz-metadata-directive", "COPY") == "REPLACE"
    retagged = call.headers.get("x-amz-tagging-directive", "COPY") == "REPLACE"
    asked = {name: value for name, value in given.headers.items() if name.startswith("x-amz-")}
    if (source.bucket, source.key) == (call.bucket, call.key) and not (replaced or retagged or asked):
        raise invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing "
            "the object's metadata, storage class, website redirect location or encryption attributes."
        )
    kept = given if replaced else replace(source.description, headers={**source.description.headers, **asked})
    return replace(kept, tags=given.tags if retagged else source.description.tags)


def _whole(call: Call, copy: StoredObject) -> StoredObject:
    """Return the copy as AWS makes it: in one piece, with the ETag and checksum of all its bytes."""
    asked = call.headers.get("x-amz-checksum-algorithm", "").upper()
    if asked and asked not in LENGTHS:
        raise invalid_request("Value for x-amz-checksum-algorithm header is invalid.")
    wanted = {asked} if asked else set(copy.checksums)
    if not copy.parts and wanted <= set(copy.checksums):
        return copy
    found = digests({"MD5", *wanted})
    for piece in read_pieces(copy.path, 0, copy.size):
        for digest in found.values():
            digest.update(piece)
    checksums = {name: to_base64(found[name].digest()) for name in wanted if name in found}
    return replace(
        copy,
        etag=found["MD5"].digest().hex(),
        checksums=checksums,
        checksum_type=FULL_OBJECT if checksums else "",
        parts=(),
    )


def _remove(call: Call, key: str, etag: str | None) -> None:
    conditions = {} if etag is None else {"if-match": etag}
    call.store.remove(call.bucket, key, lambda before: check_write(conditions, key, before))


def _remove_all(call: Call, wanted: list[ET.Element], quiet: bool) -> Children:
    told: list[tuple[str, Children]] = []
    for item in wanted:
        key = text(item, "Key")
        try:
            if text(item, "VersionId") not in ("", "null"):
                raise not_implemented("versions of objects")
            _remove(call, checked_key(key), text(item, "ETag") or None)
        except AwsError as error:
            told.append(("Error", [("Key", key), ("Code", error.code), ("Message", error.message)]))
        else:
            told += [] if quiet else [("Deleted", [("Key", key)])]
    return told
