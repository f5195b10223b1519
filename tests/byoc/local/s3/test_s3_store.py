import os
import subprocess
import sys
import threading

import pytest

from byoc.local.errors import AwsError
from byoc.local.s3.records import Description
from byoc.local.s3.store import ObjectStore


@pytest.fixture
def root(tmp_path):
    return tmp_path / "s3"


@pytest.fixture
def store(root):
    store = ObjectStore(root)
    store.create_bucket("b")
    yield store
    store.close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def test_a_file_becomes_an_object_and_stays(store, file):
    stored = store.put_file("b", "k", file, "text/plain")
    assert stored == store.head("b", "k")
    assert (stored.size, stored.etag, stored.content_type) == (
        7,
        "9a0364b9e99bb480dd25e1f0284c8555",
        "text/plain",
    )
    assert stored.path.read_bytes() == file.read_bytes() == b"content"


def test_a_file_can_be_moved_in(store, file):
    inode = file.stat().st_ino
    stored = store.put_file("b", "k", file, move=True)
    assert not file.exists()
    assert (stored.path.stat().st_ino, stored.path.read_bytes()) == (inode, b"content")


def test_what_is_missing_has_awss_own_errors(store, file):
    for act, code in [
        (lambda: store.head("b", "k"), "NoSuchKey"),
        (lambda: store.head("none", "k"), "NoSuchBucket"),
        (lambda: list(store.walk("none")), "NoSuchBucket"),
        (lambda: store.put_file("none", "k", file), "NoSuchBucket"),
        (lambda: store.remove("none", "k"), "NoSuchBucket"),
    ]:
        with pytest.raises(AwsError) as raised:
            act()
        assert (raised.value.code, raised.value.status) == (code, 404)


def test_all_is_private_to_its_owner(store, root, file):
    store.put_file("b", "k", file)
    store.uploads.begin("b", "k", Description(), "", "")
    for path in [root, *root.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_restart_changes_nothing(store, root, file):
    kept = store.put_file("b", "k", file)
    upload = store.uploads.begin("b", "up", Description(metadata={"a": "b"}), "SHA256", "COMPOSITE")
    draft = store.uploads.draft(upload.id, 1, 7, {})
    draft.write(b"content")
    store.uploads.keep(upload.id, 1, draft, "etag", {})
    store.close()
    again = ObjectStore(root)
    try:
        assert again.head("b", "k") == kept
        assert again.uploads.all("b") == [upload]
        (part,) = again.uploads.parts(upload.id)
        assert part.path.read_bytes() == b"content"
    finally:
        again.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from byoc.local.s3.store import ObjectStore
store = ObjectStore(Path(sys.argv[1]))
store.create_bucket("b")
store.put_file("b", "whole", Path(sys.argv[2]))
half = store.blobs.draft({})
half.write(b"half of an object")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_server_leaves_whole_objects_and_no_halves(root, file):
    subprocess.run([sys.executable, "-c", KILLED, root, file], check=False)
    assert len(list((root / "blobs").iterdir())) == 2
    store = ObjectStore(root)
    try:
        (kept,) = store.walk("b")
        assert kept.path.read_bytes() == b"content"
        assert list((root / "blobs").iterdir()) == [kept.path]
    finally:
        store.close()


def test_a_folder_belongs_to_one_server_at_a_time(store, root):
    with pytest.raises(BlockingIOError, match="another local SageMaker"):
        ObjectStore(root)


def test_an_upload_that_nobody_ends_goes_after_a_week(root):
    now = 1_000_000.0
    for opened, left in ((now, 1), (now + 6 * 86400, 1), (now + 8 * 86400, 0)):
        store = ObjectStore(root, clock=lambda at=opened: at)
        try:
            if store.create_bucket("b"):
                store.uploads.begin("b", "k", Description(), "", "")
            assert len(store.uploads.all("b")) == len(list(store.blobs.folder.iterdir())) == left
        finally:
            store.close()


def test_objects_are_walked_in_the_order_of_their_bytes(store, file):
    keys = ["é", "z", "a/b", "a", "a/", "A", "\udcff", "日", "🙂", "a/\x00"]
    for key in keys:
        store.put_file("b", key, file)
    in_order = sorted(keys, key=lambda key: key.encode("utf-8", "surrogateescape"))
    assert [one.key for one in store.walk("b")] == in_order
    assert [one.key for one in store.walk("b", "a/")] == ["a/", "a/\x00", "a/b"]
    assert [one.key for one in store.walk("b", after=b"a/")] == in_order[in_order.index("a/") + 1 :]


def test_a_bucket_goes_with_its_settings_and_uploads(store):
    store.keep_setting("b", "policy", "{}")
    store.uploads.begin("b", "k", Description(), "", "")
    store.delete_bucket("b")
    store.create_bucket("b")
    assert store.setting("b", "policy") is None
    assert store.uploads.all("b") == []
    assert list(store.blobs.folder.iterdir()) == []


def test_writers_at_once_leave_one_whole_object(store, tmp_path):
    files = [tmp_path / str(n) for n in range(8)]
    for number, path in enumerate(files):
        path.write_bytes(bytes([number]) * 100_000)
    threads = [threading.Thread(target=store.put_file, args=("b", "k", path)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = store.head("b", "k").path.read_bytes()
    assert content in [path.read_bytes() for path in files]
    assert len(list(store.blobs.folder.iterdir())) == 1


def test_a_late_part_does_not_reach_the_object(store):
    upload = store.uploads.begin("b", "k", Description(), "", "")

    def begin(number):
        draft = store.uploads.draft(upload.id, number, 4, {})
        draft.write(b"%04d" % number)
        return draft

    late = store.uploads.draft(upload.id, 2, 4, {})
    parts = [store.uploads.keep(upload.id, number, begin(number), "etag", {}) for number in (1, 2)]
    from_parts = []
    stored = store.uploads.complete(upload.id, parts, lambda path, size: from_parts.append((path, size)))
    assert stored is None
    late.write(b"LATE")
    store.uploads.drop(upload.id, 2, late)
    ((path, size),) = from_parts
    assert (path.read_bytes(), size) == (b"00010002", 8)


def test_a_full_disk_is_told_and_leaves_nothing(store, file, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        store.put_file("b", "k", file)
    assert list(store.blobs.folder.iterdir()) == []
