"""The files of an image are found as its programs find them."""

import json
import tarfile

import pytest
from docker_stand_in import asked, member, stand_in

from byoc.check.files import Entry, Files, files_of, is_own
from byoc.check.ignored import ignored
from byoc.check.verdict import CannotTestError
from byoc.runtime.images import DockerImage, Folder
from nobody import nobody, open_folder, root_only

FILE, LINK, FOLDER = 0o100644, 0o120777, 0o040755


def image(*entries):
    return Files({entry.path: entry for entry in entries}, is_whole=True)


def test_links_are_followed_wherever_they_are_on_the_way():
    files = image(
        Entry("/bin", LINK, link="usr/bin"),
        Entry("/usr/bin", FOLDER),
        Entry("/usr/bin/python3", LINK, link="python3.12"),
        Entry("/usr/bin/python3.12", FILE),
        Entry("/usr/bin/python", LINK, link="/etc/alternatives/python"),
        Entry("/etc/alternatives/python", LINK, link="/bin/python3"),
        Entry("/loop", LINK, link="loop"),
    )
    assert files.find("/bin/python").path == "/usr/bin/python3.12"
    assert files.find("/bin/../bin/python3").path == "/usr/bin/python3.12"
    assert files.find("/loop") is None
    assert files.find("/loop/x") is None
    assert files.find("/bin/perl") is None


def test_a_word_is_the_first_executable_of_that_name_on_path():
    files = image(
        Entry("/a/serve", FOLDER),
        Entry("/b/serve", FILE),
        Entry("/c/serve", FILE | 0o111),
        Entry("/app/run", FILE),
    )
    assert files.which("serve", "/a:/b:/c", "/").path == "/c/serve"
    assert files.which("serve", "/a:/b", "/").path == "/b/serve"
    assert files.which("serve", "/a", "/") is None
    assert files.which("./run", "", "/app").path == "/app/run"


def test_below_a_folder_is_not_beside_it():
    files = image(
        Entry("/opt/ml/model", FOLDER), Entry("/opt/ml/model/x", FILE), Entry("/opt/ml/models", FILE)
    )
    assert [entry.path for entry in files.below("/opt/ml/model")] == ["/opt/ml/model/x"]


def test_an_images_files_are_those_that_the_engine_exports(tmp_path, monkeypatch):
    stand_in(
        tmp_path / "bin",
        monkeypatch,
        files=[
            (member("app/serve", 0o755), b"#!/bin/sh\n"),
            (member("usr/lib/x.so"), b"12345"),
            (member("usr/bin/sh", 0o755), b"\x7fELF"),
            (member("bin", kind=tarfile.SYMTYPE, link="usr/bin"), b""),
            (member("app/again", kind=tarfile.LNKTYPE, link="app/serve"), b""),
            (member("opt", 0o755, kind=tarfile.DIRTYPE), b""),
        ],
    )
    files = files_of(DockerImage("image"))
    assert files.is_whole
    assert files.find("/app/again").content == b"#!/bin/sh\n"
    assert files.find("/app/serve").is_executable
    assert files.find("/bin/sh").content == b"\x7fELF"
    assert (files.find("/usr/lib/x.so").size, files.find("/usr/lib/x.so").content) == (5, b"")
    assert not files.find("/opt").is_file
    assert asked(tmp_path / "bin")[-1] == ["rm", "--force", "--volumes", "0123"]


def test_the_container_goes_where_its_files_cannot_be_read(tmp_path, monkeypatch):
    stand_in(tmp_path / "bin", monkeypatch)
    (tmp_path / "bin" / "export.tar").write_text("no archive")
    with pytest.raises(CannotTestError, match="does not hand over"):
        files_of(DockerImage("image"))
    assert asked(tmp_path / "bin")[-1][0] == "rm"


@pytest.fixture
def folder(tmp_path):
    for name in ("serve", "src/a.py", "src/.env", ".env", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def paths(folder):
    found = files_of(Folder(folder))
    assert not found.is_whole
    return {path for path, entry in found.entries.items() if entry.is_file}


def test_all_of_a_folder_without_a_dockerfile_is_in_its_image(folder):
    assert {"/opt/program/serve", "/opt/program/src/.env"} <= paths(folder)


def test_only_what_a_dockerfile_copies_is_in_its_image(folder):
    (folder / "Dockerfile").write_text("FROM x\nCOPY serve /app/\nCOPY src /opt/ml/model/\n")
    assert paths(folder) == {"/app/serve", "/opt/ml/model/a.py", "/opt/ml/model/.env"}


def test_what_a_dockerignore_names_is_not_in_the_image(folder):
    (folder / "Dockerfile").write_text("FROM x\nCOPY . /app/\n")
    (folder / ".dockerignore").write_text("**/.env\nDockerfile\n.dockerignore\n*.txt\n")
    assert paths(folder) == {"/app/serve", "/app/src/a.py"}


@pytest.mark.parametrize(
    ("text", "path", "is_ignored"),
    [
        ("a", "a", True),
        ("a", "a/b/c", True),
        ("/a", "a/b", True),
        ("a", "b/a", False),
        ("**/a", "b/c/a/d", True),
        ("**/a", "a", True),
        ("*.py", "x.py", True),
        ("*.py", "b/x.py", False),
        ("a/*/c", "a/b/c", True),
        ("**/*.py[cod]", "a/x.pyc", True),
        ("a/**", "a/b/c", True),
        ("*\n!a.txt", "a.txt", False),
        ("*\n!a.txt", "b.txt", True),
        ("!a\na", "a", True),
        ("# a\n\n", "a", False),
        ("a?c", "abc", True),
        ("a.c", "abc", False),
    ],
)
def test_a_dockerignore_is_read_as_docker_reads_it(text, path, is_ignored):
    assert ignored(text)(path) is is_ignored


def test_a_pattern_that_is_none_is_named():
    with pytest.raises(CannotTestError, match=r"The pattern '\[z-a\]' of the .dockerignore cannot be read"):
        ignored("*.csv\n[z-a]\n")


HOME = "/root"  # of who runs programs in most images


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/opt/program/serve", True),
        ("/usr/src/app/x", True),
        ("/usr/local/bin/serve", True),
        (f"{HOME}/.aws/credentials", True),
        ("/etc/pip.conf", True),
        ("/usr/share/x", False),
        ("/opt/venv/lib/python3.13/site-packages/x/tests/key.pem", False),
        ("/etc/ssl/private/snakeoil.key", False),
    ],
)
def test_what_packages_bring_is_not_the_authors_own(path, own):
    assert is_own(path) is own


def test_entries_do_not_show_what_they_hold():
    assert "secret" not in json.dumps(repr(Entry("/x", FILE, content=b"secret")))


@root_only
def test_what_of_a_folder_cannot_be_read_is_named_unless_it_stays_out():
    with open_folder() as folder:
        (folder / "Dockerfile").write_text("FROM x\nCOPY . /app\n")
        (folder / "closed").mkdir(0o000)
        (folder / "closed.py").touch(0o000)
        (folder / "gone").symlink_to("nowhere")
        for ignored_name, named in (("", "closed.py"), ("closed", "closed.py"), ("closed.py", "closed")):
            (folder / ".dockerignore").write_text(ignored_name)
            why = rf"^{folder}/{named} cannot be read: Permission denied\. Give yourself the right"
            with nobody(), pytest.raises(CannotTestError, match=why):
                files_of(Folder(folder))
        (folder / ".dockerignore").write_text("closed*")
        with nobody():
            found = files_of(Folder(folder)).entries
    assert set(found) == {"/app", "/app/Dockerfile", "/app/.dockerignore", "/app/gone"}
