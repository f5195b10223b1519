"""A view has the machine and what is put into it, and nothing is made on the machine for that."""

import os
from pathlib import Path

import pytest

from byoc.errors import ProgramError
from byoc.runtime.view import Mount, Step, steps_of

FILES = {
    "machine": ("opt/other/x", "app/old", "etc/nginx/mime.types", "etc/passwd", "usr/bin/env", "tmp/old"),
    "brought": ("serve", "conf/nginx.conf", "lib/a/1", "more/a/2", "more/b"),
    "own": ("model/m",),
}


@pytest.fixture
def here(tmp_path):
    """A machine of a few files, a folder that is brought to it, and one of the run's own."""
    for root, files in FILES.items():
        for name in files:
            (tmp_path / root / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / root / name).write_text(f"{root}/{name}")
    (tmp_path / "machine" / "bin").symlink_to("usr/bin")
    (tmp_path / "machine" / "link").symlink_to("opt")
    return tmp_path


def built(here, *mounts):
    """Build a view out of copies, as enter.py and bwrap do out of mounts; return its files' texts."""
    view = here / "view"
    steps = steps_of(
        [Mount(str(here / source), target, **more) for source, target, more in mounts], here / "machine"
    )
    for step in steps:
        at = view / step.path.lstrip("/")
        if not step.source:
            put(at, None)
        elif step.names is None:
            put(at, Path(step.source))
        else:
            for name in step.names:
                put(at / name, Path(step.source, name))
    return {
        str(Path(folder, name).relative_to(view)): Path(folder, name).read_text()
        for folder, _, names in os.walk(view, followlinks=True)
        for name in names
    }


def put(at, source):
    """Put a copy of a folder or file at a path of the view; what was there is covered."""
    if at.is_symlink() or at.is_file():
        at.unlink()
    for path in sorted((p for p in at.rglob("*") if p.is_symlink() or p.is_file()), reverse=True):
        path.unlink()
    if source is None or source.is_dir():
        at.mkdir(parents=True, exist_ok=True)
        for entry in source.rglob("*") if source else ():
            if entry.is_file():
                copy = at / entry.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(entry.read_text())
    else:
        at.write_text(source.read_text())


@pytest.mark.parametrize(
    ("mounts", "there", "gone"),
    [
        ([("brought", "/opt/program", {})], {"opt/program/serve": "brought/serve", "opt/other/x": None}, []),
        ([("brought", "/app", {})], {"app/serve": "brought/serve", "etc/passwd": None}, ["app/old"]),
        ([("brought/serve", "/srv/x/serve", {})], {"srv/x/serve": "brought/serve", "usr/bin/env": None}, []),
        (
            [("brought/serve", "/usr/bin/serve", {})],
            {"usr/bin/serve": "brought/serve", "usr/bin/env": None},
            [],
        ),
        ([("brought/serve", "/bin/serve", {})], {"usr/bin/serve": "brought/serve", "usr/bin/env": None}, []),
        ([("brought/serve", "/etc/passwd", {})], {"etc/passwd": "brought/serve"}, []),
        (
            [("brought/conf", "/etc/nginx", {})],
            {"etc/nginx/nginx.conf": "brought/conf/nginx.conf", "etc/nginx/mime.types": None},
            [],
        ),
        (
            [("brought/lib", "/app", {}), ("brought/more", "/app", {})],
            {"app/a/1": "brought/lib/a/1", "app/a/2": "brought/more/a/2", "app/b": "brought/more/b"},
            ["app/old"],
        ),
        (
            [("brought", "/app", {}), ("brought/more/b", "/app/conf/new", {})],
            {"app/conf/new": "brought/more/b", "app/conf/nginx.conf": "brought/conf/nginx.conf"},
            [],
        ),
        (
            [("brought/more/b", "/app/serve", {}), ("brought", "/app", {})],
            {"app/serve": "brought/serve"},
            [],
        ),
        ([("own", "/tmp", {"own": True})], {"tmp/model/m": "own/model/m"}, ["tmp/old"]),
        ([("brought", "/link", {})], {"link/serve": "brought/serve", "opt/other/x": None}, ["link/other/x"]),
    ],
)
def test_what_is_put_somewhere_is_there_and_what_the_system_has_stays(here, mounts, there, gone):
    before = sorted((here / "machine").rglob("*")), sorted((here / "brought").rglob("*"))
    files = built(here, *mounts)
    told = {path: text or f"machine/{path}" for path, text in there.items()}
    assert {path: files.get(path) for path in told} == told
    assert not set(gone) & set(files)
    assert before == (sorted((here / "machine").rglob("*")), sorted((here / "brought").rglob("*")))


def test_only_the_folder_that_lacks_something_is_covered(here):
    (here / "machine/opt/ml").mkdir()
    machine = str(here / "machine")
    whole, *rest = steps_of([Mount("/here", "/opt/ml"), Mount("/more", "/opt/program")], here / "machine")
    assert whole == Step("/", machine)
    assert rest[:2] == [Step("/opt"), Step("/opt", f"{machine}/opt", ("other",))]
    assert {step.path for step in rest[2:]} == {"/opt/ml", "/opt/program"}


def test_what_is_read_only_in_a_folder_of_the_runs_own_is_put_over_it_once_more(here):
    mounts = (
        Mount(str(here / "own"), "/opt/ml", own=True),
        Mount(str(here / "own/model"), "/opt/ml/model", True),
    )
    *_, own, model = steps_of(mounts, here / "machine")
    assert own == Step("/opt/ml", str(here / "own"))
    assert model == Step("/opt/ml/model", str(here / "own/model"), read_only=True)


def test_a_folder_that_vanishes_is_named(here):
    with pytest.raises(ProgramError, match=r"/nowhere cannot be read: .*Run byoc as somebody"):
        steps_of([Mount("/here", "/opt/ml")], Path("/nowhere"))
