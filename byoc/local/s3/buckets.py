"""The operations on buckets themselves."""

import asyncio
import re

from byoc.local.errors import AwsError
from byoc.local.s3.call import Call
from byoc.local.s3.describing import refuse_absent
from byoc.local.s3.errors import not_implemented
from byoc.local.s3.markup import answer, document, parse, text
from byoc.local.wire import Response

_OLDEST_REGION = "us-east-1"
_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LOCATION = re.compile(r"|EU|[a-z]+(-[a-z]+)+-\d+")


async def create_bucket(call: Call) -> Response:
    """Answer CreateBucket; in us-east-1, as on AWS, a second one of the same name is no error."""
    body = await call.document()
    location = ""
    if body.strip():
        location = text(parse(body, "CreateBucketConfiguration"), "LocationConstraint")
    if call.headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
        raise not_implemented("object lock")
    refuse_absent(call.headers)
    _check_name(call.bucket)
    _check_location(location, call.region)
    new = await asyncio.to_thread(call.store.create_bucket, call.bucket, location)
    if not new and call.region != _OLDEST_REGION:
        raise AwsError(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
            409,
            {"BucketName": call.bucket},
        )
    return Response(200, headers={"location": f"/{call.bucket}"})


async def delete_bucket(call: Call) -> Response:
    """Answer DeleteBucket."""
    await asyncio.to_thread(call.store.delete_bucket, call.bucket)
    return Response(204)


async def head_bucket(call: Call) -> Response:
    """Answer HeadBucket."""
    location = call.store.bucket(call.bucket).location
    region = location or _OLDEST_REGION
    return Response(200, headers={"x-amz-bucket-region": region, "x-amz-access-point-alias": "false"})


async def get_bucket_location(call: Call) -> Response:
    """Answer GetBucketLocation; us-east-1 has none."""
    location = call.store.bucket(call.bucket).location
    if location:
        body = document("LocationConstraint", []).replace(b"></", f">{location}</".encode())
        return Response(200, body, {"content-type": "application/xml"})
    return answer("LocationConstraint", [])


def _check_name(name: str) -> None:
    """AWS: "General purpose bucket naming rules"."""
    if not _NAME.fullmatch(name):
        raise AwsError(
            "InvalidBucketName", "The specified bucket is not valid.", members={"BucketName": name}
        )


def _check_location(location: str, region: str) -> None:
    if location == _OLDEST_REGION or not _LOCATION.fullmatch(location):
        raise AwsError(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
            members={"LocationConstraint": location},
        )
    if region not in (_OLDEST_REGION, location):
        raise AwsError(
            "IllegalLocationConstraintException",
            f"The {location or 'unspecified'} location constraint is incompatible for the region specific "
            "endpoint this request was sent to.",
        )
