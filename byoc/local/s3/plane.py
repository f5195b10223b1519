"""The S3 of the local SageMaker on the wire: which operation a request is, and its errors as XML.

AWS: "Amazon S3 API Reference". The fence in front of it has checked who asks; signatures are ignored here.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace

from byoc.local.errors import AwsError
from byoc.local.s3 import bucket_settings, buckets, lists, multipart, objects, reading
from byoc.local.s3.call import Call, Operation, call_from
from byoc.local.s3.errors import not_implemented
from byoc.local.s3.markup import document
from byoc.local.s3.store import ObjectStore
from byoc.local.wire import Request, Response

log = logging.getLogger("byoc.local.s3")

Operations = Mapping[tuple[str, str], Operation]  # by method and subresource, "" for none

_SERVICE: Operations = {("GET", ""): lists.list_buckets}
_BUCKET: Operations = {
    ("PUT", ""): buckets.create_bucket,
    ("DELETE", ""): buckets.delete_bucket,
    ("HEAD", ""): buckets.head_bucket,
    ("GET", ""): lists.list_objects,
    ("GET", "list-type"): lists.list_objects_v2,
    ("GET", "location"): buckets.get_bucket_location,
    ("GET", "versions"): lists.list_object_versions,
    ("GET", "uploads"): lists.list_multipart_uploads,
    ("POST", "delete"): objects.delete_objects,
    **bucket_settings.operations(),
}
_OBJECT: Operations = {
    ("GET", ""): reading.get_object,
    ("HEAD", ""): reading.head_object,
    ("PUT", ""): objects.put_object,
    ("PUT", "x-amz-copy-source"): objects.copy_object,
    ("DELETE", ""): objects.delete_object,
    ("GET", "attributes"): reading.get_object_attributes,
    ("GET", "tagging"): objects.get_object_tagging,
    ("PUT", "tagging"): objects.put_object_tagging,
    ("DELETE", "tagging"): objects.delete_object_tagging,
    ("GET", "acl"): bucket_settings.get_acl,
    ("PUT", "acl"): bucket_settings.put_acl,
    ("POST", "uploads"): multipart.create_multipart_upload,
    ("GET", "uploadId"): multipart.list_parts,
    ("PUT", "uploadId"): multipart.upload_part,
    ("PUT", "uploadId x-amz-copy-source"): multipart.upload_part_copy,
    ("POST", "uploadId"): multipart.complete_multipart_upload,
    ("DELETE", "uploadId"): multipart.abort_multipart_upload,
}
# What a query can name that would be another operation than the one without it.
_SUBRESOURCES = frozenset(
    {name for operations in (_BUCKET, _OBJECT) for _method, name in operations if name}
    | {"analytics", "intelligent-tiering", "inventory", "legal-hold", "metrics", "renameObject"}
    | {
        "restore",
        "retention",
        "select",
        "session",
        "torrent",
        "metadataTable",
        "metadataConfiguration",
        "abac",
    }
)


def operation_names() -> list[str]:
    """Return S3's names of all operations that act; those on bucket settings are in bucket_settings.KEPT."""
    tables = (_SERVICE, _BUCKET, _OBJECT)
    functions = [operation for table in tables for operation in table.values()]
    names = {name for function in functions if (name := getattr(function, "__name__", ""))}
    return sorted("".join(map(str.capitalize, name.split("_"))) for name in names)


class S3Plane:
    """Answers S3 requests from an ObjectStore."""

    def __init__(self, store: ObjectStore, region: str) -> None:
        self._store = store
        self._region = region

    async def __call__(self, request: Request) -> Response:
        """Answer one request.

        Every refusal is an XML document; a fault of ours is a 400, too, as clients repeat what is a 500.
        A client that hangs up while it sends raises what the request's body raises, a ConnectionError.
        """
        request_id = uuid.uuid4().hex[:16].upper()
        try:
            call = call_from(request, self._store, self._region)
            response = await _operation(call)(call)
        except AwsError as error:
            response = _refusal(error, request, request_id)
        except ConnectionError:
            raise
        except Exception as error:
            log.exception(f"{request.method} {request.path} failed")
            response = _refusal(_internal(error), request, request_id)
        return replace(response, headers={**response.headers, "x-amz-request-id": request_id})


def _operation(call: Call) -> Operation:
    """Return what a request asks for (AwsError where that is not there)."""
    operations = _OBJECT if call.key else _BUCKET if call.bucket else _SERVICE
    named = [name for name in call.query if name in _SUBRESOURCES]
    if (
        call.key
        and call.method == "PUT"
        and "x-amz-copy-source" in call.headers
        and named in ([], ["uploadId"])
    ):
        named = [*named, "x-amz-copy-source"]
    subresource = " ".join(named)
    found = operations.get((call.method, subresource))
    if found is None:
        asked = (
            f"{call.method} of {'an object' if call.key else 'a bucket' if call.bucket else 'the service'}"
        )
        raise not_implemented(f"{asked} with ?{subresource}" if subresource else asked)
    return found


def _refusal(error: AwsError, request: Request, request_id: str) -> Response:
    members = [(name, str(value)) for name, value in error.members.items()]
    told = [("Code", error.code), ("Message", error.message), *members, ("Resource", request.path)]
    body = document("Error", [*told, ("RequestId", request_id)], namespace="")
    headers = {"content-type": "application/xml"}
    if request.method == "HEAD":
        return Response(error.status, headers=headers)
    return Response(error.status, body, headers)


def _internal(error: Exception) -> AwsError:
    if isinstance(error, OSError):
        return AwsError(
            "StorageFailure", f"The local S3 could not use its folder: {error}. Make room or mend it."
        )
    return AwsError(
        "InternalFailure", f"This is a bug of the local S3: {error!r}. Its traceback is in the log."
    )
