"""Takes what a training job leaves behind to S3."""

import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from byoc.local.sagemaker.model_data import Location, location
from byoc.local.sagemaker.transitions import is_compressed, output_prefix
from byoc.local.world import World
from byoc.runtime.opt_ml import OptMl

# Models barely compress; the fastest level is several times as fast as the default one.
_LEVEL = 1


def upload_model(world: World, job: Mapping[str, object], tree: OptMl, spare: Path) -> None:
    """Upload /opt/ml/model: one model.tar.gz, or file by file below .../output/model/; nothing where empty.

    Links go into the archive as links, which hosting refuses to unpack, as on AWS; file by file they are
    followed as long as they stay inside.

    Args:
        world: the local AWS.
        job: its document.
        tree: its /opt/ml.
        spare: a folder for the archive while it is made.

    Raises:
        AwsError: the bucket is not there.
        OSError: a file cannot be read.
    """
    prefix = location(output_prefix(job), "S3OutputPath")
    if not is_own(tree.model, tree):
        return
    if is_compressed(job):
        _upload_archive(world, tree.model, Location(prefix.bucket, f"{prefix.key}/model.tar.gz"), spare)
    else:
        upload_files(world, tree.model, Location(prefix.bucket, f"{prefix.key}/model/"))


def upload_output(world: World, job: Mapping[str, object], tree: OptMl, spare: Path) -> None:
    """Upload /opt/ml/output/data as output.tar.gz; nothing where it is empty. Raises as upload_model."""
    prefix = location(output_prefix(job), "S3OutputPath")
    folder = tree.failure.parent / "data"
    if is_own(folder, tree):
        _upload_archive(world, folder, Location(prefix.bucket, f"{prefix.key}/output.tar.gz"), spare)


def is_own(path: Path, tree: OptMl) -> bool:
    """Whether a path is of a job's own /opt/ml, and not of this machine by a link that the job has made."""
    return path.resolve().is_relative_to(tree.root.resolve())


def upload_files(world: World, folder: Path, place: Location) -> None:
    """Upload every file below a folder, each under its path from there. Raises as upload_model."""
    inside = folder.resolve()
    for file in _files_in(folder):
        if file.resolve().is_relative_to(inside):
            key = f"{place.key}{file.relative_to(folder).as_posix()}"
            world.objects.put_file(place.bucket, key, file)


def _files_in(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(parent, name)
            if file.is_file():
                yield file


def _upload_archive(world: World, folder: Path, place: Location, spare: Path) -> None:
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    archive = spare / Path(place.key).name
    with tarfile.open(archive, "w:gz", compresslevel=_LEVEL) as opened:
        for path in sorted(folder.iterdir()):
            opened.add(path, arcname=path.name, filter=_plain)
    world.objects.put_file(place.bucket, place.key, archive, "application/x-tar", move=True)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out pipes and devices, and who owned the file here."""
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
