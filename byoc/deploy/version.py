"""Finds the model version in S3, and whether its manifest is the one that was asked for."""

import hashlib

from botocore.exceptions import ClientError

from byoc.aws import Aws, is_denied, refused
from byoc.config import AS_FOUND
from byoc.deploy.errors import MissingError

MANIFEST = "manifest.json"


def find_version(aws: Aws, uri: str, sha256: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the version's URI with its last slash, its manifest's digest, and notes.

    The digest comes from outside the bucket, so that nobody who may only write there decides what is served;
    as-found gives that up for once, and says so.

    Args:
        aws: its S3 is asked.
        uri: s3://bucket/prefix/name/version/, with or without the last slash.
        sha256: 64 hex digits in either case, or as-found.

    Raises:
        MissingError: there is no such bucket, no manifest, or another manifest.
        botocore.exceptions.ClientError: S3 refuses for another reason.
    """
    uri, sha256 = f"{uri.rstrip('/')}/", sha256.lower()
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    try:
        body = aws.client("s3").get_object(Bucket=bucket, Key=f"{prefix}{MANIFEST}")["Body"].read()
    except ClientError as error:
        if is_denied(error) and sha256 != AS_FOUND:
            note = f"You may not read {uri}{MANIFEST}, or it is not there: the role must be able to."
            return uri, sha256, (note,)
        raise _missing(aws, error, bucket, uri) from None
    found = hashlib.sha256(body).hexdigest()
    if sha256 == AS_FOUND:
        note = f"model_manifest_sha256 is {found}, as found: whoever may write to {bucket} chose this model."
        return uri, found, (note,)
    if found != sha256:
        raise MissingError(
            f"{uri}{MANIFEST} has the SHA-256 {found}, and model_manifest_sha256 is {sha256}: this is not "
            "the model version that was uploaded. Give the digest that s3_upload.py printed with this URI."
        )
    return uri, found, ()


def require_bucket(aws: Aws, bucket: str) -> None:
    """Make sure that a bucket is there.

    Raises:
        MissingError: it is not.
        botocore.exceptions.ClientError: S3 refuses for another reason.
    """
    try:
        aws.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        if refused(error, "404", "NoSuchBucket"):
            raise MissingError(_no_bucket(aws, bucket)) from None
        if not is_denied(error):
            raise


def _missing(aws: Aws, error: ClientError, bucket: str, uri: str) -> Exception:
    if refused(error, "NoSuchBucket"):
        return MissingError(_no_bucket(aws, bucket))
    if refused(error, "NoSuchKey", "404"):
        remedy = aws.remedies.version.format(bucket=bucket)
        return MissingError(f"There is no model version at {uri}: it has no {MANIFEST}. {remedy}")
    return error


def _no_bucket(aws: Aws, bucket: str) -> str:
    return f"There is no bucket {bucket}. {aws.remedies.bucket.format(bucket=bucket, options=aws.options)}"
