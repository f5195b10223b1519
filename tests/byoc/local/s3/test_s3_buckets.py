import asyncio
import json

import pytest

from byoc.local.s3.plane import S3Plane
from byoc.local.wire import Request


def test_a_bucket_is_made_seen_and_removed(local_s3, refused):
    client = local_s3.client
    client.create_bucket(Bucket="comes-and-goes")
    client.create_bucket(Bucket="comes-and-goes")  # in us-east-1 AWS does not mind
    assert "comes-and-goes" in [one["Name"] for one in client.list_buckets()["Buckets"]]
    assert client.head_bucket(Bucket="comes-and-goes")["BucketRegion"] == "us-east-1"
    assert client.get_bucket_location(Bucket="comes-and-goes")["LocationConstraint"] is None
    client.delete_bucket(Bucket="comes-and-goes")
    assert refused("head_bucket", Bucket="comes-and-goes") == ("404", 404)
    assert refused("delete_bucket", Bucket="comes-and-goes") == ("NoSuchBucket", 404)


def test_a_bucket_remembers_its_region(local_s3):
    where = {"LocationConstraint": "eu-central-1"}
    local_s3.client.create_bucket(Bucket="in-frankfurt", CreateBucketConfiguration=where)
    assert local_s3.client.get_bucket_location(Bucket="in-frankfurt")["LocationConstraint"] == "eu-central-1"
    assert local_s3.client.head_bucket(Bucket="in-frankfurt")["BucketRegion"] == "eu-central-1"


def test_buckets_are_listed_page_by_page(local_s3):
    for name in ("page-a", "page-b", "page-c"):
        local_s3.store.create_bucket(name)
    pages = local_s3.client.get_paginator("list_buckets").paginate(
        Prefix="page-", PaginationConfig={"PageSize": 2}
    )
    assert [[one["Name"] for one in page["Buckets"]] for page in pages] == [["page-a", "page-b"], ["page-c"]]


@pytest.mark.parametrize("name", ["Upper", "ab", "a..b", "1.2.3.4", "-a-b", "under_score"])
def test_a_bucket_needs_a_name_that_aws_takes(name, local_s3):
    status, _, body = local_s3.ask("PUT", f"/{name}")
    assert (status, b"<Code>InvalidBucketName</Code>" in body) == (400, True)


def test_a_bucket_with_objects_stays(local_s3, made_bucket, refused):
    local_s3.client.put_object(Bucket=made_bucket, Key="k", Body=b"")
    assert refused("delete_bucket", Bucket=made_bucket) == ("BucketNotEmpty", 409)
    local_s3.session.resource("s3", endpoint_url=local_s3.url).Bucket(made_bucket).objects.all().delete()
    local_s3.client.delete_bucket(Bucket=made_bucket)


async def pieces(*given):
    for piece in given:
        yield piece


def asked_in(region, store, name, location):
    """Return the answer to CreateBucket of an S3 in another region than the one that all tests share."""
    root, inside = "CreateBucketConfiguration", f"<LocationConstraint>{location}</LocationConstraint>"
    body = f"<{root}>{inside}</{root}>".encode() if location else b""
    request = Request("PUT", f"/{name}", "", {"content-length": str(len(body))}, pieces(body))
    return asyncio.run(S3Plane(store, region)(request))


def test_outside_us_east_1_a_second_bucket_of_the_name_and_a_wrong_region_are_refused(local_s3):
    assert asked_in("eu-west-1", local_s3.store, "dublin", "eu-west-1").status == 200
    again = asked_in("eu-west-1", local_s3.store, "dublin", "eu-west-1")
    assert (again.status, b"BucketAlreadyOwnedByYou" in again.body) == (409, True)
    for location in ("", "eu-central-1"):
        wrong = asked_in("eu-west-1", local_s3.store, "elsewhere", location)
        assert (wrong.status, b"IllegalLocationConstraintException" in wrong.body) == (400, True)
    assert b"InvalidLocationConstraint" in asked_in("us-east-1", local_s3.store, "virginia", "us-east-1").body


def test_a_new_bucket_has_the_settings_of_a_new_bucket_on_aws(local_s3, made_bucket, refused):
    client, known = local_s3.client, {"Bucket": made_bucket}
    assert "Status" not in client.get_bucket_versioning(**known)
    rule = client.get_bucket_encryption(**known)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert all(client.get_public_access_block(**known)["PublicAccessBlockConfiguration"].values())
    owned = client.get_bucket_ownership_controls(**known)["OwnershipControls"]["Rules"]
    assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert client.get_bucket_acl(**known)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert client.get_bucket_request_payment(**known)["Payer"] == "BucketOwner"
    for operation, code in {
        "get_bucket_policy": "NoSuchBucketPolicy",
        "get_bucket_tagging": "NoSuchTagSet",
        "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
        "get_bucket_cors": "NoSuchCORSConfiguration",
        "get_bucket_website": "NoSuchWebsiteConfiguration",
    }.items():
        assert refused(operation, **known) == (code, 404)
    assert refused("get_bucket_tagging", Bucket="nobodys") == ("NoSuchBucket", 404)


def test_settings_are_kept_and_told_again(local_s3, made_bucket, refused):
    client, known = local_s3.client, {"Bucket": made_bucket}
    tags = [{"Key": "team", "Value": "ml"}]
    client.put_bucket_tagging(**known, Tagging={"TagSet": tags})
    assert client.get_bucket_tagging(**known)["TagSet"] == tags
    client.delete_bucket_tagging(**known)
    assert refused("get_bucket_tagging", **known) == ("NoSuchTagSet", 404)
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    client.put_bucket_policy(**known, Policy=policy)
    assert client.get_bucket_policy(**known)["Policy"] == policy
    assert refused("put_bucket_policy", **known, Policy="not JSON") == ("MalformedPolicy", 400)
    rules = [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}]
    client.put_bucket_lifecycle_configuration(**known, LifecycleConfiguration={"Rules": rules})
    assert client.get_bucket_lifecycle_configuration(**known)["Rules"] == rules
    kms = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    client.put_bucket_encryption(**known, ServerSideEncryptionConfiguration=kms)
    told = client.get_bucket_encryption(**known)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert told["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_what_would_promise_too_much_is_refused(made_bucket, refused, local_s3):
    known = {"Bucket": made_bucket}
    enabled = {"Status": "Enabled"}
    assert refused("put_bucket_versioning", **known, VersioningConfiguration=enabled) == (
        "NotImplemented",
        400,
    )
    local_s3.client.put_bucket_versioning(**known, VersioningConfiguration={"Status": "Suspended"})
    queue = {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:::q", "Events": ["s3:ObjectCreated:*"]}]}
    code = refused("put_bucket_notification_configuration", **known, NotificationConfiguration=queue)
    assert code == ("NotImplemented", 400)
    assert refused("put_bucket_acl", **known, ACL="public-read") == ("AccessControlListNotSupported", 400)
    assert refused("list_bucket_metrics_configurations", **known) == ("NotImplemented", 400)


@pytest.mark.parametrize(
    "body", [b"<Delete", b"<Other/>", b"<!DOCTYPE a []><Delete/>", b"<Delete/>", b"\xff"]
)
def test_a_body_that_is_not_the_xml_wanted_is_malformed(body, local_s3, made_bucket):
    status, _, answer = local_s3.ask("POST", f"/{made_bucket}?delete", body)
    assert (status, b"<Code>MalformedXML</Code>" in answer) == (400, True)


def test_what_could_be_no_header_of_an_answer_is_not_kept(local_s3, made_bucket):
    for value in ("%0Ab", "%E2%82%AC"):
        path = f"/{made_bucket}/key?x-amz-meta-a={value}"
        status, _, body = local_s3.ask("PUT", path, b"x")
        assert (status, b"<Code>InvalidArgument</Code>" in body) == (400, True)
    location = "<LocationConstraint>eu\u20ac\n</LocationConstraint>"
    document = f"<CreateBucketConfiguration>{location}</CreateBucketConfiguration>".encode()
    status, _, body = local_s3.ask("PUT", "/nowhere-at-all", document)
    assert (status, b"<Code>InvalidLocationConstraint</Code>" in body) == (400, True)


def test_a_page_of_no_buckets_is_refused(local_s3):
    status, _, body = local_s3.ask("GET", "/?max-buckets=0")
    assert (status, b"<Code>InvalidArgument</Code>" in body) == (400, True)


def test_entities_are_refused_in_any_encoding(local_s3, made_bucket):
    body = '<!DOCTYPE Tagging [<!ENTITY a "x">]><Tagging>&a;</Tagging>'.encode("utf-16")
    status, _, told = local_s3.ask("PUT", f"/{made_bucket}?tagging", body)
    assert (status, b"<Code>MalformedXML</Code>" in told) == (400, True)
