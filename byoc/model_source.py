"""Brings a model here, from wherever the user has it: a folder, a .tar.gz, a prefix or an archive in S3."""

import tarfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from byoc.errors import ByocError

_ARCHIVES = (".tar.gz", ".tgz")


def model_at(source: str, work: Path) -> Path:
    """Return a folder with the model's files; what has to be fetched or unpacked comes into `work`.

    Raises:
        ByocError: there is none; the message says what was looked for.
    """
    if source.startswith("s3://"):
        source = str(_fetched(source, work))
    path = Path(source)
    if path.is_dir():
        return path
    if not path.is_file():
        raise ByocError(f"There is no model {source}. Give a folder, a .tar.gz, or s3://BUCKET/PREFIX/.")
    if not source.endswith(_ARCHIVES):
        raise ByocError(
            f"The model {source} is a single file. Give the folder it is in, or a .tar.gz of that."
        )
    return _unpacked(path, work / "unpacked")


def _unpacked(archive: Path, folder: Path) -> Path:
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ByocError(f"The model {archive} cannot be unpacked: {error}") from error
    return folder


def _fetched(url: str, work: Path) -> Path:
    """Return what lies at a URL in S3: the archive, or a folder with all below the prefix."""
    from byoc.aws import connect, explained

    parts = urlsplit(url)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    s3 = connect().client("s3")
    if key.endswith(_ARCHIVES):
        with explained():
            s3.download_file(bucket, key, str(work / "model.tar.gz"))
        return work / "model.tar.gz"
    prefix = f"{key.rstrip('/')}/" if key else ""
    folder = work / "fetched"
    with explained():
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                name = PurePosixPath(found["Key"].removeprefix(prefix))
                if ".." in name.parts or name.is_absolute() or found["Key"].endswith("/"):
                    continue
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, found["Key"], str(folder / name))
    if not folder.is_dir():
        raise ByocError(
            f"There is no model at {url}: nothing lies there. Give s3://BUCKET/PREFIX/ or a .tar.gz."
        )
    return folder
