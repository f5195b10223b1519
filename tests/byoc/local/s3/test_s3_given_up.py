"""Whoever gives a request up in the middle of it leaves a whole object or none, and no file besides."""

import asyncio
import threading
from contextlib import suppress

import pytest

from byoc.local.s3.plane import S3Plane
from byoc.local.s3.store import ObjectStore
from byoc.local.wire import Request

MIB = b"x" * 1024 * 1024


@pytest.fixture
def store(tmp_path):
    made = ObjectStore(tmp_path / "objects")
    made.create_bucket("b")
    yield made
    made.close()


def files(store):
    return sorted(path.stat().st_size for path in store.blobs.folder.iterdir())


def put(body, size, query=""):
    return Request("PUT", "/b/k", query, {"content-length": str(size)}, body)


async def pieces(*given):
    for piece in given:
        yield piece


def cancelled_in(act, step):
    """Cancel a request while `step`, one of the store's, is under way in its thread; let that go on."""
    reached, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def held(*arguments):
        reached.set()
        go_on.wait(5)
        try:
            return step(*arguments)
        finally:
            done.set()

    async def give_up():
        task = asyncio.ensure_future(act(held))
        await asyncio.to_thread(reached.wait, 5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        go_on.set()
        await asyncio.to_thread(done.wait, 5)

    asyncio.run(give_up())


def test_an_object_that_is_being_kept_is_kept_whole(store, monkeypatch):
    def act(held):
        monkeypatch.setattr(store, "keep", held)
        return S3Plane(store, "us-east-1")(put(pieces(b"all of it"), 9))

    cancelled_in(act, store.keep)
    _, file = store.open("b", "k")
    with file:
        assert file.read() == b"all of it"
    assert files(store) == [9]


def test_an_object_that_is_refused_meanwhile_leaves_no_file(store, monkeypatch):
    def act(held):
        monkeypatch.setattr(store, "keep", held)
        return S3Plane(store, "us-east-1")(put(pieces(b"all of it"), 9))

    def refuse(*_):
        raise OSError("the disk is full")

    cancelled_in(act, refuse)
    assert store.find("b", "k") is None
    assert files(store) == []


def test_a_part_that_is_being_kept_is_kept_whole(store, monkeypatch):
    uploads = store.uploads
    headers = {"host": "localhost"}
    plane = S3Plane(store, "us-east-1")
    asyncio.run(plane(Request("POST", "/b/k", "uploads", headers, pieces())))
    (upload,) = uploads.all("b")

    def act(held):
        monkeypatch.setattr(uploads, "keep", held)
        return plane(put(pieces(b"a part"), 6, f"partNumber=1&uploadId={upload.id}"))

    cancelled_in(act, uploads.keep)
    (part,) = uploads.parts(upload.id)
    assert part.path.read_bytes() == b"a part"
    uploads.abort(upload.id)
    assert files(store) == []


def test_a_client_that_goes_away_while_it_sends_leaves_no_file(store):
    async def breaks_off():
        for _ in range(3):
            yield MIB
        raise ConnectionError("the client hung up")

    with pytest.raises(ConnectionError):
        asyncio.run(S3Plane(store, "us-east-1")(put(breaks_off(), 4 * len(MIB))))
    assert store.find("b", "k") is None
    assert files(store) == []


def test_an_object_that_is_replaced_while_it_is_read_stays_what_it_was(store, tmp_path):
    for text in ("before", "after"):
        (tmp_path / text).write_text(text)
    store.put_file("b", "k", tmp_path / "before")
    stored, file = store.open("b", "k")
    store.put_file("b", "k", tmp_path / "after")
    with file:
        assert file.read() == b"before"
    assert stored.size == len("before")
