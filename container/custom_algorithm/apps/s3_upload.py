"""The short door to S3: describes a model folder and uploads it as a model version.

    python s3_upload.py DIR s3://bucket/prefix [--name NAME]      upload any folder that holds a model

main.py calls upload_model and say_where.
"""

import argparse
import sys
import time
from pathlib import Path

APPS = Path(__file__).resolve().parent
if str(APPS.parent) not in sys.path:  # as a script: apps/ first, then the program's folder
    sys.path.insert(sys.path.index(str(APPS)) + 1 if str(APPS) in sys.path else 0, str(APPS.parent))

from byoc_serving.errors import ModelVersionError, ServingError  # noqa: E402 - once it can be found
from byoc_serving.model_version import (  # noqa: E402
    UploadedVersion,
    check_destination,
    describe,
    read_manifest,
    upload,
    write_manifest,
)


def upload_model(model_dir: Path, destination: str) -> UploadedVersion:
    """Upload a folder that has its manifest, showing progress on stderr.

    Args:
        model_dir: the folder with its manifest.json.
        destination: s3://bucket/prefix; the version lies below it as <name>/<version>/.

    Raises:
        ModelVersionError: there is no manifest.json, or a file is no longer what it says.
        StorageError: S3 refused or cannot be reached.
    """
    manifest = read_manifest(model_dir)
    if manifest is None:
        raise ModelVersionError(
            f"Missing manifest: {model_dir} has no manifest.json. Train first, or run s3_upload.py."
        )
    return upload(model_dir, manifest, destination, progress=_Shown())


def say_where(version: UploadedVersion) -> None:
    """Print what `train` needs to pull a version: two lines, the last on stdout."""
    if version.was_there:
        print(f"{version.uri} was there already", file=sys.stderr)
    print(f"model_version={version.uri}")
    print(f"model_manifest_sha256={version.manifest_sha256}")


def refuse_programs(folder: Path) -> None:
    """Refuse a folder that holds apps/, or another program: all of it would be taken for a model.

    Raises:
        ModelVersionError: it does; the message names the folder that was meant.
    """
    kept, place = APPS / ".temps" / "model", folder.resolve()
    has_programs = all((place / name).is_file() for name in ("main.py", "inference.py"))
    if has_programs or (kept != place and kept.is_relative_to(place)):
        what = (
            "main.py and inference.py" if has_programs else f"more than a model, {APPS.name}/.temps among it"
        )
        raise ModelVersionError(
            f"No model: {folder} holds {what}, and every file in it would be uploaded. Give the folder that "
            f"holds the model alone, such as {kept}."
        )


class _Shown:
    """Shows progress on stderr: on one line of a terminal, else now and then on a line of its own."""

    def __init__(self) -> None:
        self._due = 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() < self._due and done < total:
            return
        terminal = sys.stderr.isatty()
        self._due = time.monotonic() + (0.1 if terminal else 5.0)
        start, end = ("\r", "\n" if done == total else "") if terminal else ("", "\n")
        print(
            f"{start}uploaded {done / 1e6:.1f} of {total / 1e6:.1f} MB", end=end, file=sys.stderr, flush=True
        )


def main(arguments: list[str] | None = None) -> int:
    """Upload a folder, describing it anew; the last two lines on stdout say where it is and its digest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="every file in it belongs to the model")
    parser.add_argument("destination", metavar="s3://bucket/prefix")
    parser.add_argument(
        "--name", help="the model's name; by default that of an earlier manifest.json, or DIR's"
    )
    asked = parser.parse_args(arguments)
    try:
        refuse_programs(asked.folder)
        check_destination(asked.destination)  # a bad one is told before a large model is read
        earlier = read_manifest(asked.folder)
        if earlier is None or asked.name:
            write_manifest(
                asked.folder, describe(asked.folder, name=asked.name or asked.folder.resolve().name)
            )
        say_where(upload_model(asked.folder, asked.destination))
    except ServingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
