import itertools

import pytest

from byoc.local.s3.listing import page_of
from byoc.local.s3.records import StoredObject

KEYS = ["a", "a/", "a/b", "a/b/c", "a/b/d", "a0", "b//x", "b/x", "folder/1", "folder/2", "z", "é", "日/本"]


def walking(keys):
    stored = [StoredObject("b", key, 0, "", 0.0, None) for key in sorted(keys, key=str.encode)]

    def from_prefix(prefix):
        return lambda after: (
            one for one in stored if one.key.encode() > after and one.key.startswith(prefix)
        )

    return from_prefix


def expected(keys, prefix, delimiter):
    """All entries at once, as the S3 API reference tells it."""
    entries = []
    for key in sorted(keys, key=str.encode):
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            entry = key if at < 0 else key[: at + len(delimiter)]
            if entry not in entries:
                entries.append(entry)
    return entries


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("prefix", "delimiter"), list(itertools.product(["", "a", "a/", "b", "none"], ["", "/", "//", "b"]))
)
def test_pages_of_any_size_show_each_entry_once_in_order(prefix, delimiter, limit):
    walk, found, after = walking(KEYS)(prefix), [], ""
    while True:
        page = page_of(walk, prefix, delimiter, after, limit)
        entries = sorted([one.key for one in page.objects] + list(page.prefixes), key=str.encode)
        assert len(entries) <= limit
        found += entries
        if not page.truncated:
            break
        after = page.last
    assert found == expected(KEYS, prefix, delimiter)


def test_a_page_of_nothing_is_not_truncated():
    page = page_of(walking(KEYS)(""), "", "", "", 0)
    assert (page.objects, page.truncated) == ((), False)


@pytest.fixture(scope="module")
def thousand(local_s3, tmp_path_factory):
    """A bucket of 1,200 objects in 50 folders."""
    file = tmp_path_factory.mktemp("one") / "file"
    file.write_bytes(b"1")
    local_s3.store.create_bucket("thousand")
    for number in range(1200):
        local_s3.store.put_file("thousand", f"{number % 50:02}/{number:04}", file)
    return "thousand"


def test_a_paginator_sees_more_than_a_thousand_in_order(local_s3, thousand):
    for operation in ("list_objects_v2", "list_objects"):
        pages = list(local_s3.client.get_paginator(operation).paginate(Bucket=thousand))
        assert [len(page["Contents"]) for page in pages] == [1000, 200]
        keys = [one["Key"] for page in pages for one in page["Contents"]]
        assert keys == sorted(keys)


def test_folders_are_rolled_up(local_s3, thousand):
    told = local_s3.client.list_objects_v2(Bucket=thousand, Delimiter="/", MaxKeys=20)
    assert [one["Prefix"] for one in told["CommonPrefixes"]] == [f"{n:02}/" for n in range(20)]
    assert (told["KeyCount"], told["IsTruncated"], "Contents" in told) == (20, True, False)
    pages = local_s3.client.get_paginator("list_objects_v2").paginate(
        Bucket=thousand, Delimiter="/", PaginationConfig={"PageSize": 20}
    )
    assert [len(page["CommonPrefixes"]) for page in pages] == [20, 20, 10]
    first = local_s3.client.list_objects(Bucket=thousand, Delimiter="/", MaxKeys=2)
    assert first["NextMarker"] == "01/"


def test_a_listing_starts_where_it_is_told(local_s3, thousand):
    told = local_s3.client.list_objects_v2(
        Bucket=thousand, Prefix="07/", StartAfter="07/1057", FetchOwner=True
    )
    assert [one["Key"] for one in told["Contents"]] == ["07/1107", "07/1157"]
    assert (told["StartAfter"], told["Prefix"]) == ("07/1057", "07/")
    assert told["Contents"][0]["Owner"]["ID"]
    assert told["Contents"][0]["Size"] == 1


def test_versions_are_the_objects_themselves(local_s3, made_bucket):
    for key in ("a", "b/c"):
        local_s3.client.put_object(Bucket=made_bucket, Key=key, Body=b"1")
    told = local_s3.client.list_object_versions(Bucket=made_bucket, Delimiter="/")
    assert [(one["Key"], one["VersionId"], one["IsLatest"]) for one in told["Versions"]] == [
        ("a", "null", True)
    ]
    assert told["CommonPrefixes"] == [{"Prefix": "b/"}]
    local_s3.session.resource("s3", endpoint_url=local_s3.url).Bucket(made_bucket).object_versions.delete()
    assert local_s3.client.list_objects_v2(Bucket=made_bucket)["KeyCount"] == 0


def test_keys_that_xml_lacks_are_listed_percent_encoded_where_asked(local_s3, made_bucket):
    local_s3.ask("PUT", f"/{made_bucket}/a%01%20b", b"1")
    body = local_s3.ask("GET", f"/{made_bucket}?list-type=2&encoding-type=url&prefix=a%01")[2]
    assert b"<Key>a%01%20b</Key>" in body
    assert b"<Prefix>a%01</Prefix>" in body
    assert b"<Key>a&#x1; b</Key>" in local_s3.ask("GET", f"/{made_bucket}?list-type=2")[2]


def test_what_no_listing_can_be_is_refused(local_s3, made_bucket, refused):
    assert refused("list_objects_v2", Bucket="nobodys") == ("NoSuchBucket", 404)
    for query in ("max-keys=many", "encoding-type=x", "list-type=2&continuation-token=%C3%BC"):
        status, _, body = local_s3.ask("GET", f"/{made_bucket}?{query}")
        assert (status, b"<Code>InvalidArgument</Code>" in body) == (400, True), query
