import errno
import os
import threading
from dataclasses import replace

import pytest

from byoc_serving.errors import ModelVersionError, StorageError
from byoc_serving.model_version import describe
from byoc_serving.stopping import StoppedError
from byoc_serving.versions import pull as pull_module
from byoc_serving.versions.manifest import manifest_bytes, read_manifest, version_of
from byoc_serving.versions.pull import ATTEMPTS, fetch
from byoc_serving.versions.s3 import BrokenTransferError, Location


class MemorySource:
    """A model version in memory; spoil(entry, index, attempt, content) may change what arrives."""

    def __init__(self, folder, spoil=lambda *given: given[-1], **given):
        self.described = describe(folder, **{"name": "m", "part_size": 1000, **given})
        self.content = {entry.path: (folder / entry.path).read_bytes() for entry in self.described.files}
        self.spoil = spoil
        self.attempts = {}
        self.lock = threading.Lock()

    def manifest(self):
        return manifest_bytes(self.described)

    def part(self, entry, index):
        with self.lock:
            attempt = self.attempts[entry.path, index] = self.attempts.get((entry.path, index), 0) + 1
        start, length = entry.part_range(index)
        content = self.spoil(entry, index, attempt, self.content[entry.path][start : start + length])
        for offset in range(0, len(content), 100):
            yield content[offset : offset + 100]


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "made"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "big").write_bytes(bytes(range(256)) * 20)
    (folder / "small").write_bytes(b"s")
    return folder


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old.txt").write_text("what was there")
    return folder


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.is_file() and p.read_bytes() for p in folder.rglob("*")}


def test_parts_are_put_together_in_place(made, target):
    source = MemorySource(made)
    fetch(source, target, None)
    assert len(source.attempts) == 6 + 1
    assert (target / "a" / "big").read_bytes() == (made / "a" / "big").read_bytes()
    assert (target / "old.txt").exists()


@pytest.mark.parametrize("fault", ["broken", "wrong"])
def test_a_bad_part_is_fetched_again_after_a_growing_wait(made, target, fault):
    def spoil(_entry, index, attempt, content):
        if index == 2 and attempt < ATTEMPTS:
            if fault == "broken":
                raise BrokenTransferError("the line fell")
            return content[::-1]
        return content

    waits, told = [], []
    fetch(MemorySource(made, spoil), target, None, sleep=waits.append, progress=lambda *now: told.append(now))
    assert waits == [0.2, 0.4, 0.8]
    assert told[-1] == (5121, 5121)
    assert (target / "a" / "big").read_bytes() == (made / "a" / "big").read_bytes()


def test_a_part_that_stays_bad_fails_and_leaves_everything_as_it_was(made, target):
    before = tree(target)
    source = MemorySource(made, lambda _entry, index, _attempt, content: content[::-1] if index else content)
    with pytest.raises(ModelVersionError, match=r"^Wrong sha256: part \d of 6 of 'a/big'"):
        fetch(source, target, None, sleep=lambda _: None)
    assert tree(target) == before


def test_a_refusal_is_not_tried_again(made, target):
    def spoil(*_given):
        raise StorageError("Access denied: x")

    source = MemorySource(made, spoil)
    with pytest.raises(StorageError, match="Access denied"):
        fetch(source, target, None, sleep=pytest.fail)
    assert max(source.attempts.values()) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_while_writing_says_so(made, target, monkeypatch, code):
    def write_at(*_given):
        raise OSError(code, os.strerror(code))

    before = tree(target)
    monkeypatch.setattr(pull_module, "write_at", write_at)
    with pytest.raises(StorageError, match=r"^Disk full: .*/model ran out of room"):
        fetch(MemorySource(made), target, None)
    assert tree(target) == before


def test_the_version_that_is_there_is_verified_and_left(made, target):
    fetch(MemorySource(made), target, None)
    again = MemorySource(made, pytest.fail)
    again.described = read_manifest(target)
    fetch(again, target, None)


def test_a_version_that_was_damaged_is_fetched_again(made, target):
    source = MemorySource(made)
    fetch(source, target, None)
    (target / "small").write_bytes(b"x")
    fetch(source, target, None)
    assert (target / "small").read_bytes() == b"s"


def test_another_version_takes_the_place_of_the_earlier_ones_files(made, target):
    fetch(MemorySource(made), target, None)
    (made / "a" / "big").unlink()
    (made / "a").rmdir()
    (made / "a").write_bytes(b"a file where a folder was")
    fetch(MemorySource(made), target, None)
    assert set(tree(target)) == {"old.txt", "a", "small", "manifest.json"}
    (made / "a").unlink()
    (made / "a" / "b").mkdir(parents=True)
    (made / "a" / "b" / "c").write_bytes(b"and a folder where a file was")
    fetch(MemorySource(made), target, None)
    assert set(tree(target)) == {"old.txt", "a", "a/b", "a/b/c", "small", "manifest.json"}


def test_a_stop_before_the_last_rename_undoes_the_others(made, target):
    fetch(MemorySource(made), target, None)
    before = tree(target)
    (made / "a" / "big").write_bytes(b"new")
    (made / "a" / "new").write_bytes(b"new")
    (made / "small").unlink()
    moved = []

    def check():
        if (target / "a" / "new").exists():
            moved.append(True)
            raise StoppedError(15)

    with pytest.raises(StoppedError):
        fetch(MemorySource(made), target, None, check=check)
    assert moved
    assert tree(target) == before


def test_an_unrelated_folder_is_not_replaced_by_a_file(made, target):
    (target / "small" / "kept").mkdir(parents=True)
    before = tree(target)
    with pytest.raises(StorageError, match=r"^Cannot write: .*small is a folder"):
        fetch(MemorySource(made), target, None)
    assert tree(target) == before


def test_a_link_in_the_model_directory_is_not_followed(made, target, tmp_path):
    (tmp_path / "outside").mkdir()
    (target / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match=r"^Cannot write: "):
        fetch(MemorySource(made), target, None)
    assert tree(tmp_path / "outside") == {}


def test_an_earlier_versions_files_are_not_moved_from_behind_a_link(made, target, tmp_path):
    fetch(MemorySource(made), target, None)
    (target / "a").rename(tmp_path / "elsewhere")
    (target / "a").symlink_to(tmp_path / "elsewhere")
    (made / "small").write_bytes(b"another version")
    with pytest.raises(StorageError, match=r"^Cannot write: .*/a is a link"):
        fetch(MemorySource(made), target, None)
    assert (tmp_path / "elsewhere" / "big").read_bytes() == (made / "a" / "big").read_bytes()


def test_a_version_in_the_place_of_another_is_refused_before_anything_is_fetched(made, target):
    before = tree(target)
    source = MemorySource(made, pytest.fail)
    for prefix in ("p/m/0123456789abcdef/", f"p/other/{source.described.version}/", "", "p/m/"):
        with pytest.raises(ModelVersionError, match=rf"^Wrong version: s3://b/{prefix} holds m/"):
            fetch(source, target, None, place=Location("b", prefix))
    assert tree(target) == before


def test_a_model_directory_that_was_not_there_is_made_or_left_out(made, tmp_path):
    with pytest.raises(ModelVersionError):
        fetch(MemorySource(made, lambda *_: b""), tmp_path / "none", None, sleep=lambda _: None)
    assert not (tmp_path / "none").exists()
    fetch(MemorySource(made), tmp_path / "none", None)
    assert (tmp_path / "none" / "small").exists()


@pytest.mark.parametrize("path", ["../small", "/tmp/small", "a\\b", "a/", ".byoc-staging-1/x"])
def test_a_manifest_with_a_bad_path_is_refused_before_anything_is_fetched(made, target, path):
    before = tree(target)
    source = MemorySource(made, pytest.fail)
    first, *others = source.described.files
    changed = replace(source.described, files=(replace(first, path=path), *others))
    source.described = replace(changed, version=version_of(changed))
    with pytest.raises(ModelVersionError, match=r"^Path "):
        fetch(source, target, None)
    assert tree(target) == before


def test_a_chunk_longer_than_one_write_is_written_whole_at_its_place(tmp_path):
    content = bytes(range(256)) * 4_000 + b"end"
    with (tmp_path / "file").open("wb") as file:
        pull_module.write_at(file.fileno(), content, 5)
    assert (tmp_path / "file").read_bytes() == bytes(5) + content
