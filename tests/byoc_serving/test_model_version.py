import hashlib
import json
import threading
from datetime import UTC, datetime

import pytest

from byoc_serving.errors import ModelVersionError, StorageError
from byoc_serving.model_version import describe, pull, read_manifest, upload, write_manifest
from byoc_serving.versions import upload as upload_module
from byoc_serving.versions.manifest import manifest_bytes
from byoc_serving.versions.s3 import make_client

MIB = 1024 * 1024


@pytest.fixture
def model(tmp_path):
    """A model of three small files, of which one is empty."""
    folder = tmp_path / "made"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.txt").write_bytes(b"tree\n" * 1000)
    (folder / "sub" / "weights.bin").write_bytes(bytes(range(256)) * 8000)
    (folder / "empty").touch()
    return folder


@pytest.fixture
def large_model(model):
    """The same with a file of three parts."""
    (model / "sub" / "weights.bin").write_bytes(bytes(range(256)) * (11 * 4096))
    return model


def described(folder, **given):
    return describe(folder, **{"name": "m", "part_size": 5 * MIB, **given})


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def keys_in(s3, bucket):
    return {item["Key"] for item in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_what_is_uploaded_is_what_is_pulled(large_model, bucket, tmp_path):
    manifest = described(large_model)
    uploaded = upload(large_model, manifest, f"s3://{bucket}/models")
    assert uploaded.uri == f"s3://{bucket}/models/m/{manifest.version}/"
    target = tmp_path / "model"
    pulled = pull(uploaded.uri, target, expected_sha256=uploaded.manifest_sha256)
    assert pulled == manifest
    files = contents(target)
    assert hashlib.sha256(files.pop("manifest.json")).hexdigest() == uploaded.manifest_sha256
    assert files == contents(large_model)
    assert read_manifest(target) == manifest


def test_a_manifest_written_over_by_another_versions_is_not_pulled(model, bucket, s3, tmp_path):
    uploaded = upload(model, described(model), f"s3://{bucket}/p")
    other = manifest_bytes(described(model, n_features=7))
    key = uploaded.uri.removeprefix(f"s3://{bucket}/") + "manifest.json"
    s3.client().put_object(Bucket=bucket, Key=key, Body=other)
    with pytest.raises(ModelVersionError, match=rf"^Wrong version: {uploaded.uri} holds m/"):
        pull(uploaded.uri, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_bucket_without_a_prefix_will_do(model, bucket, tmp_path):
    uploaded = upload(model, described(model), f"s3://{bucket}")
    assert uploaded.uri.startswith(f"s3://{bucket}/m/")
    pull(uploaded.uri.rstrip("/"), tmp_path / "model")


def test_the_same_content_has_the_same_version_and_other_content_another(model):
    first = described(model, now=datetime(2026, 1, 1, tzinfo=UTC), metrics={"accuracy": 0.9})
    second = described(model, now=datetime(2026, 1, 2, tzinfo=UTC), metrics={"accuracy": 0.8})
    assert first.version == second.version
    assert len(first.version) == 16
    assert described(model, n_features=3).version != first.version
    assert described(model, libraries={"numpy": "0"}).version != first.version
    (model / "model.txt").write_text("another tree")
    assert described(model).version != first.version


def test_uploading_again_sends_nothing_and_tells_the_stored_manifests_digest(model, bucket, s3):
    first = upload(model, described(model, now=datetime(2026, 1, 1, tzinfo=UTC)), f"s3://{bucket}/p")
    before = {
        item["Key"]: item["LastModified"] for item in s3.client().list_objects_v2(Bucket=bucket)["Contents"]
    }
    again = upload(model, described(model, now=datetime(2026, 1, 2, tzinfo=UTC)), f"s3://{bucket}/p")
    assert (again.uri, again.manifest_sha256) == (first.uri, first.manifest_sha256)
    assert (first.was_there, again.was_there) == (False, True)
    after = {
        item["Key"]: item["LastModified"] for item in s3.client().list_objects_v2(Bucket=bucket)["Contents"]
    }
    assert after == before


def test_an_upload_that_another_one_overtook_tells_the_others_digest(model, bucket, monkeypatch):
    first = upload(model, described(model, now=datetime(2026, 1, 1, tzinfo=UTC)), f"s3://{bucket}/p")
    client = make_client(8)
    get_object, looks = client.get_object, []

    def not_there_at_first(**given):
        looks.append(given)
        if len(looks) == 1:
            return get_object(**given | {"Key": "none"})
        return get_object(**given)

    monkeypatch.setattr(client, "get_object", not_there_at_first)
    late = described(model, now=datetime(2026, 1, 2, tzinfo=UTC))
    second = upload(model, late, f"s3://{bucket}/p", client=client)
    assert (second.manifest_sha256, second.was_there) == (first.manifest_sha256, True)


def test_progress_ends_at_the_total(large_model, bucket, tmp_path):
    manifest = described(large_model)
    up, down = [], []
    uploaded = upload(large_model, manifest, f"s3://{bucket}/p", progress=lambda *told: up.append(told))
    pull(uploaded.uri, tmp_path / "model", progress=lambda *told: down.append(told))
    assert up[-1] == down[-1] == (manifest.size, manifest.size)
    assert down == sorted(down)


def test_an_interrupted_upload_has_no_manifest_and_the_next_completes_it(
    large_model, bucket, s3, monkeypatch
):
    manifest = described(large_model)
    client = make_client(8)
    monkeypatch.setattr(client, "complete_multipart_upload", _fall)
    with pytest.raises(RuntimeError):
        upload(large_model, manifest, f"s3://{bucket}/p", client=client)
    assert not any(key.endswith("manifest.json") for key in keys_in(s3, bucket))
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)
    assert upload(large_model, manifest, f"s3://{bucket}/p").was_there is False
    assert any(key.endswith("manifest.json") for key in keys_in(s3, bucket))


def _fall(**_given):
    raise RuntimeError("the laptop was closed")


def test_an_object_lost_after_the_upload_is_sent_again(model, bucket, s3, tmp_path):
    uploaded = upload(model, described(model), f"s3://{bucket}/p")
    lost = next(key for key in keys_in(s3, bucket) if key.endswith("weights.bin"))
    s3.client().delete_object(Bucket=bucket, Key=lost)
    assert upload(model, described(model), f"s3://{bucket}/p").was_there is True
    pull(uploaded.uri, tmp_path / "model")


@pytest.mark.parametrize("content", [b"forest", b"tree\n" * 999, b"tree\n" * 1001, b"tree!" * 1000])
def test_a_file_that_changed_after_its_description_is_refused(model, bucket, s3, content):
    manifest = described(model)
    (model / "model.txt").write_bytes(content)
    with pytest.raises(ModelVersionError, match=r"^File changed: .*model\.txt"):
        upload(model, manifest, f"s3://{bucket}/p")
    assert not any(key.endswith("manifest.json") for key in keys_in(s3, bucket))


def test_a_file_that_went_after_its_description_is_refused(model, bucket):
    manifest = described(model)
    (model / "sub" / "weights.bin").unlink()
    with pytest.raises(ModelVersionError, match=r"^File changed: .*weights\.bin"):
        upload(model, manifest, f"s3://{bucket}/p")


def test_s3_is_asked_to_verify_every_part(large_model, bucket, monkeypatch):
    client = make_client(8)
    sent = []
    for name in ("put_object", "upload_part"):
        call = getattr(client, name)
        monkeypatch.setattr(client, name, lambda call=call, **given: (sent.append(given), call(**given))[1])
    upload(large_model, described(large_model), f"s3://{bucket}/p", client=client)
    assert len(sent) == 3 + 2 + 1
    assert all(given["ChecksumSHA256"] for given in sent)
    assert sent[-1]["Key"].endswith("manifest.json")
    assert sent[-1]["IfNoneMatch"] == "*"


def test_another_versions_manifest_in_the_place_is_left_alone(model, bucket, s3):
    manifest = described(model)
    other = described(model, n_features=7)
    key = f"p/m/{manifest.version}/manifest.json"
    s3.client().put_object(Bucket=bucket, Key=key, Body=manifest_bytes(other))
    with pytest.raises(ModelVersionError, match="another version"):
        upload(model, manifest, f"s3://{bucket}/p")


def test_an_upload_to_no_bucket_says_so(model, bucket):
    with pytest.raises(StorageError, match=r"^No such bucket: s3://nowhere-"):
        upload(model, described(model), "s3://nowhere-at-all/p")


@pytest.mark.parametrize("uri", ["bucket/p", "s3://", "https://bucket/p", "s3://bucket/a//b", "s3://b/p?x=1"])
def test_a_destination_that_is_no_s3_uri_is_refused(model, uri):
    with pytest.raises(StorageError, match=r"^Bad location"):
        upload(model, described(model), uri)


def test_describing_and_writing_leaves_the_version_as_it_is(model):
    first = described(model)
    write_manifest(model, first)
    assert described(model).version == first.version
    assert json.loads((model / "manifest.json").read_text())["version"] == first.version


def test_uploads_and_pulls_use_one_client_for_all_threads(model, bucket, monkeypatch):
    made = []

    def make(connections):
        made.append(threading.get_ident())
        return make_client(connections)

    monkeypatch.setattr(upload_module, "make_client", make)
    upload(model, described(model), f"s3://{bucket}/p")
    assert len(made) == 1
