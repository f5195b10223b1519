import gzip
import io
import tarfile

import pytest

from byoc_serving.errors import ModelVersionError, StorageError
from byoc_serving.versions.archives import Bounds, unpack

pytestmark = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="this Python cannot unpack safely: 3.11.4 can"
)


def member(name, content=b"x", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


@pytest.fixture
def unpacked(tmp_path):
    """Pack members, unpack them within bounds, and return what came out."""

    def act(*members, **bounds):
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
            for info, content in members:
                tar.addfile(info, io.BytesIO(content))
        target = tmp_path / "target"
        target.mkdir()
        unpack(tmp_path / "model.tar.gz", target, Bounds(**bounds))
        return {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}

    return act


def test_files_and_folders_come_out_as_they_are(unpacked):
    found = unpacked(
        member("./", b"", type=tarfile.DIRTYPE),
        member("./manifest.json", b"{}"),
        member("sub/", b"", type=tarfile.DIRTYPE),
        member("sub/a", b"content"),
    )
    assert found == {"manifest.json": b"{}", "sub/a": b"content"}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (member("/etc/passwd"), "is absolute"),
        (member("../x"), "'..' part"),
        (member("a/../../x"), "'..' part"),
        (member("a\\b"), "backslash"),
        (member("a"), "repeats"),
        (member("link", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
        (member("link", b"", type=tarfile.LNKTYPE, linkname="a"), "is a link"),
        (member("pipe", b"", type=tarfile.FIFOTYPE), "no plain file"),
        (member("device", b"", type=tarfile.CHRTYPE), "no plain file"),
        (member(".byoc-staging-x/a"), "is reserved"),
    ],
)
def test_a_member_that_cannot_be_trusted_is_refused(unpacked, tmp_path, bad, reason):
    with pytest.raises(ModelVersionError) as error:
        unpacked(member("a"), bad)
    assert reason in str(error.value)
    assert {path.name for path in tmp_path.rglob("*")} <= {"model.tar.gz", "target", "a"}


@pytest.mark.parametrize("mtime", ["nan", "inf", "-inf", "1e300", "-1"])
def test_a_time_that_no_file_system_takes_does_not_matter(unpacked, mtime):
    assert unpacked(member("a", pax_headers={"mtime": mtime})) == {"a": b"x"}


@pytest.mark.parametrize(
    "members",
    [
        (member("a"), member("a/b")),
        (member("a/b"), member("a")),
        (member("a", b"", type=tarfile.DIRTYPE), member("a")),
        (member("a"), member("a", b"", type=tarfile.DIRTYPE)),
    ],
    ids=["file then below it", "below it then file", "folder then file", "file then folder"],
)
def test_a_path_that_is_a_file_and_a_folder_is_refused(unpacked, members):
    with pytest.raises(ModelVersionError, match=r"^Path 'a' is both a file and a folder"):
        unpacked(*members)


@pytest.mark.parametrize("names", [("manifest.json", "./manifest.json"), ("a", "./a")])
def test_a_member_that_comes_twice_is_refused(unpacked, names):
    with pytest.raises(ModelVersionError, match="repeats"):
        unpacked(*map(member, names))


def test_headers_without_an_end_are_refused(unpacked):
    endless = [member("././@LongLink", b"a\0", type=tarfile.GNUTYPE_LONGNAME) for _ in range(2000)]
    with pytest.raises(ModelVersionError, match=r"^Bad archive: "):
        unpacked(*endless)


@pytest.mark.parametrize(
    "headers", [{"size": "-1"}, {"size": "-512"}, {"GNU.sparse.map": "x,y"}, {"GNU.sparse.realsize": "x"}]
)
def test_headers_that_make_no_sense_are_refused(unpacked, headers):
    with pytest.raises(ModelVersionError, match=r"^Bad archive: "):
        unpacked(member("a", pax_headers=headers))


def test_more_members_than_the_bound_are_refused(unpacked):
    with pytest.raises(ModelVersionError, match="over 2 members"):
        unpacked(*(member(name) for name in "abc"), members=2)


def test_more_bytes_than_the_bound_are_refused_before_they_are_written(unpacked, tmp_path):
    with pytest.raises(ModelVersionError, match="or 100 bytes"):
        unpacked(member("a", b"x" * 101), size=100)
    assert not (tmp_path / "target" / "a").exists()


def test_more_bytes_than_the_disk_has_are_refused_before_they_are_written(tmp_path):
    info, _ = member("a")
    info.size = 1 << 60
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    with pytest.raises(StorageError, match=r"^Disk full: "):
        unpack(tmp_path / "m.tar.gz", tmp_path, Bounds(size=1 << 61))


def test_a_header_that_would_fill_the_memory_is_refused(unpacked):
    with pytest.raises(ModelVersionError, match="a header of"):
        unpacked(member("a" * (2 << 20)))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar"), gzip.compress(b"x" * 2000)[:20]],
    ids=["nothing", "not gzip", "gzip of no tar", "cut off"],
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "m.tar.gz").write_bytes(content)
    with pytest.raises(ModelVersionError, match=r"^Bad archive: m\.tar\.gz"):
        unpack(tmp_path / "m.tar.gz", tmp_path)


def test_an_archive_that_is_cut_off_is_refused(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        tar.addfile(member("a", bytes(range(256)) * 1000)[0], io.BytesIO(bytes(range(256)) * 1000))
    (tmp_path / "m.tar.gz").write_bytes(content.getvalue()[:-30])
    with pytest.raises(ModelVersionError, match=r"^Bad archive: "):
        unpack(tmp_path / "m.tar.gz", tmp_path)
