"""S3's own errors, in its own words (the error responses of the S3 API reference)."""

from byoc.local.errors import AwsError


def no_such_bucket(name: str) -> AwsError:
    """Return the answer for a bucket that is not there."""
    return AwsError("NoSuchBucket", "The specified bucket does not exist", 404, {"BucketName": name})


def no_such_key(key: str) -> AwsError:
    """Return the answer for an object that is not there."""
    return AwsError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key})


def no_such_upload(upload_id: str) -> AwsError:
    """Return the answer for a multipart upload that never was, or has ended."""
    return AwsError(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
        "aborted or completed.",
        404,
        {"UploadId": upload_id},
    )


def bucket_not_empty(name: str) -> AwsError:
    """Return the answer to deleting a bucket with objects in it."""
    return AwsError(
        "BucketNotEmpty", "The bucket you tried to delete is not empty", 409, {"BucketName": name}
    )


def precondition_failed(condition: str) -> AwsError:
    """Return the answer where If-Match or one of its relatives does not hold."""
    return AwsError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        412,
        {"Condition": condition},
    )


def invalid_argument(message: str, name: str, value: str) -> AwsError:
    """Return the answer to a parameter with a value that it cannot have."""
    return AwsError("InvalidArgument", message, 400, {"ArgumentName": name, "ArgumentValue": value})


def invalid_request(message: str) -> AwsError:
    """Return the answer to a request that contradicts itself."""
    return AwsError("InvalidRequest", message)


def malformed_xml() -> AwsError:
    """Return the answer to a body that is not the XML that the operation wants."""
    return AwsError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def conflict() -> AwsError:
    """Return the answer to two operations at once on one upload."""
    return AwsError(
        "OperationAborted",
        "A conflicting conditional operation is currently in progress against this resource. "
        "Please try again.",
        409,
    )


def not_implemented(what: str) -> AwsError:
    """Return the answer to what this S3 lacks; AWS's status for it is 501, which clients try again."""
    return AwsError("NotImplemented", f"The S3 of the local SageMaker has no {what} (docs/local.md).")
