import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from byoc_serving.errors import ModelVersionError
from byoc_serving.model_version import describe, write_manifest
from byoc_serving.settings import Settings
from byoc_serving.versions.manifest import (
    check_manifest_digest,
    manifest_bytes,
    parse_manifest,
    read_manifest,
    verify_model,
    version_of,
)

GOLDEN = (Path(__file__).parents[2] / "golden" / "model-version-1" / "manifest.json").read_bytes()


def changed(**fields):
    """Return the golden manifest with other values, its version made to fit."""
    document = json.loads(GOLDEN) | fields
    return json.dumps(document).encode()


def with_path(path):
    document = json.loads(GOLDEN)
    document["files"][0]["path"] = path
    return json.dumps(document).encode()


def with_file(**fields):
    document = json.loads(GOLDEN)
    document["files"][1] |= fields
    return json.dumps(document).encode()


def test_the_golden_manifest_is_read_and_written_as_it_is():
    manifest = parse_manifest(GOLDEN)
    assert (manifest.name, manifest.n_features, manifest.allow_nan) == ("breast-cancer", 3, False)
    assert [entry.path for entry in manifest.files] == ["model.txt", "sub/weights.bin"]
    assert manifest.files[1].part_range(2) == (10, 2)
    assert manifest_bytes(manifest) == GOLDEN


def test_keys_that_a_later_release_adds_are_passed_over():
    assert parse_manifest(changed(later={"a": 1})) == parse_manifest(GOLDEN)


def test_when_and_how_well_it_was_trained_does_not_make_another_version():
    manifest = parse_manifest(GOLDEN)
    again = replace(manifest, created="2027-01-01T00:00:00Z", git_commit=None, metrics={})
    assert version_of(again) == manifest.version
    parts = tuple(reversed(manifest.files))
    assert version_of(replace(manifest, files=parts)) == manifest.version


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"python": "3.12.0"},
        {"libraries": {}},
        {"content_types": ()},
        {"n_features": None},
        {"allow_nan": True},
        {"sample_rows": ()},
        {"files": ()},
    ],
)
def test_what_decides_the_answers_makes_another_version(change):
    manifest = parse_manifest(GOLDEN)
    assert version_of(replace(manifest, **change)) != manifest.version


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not of the format"),
        (b'{"format": "byoc-model-version/2"}', "is not of the format"),
        (changed(name=5), "has no usable 'name'"),
        (changed(name="../x"), "has the name '../x'"),
        (changed(n_features=True), "has no usable 'n_features'"),
        (changed(libraries={"a": 1}), "something other than strings in 'libraries'"),
        (changed(files=[1]), "lists a file that is not an object"),
        (changed(allow_nan=True), "its content is version"),
        (changed(version="0" * 16), "says version '0000000000000000'"),
        (changed(sample_rows=[[float("nan")]]), "is not JSON"),
        (GOLDEN.replace(b"17.99", b"1e999"), "is not JSON"),
        (with_file(parts=["0" * 64] * 3), "its content is version"),
        (with_file(part_size=4), "its content is version"),
        (with_file(sha256="00"), "not 64 hex digits"),
        (with_file(size=-1), "parts of 5 for -1 bytes"),
        (with_file(part_size=0), "parts of 0 for 12 bytes"),
        (with_file(parts=[]), "0 parts of 5 for 12 bytes"),
        (with_file(parts=["0" * 64], part_size=12), "not that of its one part"),
        (with_file(size=0, parts=[]), "not that of its one part, or of nothing"),
    ],
)
def test_a_bad_manifest_is_refused_with_its_fault(content, reason):
    with pytest.raises(ModelVersionError, match=r"^Bad manifest: ") as error:
        parse_manifest(content)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc/passwd", "is absolute"),
        ("../x", "'..' part"),
        ("a/../b", "'..' part"),
        ("a//b", "has an empty"),
        ("./a", "has an empty, '.'"),
        ("", "has an empty"),
        ("a\\b", "has a backslash"),
        ("a\0b", "a NUL"),
        ("folder/", "is a folder key"),
        ("manifest.json", "is reserved"),
        (".byoc-staging-x/a", "is reserved"),
        ("n" * 256, "over 255 bytes"),
        ("/".join(["n" * 200] * 5), "longer than 900 bytes"),
        ("sub/weights.bin", "repeats"),
        ("sub", "is both a file and a folder"),
        ("sub/weights.bin/x", "is both a file and a folder"),
        ("\ud800", "does not travel"),
    ],
)
def test_a_path_that_cannot_be_trusted_is_refused(path, reason):
    with pytest.raises(ModelVersionError, match=r"^Path ") as error:
        parse_manifest(with_path(path))
    assert reason in str(error.value)


def test_a_digest_given_elsewhere_must_be_the_manifests():
    check_manifest_digest(GOLDEN, None)
    check_manifest_digest(GOLDEN, hashlib.sha256(GOLDEN).hexdigest().upper())
    with pytest.raises(ModelVersionError, match=r"^Wrong manifest digest: "):
        check_manifest_digest(GOLDEN + b" ", hashlib.sha256(GOLDEN).hexdigest())


def make_model(folder):
    (folder / "sub").mkdir(parents=True)
    (folder / "model.txt").write_text("tree")
    (folder / "sub" / "scaler.pkl").write_bytes(b"\x80\x04N.")


@pytest.fixture
def settings(tmp_path):
    """Settings whose model directory holds a described model with a pickle."""
    settings = Settings(base_dir=tmp_path)
    make_model(settings.model_dir)
    return settings


def written(settings, **given):
    write_manifest(settings.model_dir, describe(settings.model_dir, name="m", **given))
    return settings


def test_a_model_as_described_is_verified_without_a_word(settings):
    digest = hashlib.sha256
    content = (written(settings).model_dir / "manifest.json").read_bytes()
    assert verify_model(replace(settings, manifest_sha256=digest(content).hexdigest())) == []


def test_verifying_leaves_no_thread_behind(settings):
    before = threading.active_count()
    verify_model(written(settings))
    assert threading.active_count() == before


def test_no_manifest_is_a_warning_and_no_manifest_at_all(settings):
    assert read_manifest(settings.model_dir) is None
    assert "has no manifest.json" in verify_model(settings)[0]
    shutil.rmtree(settings.model_dir)
    assert "has no manifest.json" in verify_model(settings)[0]


@pytest.mark.parametrize("given", [{"manifest_required": True}, {"manifest_sha256": "0" * 64}])
def test_a_missing_manifest_that_was_asked_for_is_refused(settings, given):
    with pytest.raises(ModelVersionError, match=r"^Missing manifest: "):
        verify_model(replace(settings, **given))


def test_another_manifest_than_the_one_asked_for_is_refused(settings):
    with pytest.raises(ModelVersionError, match=r"^Wrong manifest digest: "):
        verify_model(replace(written(settings), manifest_sha256="0" * 64))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_text("fire"), "Wrong sha256: "),
        (lambda path: path.write_text("trees"), "Wrong size: "),
        (lambda path: path.unlink(), "File missing: "),
        (lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")), "Path "),
    ],
)
def test_a_damaged_file_is_refused_by_name(settings, damage, reason):
    damage(written(settings).model_dir / "model.txt")
    with pytest.raises(ModelVersionError, match=f"^{reason}.*model.txt"):
        verify_model(settings)


def test_a_file_of_several_parts_is_bound_by_each_of_them(settings):
    described = describe(settings.model_dir, name="m", part_size=1)
    entry = described.files[0]
    assert entry.path == "model.txt"
    forged = replace(
        entry, parts=tuple(hashlib.sha256(letter).hexdigest() for letter in (b"f", b"i", b"r", b"e"))
    )
    assert version_of(replace(described, files=(forged, *described.files[1:]))) != described.version
    (settings.model_dir / "model.txt").write_text("fire")
    write_manifest(settings.model_dir, described)
    with pytest.raises(ModelVersionError, match=r"^Wrong sha256: .*model\.txt"):
        verify_model(settings)


def test_a_linked_folder_is_refused_though_its_files_are_the_same(settings, tmp_path):
    written(settings)
    (settings.model_dir / "sub").rename(tmp_path / "elsewhere")
    (settings.model_dir / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        ModelVersionError, match=r"^Path 'sub/scaler\.pkl' is a link or lies behind one, .*/sub"
    ):
        verify_model(settings)


@contextlib.contextmanager
def as_another_uid():
    """Be somebody to whom not every file is open, as it is to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("path", ["model.txt", "sub/scaler.pkl", "sub", "manifest.json"])
def test_a_file_that_this_uid_may_not_read_is_told_by_name(path):
    with tempfile.TemporaryDirectory() as base:  # tmp_path lies in a folder that is closed to other uids
        Path(base).chmod(0o755)
        settings = Settings(base_dir=Path(base))
        make_model(settings.model_dir)
        closed = written(settings).model_dir / path
        closed.chmod(0)
        with (
            as_another_uid(),
            pytest.raises(ModelVersionError, match=rf"^Cannot read: .*{path}.*: Permission"),
        ):
            verify_model(settings)
        closed.chmod(0o700)


def test_files_that_the_manifest_does_not_list_are_warned_of(settings):
    (written(settings).model_dir / "sub" / "late.pkl").touch()
    assert "sub/late.pkl" in verify_model(settings)[0]


def test_a_pickle_of_another_major_version_is_refused(settings):
    written(settings, libraries={"numpy": "0.1"})
    with pytest.raises(
        ModelVersionError, match=r"^Library version: sub/scaler.pkl was pickled with numpy 0.1"
    ):
        verify_model(settings)


def test_another_major_version_without_a_pickle_is_a_warning(settings):
    (settings.model_dir / "sub" / "scaler.pkl").unlink()
    written(settings, libraries={"numpy": "0.1"})
    assert "trained with numpy 0.1" in verify_model(settings)[0]


def test_a_library_that_is_not_installed_is_a_warning(settings):
    written(settings, libraries={"no-such-library": "1.0"})
    assert "no-such-library 1.0, which is not installed" in verify_model(settings)[0]
