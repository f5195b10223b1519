"""What buckets can be told: kept and told again. None of it has an effect here; docs/local.md says so."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from byoc.local.errors import AwsError
from byoc.local.s3.call import Call, Operation
from byoc.local.s3.errors import not_implemented
from byoc.local.s3.lists import OWNER
from byoc.local.s3.markup import DECLARATION, NAMESPACE, document, parse, text
from byoc.local.wire import Response

_XML = {"content-type": "application/xml"}
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True)
class Setting:
    """One subresource of a bucket.

    Attributes:
        root: of its document.
        otherwise: what is inside of the document of a bucket that was told nothing, or ...
        missing: ... the error that such a bucket gives: code and message.
        put_status: the status of an accepted change.
    """

    root: str
    otherwise: str = ""
    missing: tuple[str, str] = ("", "")
    put_status: int = 200


_ENCRYPTION = (
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
)
_BLOCKED = "".join(
    f"<{name}>true</{name}>"
    for name in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
)
_OWNED = "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"

KEPT: Mapping[str, Setting] = {
    "accelerate": Setting("AccelerateConfiguration"),
    "cors": Setting(
        "CORSConfiguration",
        missing=("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    ),
    "encryption": Setting("ServerSideEncryptionConfiguration", _ENCRYPTION),
    "lifecycle": Setting(
        "LifecycleConfiguration",
        missing=("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    ),
    "logging": Setting("BucketLoggingStatus"),
    "object-lock": Setting(
        "ObjectLockConfiguration",
        missing=(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        ),
    ),
    "notification": Setting("NotificationConfiguration"),
    "ownershipControls": Setting("OwnershipControls", _OWNED),
    "publicAccessBlock": Setting("PublicAccessBlockConfiguration", _BLOCKED),
    "replication": Setting(
        "ReplicationConfiguration",
        missing=("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    ),
    "requestPayment": Setting("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    "tagging": Setting("Tagging", missing=("NoSuchTagSet", "The TagSet does not exist"), put_status=204),
    "versioning": Setting("VersioningConfiguration"),
    "website": Setting(
        "WebsiteConfiguration",
        missing=(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
    ),
}
# What would promise something that does not happen here.
_READ_ONLY = ("accelerate", "logging", "notification", "object-lock", "replication", "website")
_NO_POLICY = ("NoSuchBucketPolicy", "The bucket policy does not exist")


async def get_setting(name: str, call: Call) -> Response:
    """Answer GetBucket...: what was put, or what a new bucket has."""
    setting = KEPT[name]
    inside = call.store.setting(call.bucket, name)
    if inside is None:
        if setting.missing[0]:
            raise AwsError(*setting.missing, 404, {"BucketName": call.bucket})
        return Response(200, _wrapped(setting.root, setting.otherwise), _XML)
    return Response(200, inside.encode(), _XML)


async def put_setting(name: str, call: Call) -> Response:
    """Answer PutBucket...: the document is kept as it is (MalformedXML, NotImplemented)."""
    body = await call.document()
    asked = parse(body, KEPT[name].root)
    call.store.bucket(call.bucket)
    if name in _READ_ONLY and len(asked):
        raise not_implemented(f"{KEPT[name].root} of buckets")
    if name == "versioning" and text(asked, "Status") == "Enabled":
        raise not_implemented("versions of objects")
    call.store.keep_setting(call.bucket, name, body.decode())
    return Response(KEPT[name].put_status)


async def delete_setting(name: str, call: Call) -> Response:
    """Answer DeleteBucket...: the bucket is as one that was told nothing."""
    call.store.keep_setting(call.bucket, name, None)
    return Response(204)


async def get_policy(call: Call) -> Response:
    """Answer GetBucketPolicy."""
    policy = call.store.setting(call.bucket, "policy")
    if policy is None:
        raise AwsError(*_NO_POLICY, 404, {"BucketName": call.bucket})
    return Response(200, policy.encode(), {"content-type": "application/json"})


async def put_policy(call: Call) -> Response:
    """Answer PutBucketPolicy (MalformedPolicy)."""
    body = await call.document()
    try:
        json.loads(body)
    except ValueError as error:
        raise AwsError(
            "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"
        ) from error
    call.store.keep_setting(call.bucket, "policy", body.decode())
    return Response(204)


async def get_policy_status(call: Call) -> Response:
    """Answer GetBucketPolicyStatus: nothing here is public."""
    await get_policy(call)
    return Response(200, document("PolicyStatus", [("IsPublic", False)]), _XML)


async def get_acl(call: Call) -> Response:
    """Answer GetBucketAcl and GetObjectAcl: the owner may do everything, as where ACLs are disabled."""
    if call.key:
        call.store.head(call.bucket, call.key)
    call.store.bucket(call.bucket)
    owner = f"<ID>{OWNER[0][1]}</ID>"
    grantee = f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser">{owner}</Grantee>'
    grants = f"<Grant>{grantee}<Permission>FULL_CONTROL</Permission></Grant>"
    inside = f"<Owner>{owner}</Owner><AccessControlList>{grants}</AccessControlList>"
    return Response(200, _wrapped("AccessControlPolicy", inside), _XML)


async def put_acl(call: Call) -> Response:
    """Answer PutBucketAcl and PutObjectAcl: ACLs are disabled, as in all buckets that are new on AWS."""
    await call.document()
    if call.key:
        call.store.head(call.bucket, call.key)
    call.store.bucket(call.bucket)
    if call.headers.get("x-amz-acl") not in ("private", "bucket-owner-full-control"):
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
    return Response(200)


def operations() -> dict[tuple[str, str], Operation]:
    """Return the operations by method and subresource."""
    found: dict[tuple[str, str], Operation] = {}
    for name in KEPT:
        found["GET", name] = partial(get_setting, name)
        found["PUT", name] = partial(put_setting, name)
        found["DELETE", name] = partial(delete_setting, name)
    return found | {
        ("GET", "policy"): get_policy,
        ("PUT", "policy"): put_policy,
        ("DELETE", "policy"): partial(delete_setting, "policy"),
        ("GET", "policyStatus"): get_policy_status,
        ("GET", "acl"): get_acl,
        ("PUT", "acl"): put_acl,
    }


def _wrapped(root: str, inside: str) -> bytes:
    return f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{inside}</{root}>'.encode()
