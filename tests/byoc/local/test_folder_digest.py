"""A folder has another digest after each edit that an image of it would contain, and after no other."""

import os

import pytest

from byoc.local.folder_digest import FolderDigests


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "container" / "program"
    (folder / "apps").mkdir(parents=True)
    (folder / "serve").write_text("#!/bin/sh\n")
    (folder / "apps" / "model.py").write_text("answer = 42\n")
    (folder / "link").symlink_to("serve")
    return folder


def write(path, text="something"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: write(folder / "apps" / "model.py", "answer = 43\n"),
        lambda folder: write(folder / "apps" / "new.py", ""),
        lambda folder: (folder / "serve").chmod(0o755),
        lambda folder: (folder / "serve").rename(folder / "server"),
        lambda folder: (folder / "serve").unlink(),
        lambda folder: ((folder / "link").unlink(), (folder / "link").symlink_to("apps")),
        lambda folder: write(folder.parent / "Dockerfile", "FROM x\nENV LEVEL=2"),
    ],
    ids=["bytes", "new", "mode", "name", "gone", "link", "dockerfile"],
)
def test_an_edit_is_another_digest(folder, edit):
    write(folder.parent / "Dockerfile", "FROM x")
    digests = FolderDigests()
    before = digests.of(folder)
    edit(folder)
    assert digests.of(folder) == FolderDigests().of(folder) != before


@pytest.mark.parametrize(
    "left", ["apps/.temps/model/part", "apps/__pycache__/model.cpython-311.pyc", "old.pyc", ".git/HEAD"]
)
def test_what_tools_leave_behind_is_none(folder, left):
    before = FolderDigests().of(folder)
    write(folder / left)
    assert FolderDigests().of(folder) == before


def test_times_alone_are_none(folder):
    digests = FolderDigests()
    before = digests.of(folder)
    os.utime(folder / "serve", (1, 1))
    assert digests.of(folder) == before


@pytest.mark.parametrize("where", ["", ".."])
def test_what_the_dockerignore_keeps_out_is_none(folder, where):
    write(folder / where / "Dockerfile", "FROM x")
    ignored = "# not these\n\n**/*.key\n**/tests/\n" + ("program/" if where else "") + "no?es.*\n"
    write(folder / where / ".dockerignore", ignored)
    before = FolderDigests().of(folder)
    for name in ("apps/my.key", "apps/tests/test_model.py", "notes.txt"):
        write(folder / name)
    assert FolderDigests().of(folder) == before
    write(folder / "apps" / "notes.txt")
    assert FolderDigests().of(folder) != before


def test_a_dockerignore_with_exceptions_keeps_nothing_out(folder):
    write(folder / "Dockerfile", "FROM x")
    write(folder / ".dockerignore", "*\n!apps\n[\n")
    before = FolderDigests().of(folder)
    write(folder / "apps" / "model.py", "answer = 44\n")
    assert FolderDigests().of(folder) != before


def test_a_file_is_read_again_only_when_it_has_changed(folder, monkeypatch):
    digests = FolderDigests()
    before = digests.of(folder)
    monkeypatch.setattr("byoc.local.folder_digest._content", lambda path: pytest.fail(f"{path} was read"))
    assert digests.of(folder) == before
