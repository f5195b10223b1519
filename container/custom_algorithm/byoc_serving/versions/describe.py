"""Describes the model in a folder: what it holds, how it came about, and the version that follows from it."""

import inspect
import math
import os
import platform
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from byoc_serving.errors import AlgorithmError, ModelVersionError
from byoc_serving.settings import PROGRAM_DIR
from byoc_serving.stopping import Check, carry_on
from byoc_serving.versions.libraries import installed_libraries, required_libraries
from byoc_serving.versions.manifest import (
    FORMAT,
    FileEntry,
    Manifest,
    check_name,
    manifest_bytes,
    read_manifest_bytes,
    readable,
    version_of,
)
from byoc_serving.versions.parallel import run_all
from byoc_serving.versions.parts import PART_BYTES, digest_file
from byoc_serving.versions.paths import MANIFEST_NAME, check_paths
from byoc_serving.versions.pickles import refuse_main_pickles

DEFAULT_NAME = "model"
_REQUIREMENTS = PROGRAM_DIR / "apps" / "requirements.txt"


def describe(  # noqa: PLR0913 - one keyword for each thing a manifest says
    model_dir: Path,
    *,
    name: str,
    metrics: Mapping[str, object] | None = None,
    content_types: Iterable[str] = (),
    n_features: int | None = None,
    allow_nan: bool = True,
    sample_rows: Iterable[object] = (),
    libraries: Mapping[str, str] | Iterable[str] | None = None,
    part_size: int = PART_BYTES,
    now: datetime | None = None,
    check: Check = carry_on,
) -> Manifest:
    """Return the manifest of the model in a folder; nothing is written.

    Every file in it is of the model, but for an earlier manifest.json. The keywords are the manifest's fields
    (docs/contracts.md), with NumPy values where it has JSON; libraries may be names, by default those in
    apps/requirements.txt; part_size is in bytes, over 5 MiB for S3; check is called often, raises to cancel.

    Raises:
        ModelVersionError: the folder is no model, or a value has no form in JSON; it says what to do.
    """
    check_name(name)
    _require_folder(model_dir)
    _refuse_foreign_manifest(model_dir)
    manifest = Manifest(
        name=name,
        version="",
        created=(now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        git_commit=_git_commit(PROGRAM_DIR),
        python=platform.python_version(),
        libraries=_libraries(libraries),
        metrics=_plain(dict(metrics or {}), "metrics"),
        content_types=tuple(content_types),
        n_features=None if n_features is None else int(n_features),
        allow_nan=bool(allow_nan),
        sample_rows=tuple(_plain(_rows(sample_rows), "sample_rows")),
        files=_entries(model_dir, part_size, check),
    )
    return replace(manifest, version=version_of(manifest))


_DESCRIPTION = frozenset(inspect.signature(describe).parameters) - {"model_dir", "part_size", "now", "check"}


def describe_trained(model_dir: Path, description: object) -> Manifest:
    """Return the manifest of the model in a folder, with what `train` of apps/main.py returned of it.

    Raises:
        AlgorithmError: it returned something other than None or a dict of describe's keywords.
        ModelVersionError: as describe.
    """
    known = {} if description is None else description
    if not isinstance(known, Mapping) or not _DESCRIPTION.issuperset(known):
        raise AlgorithmError(
            f"apps/main.py: train returned {description!r:.200}. Return a dict with what is known of "
            f"{', '.join(sorted(_DESCRIPTION))}, and nothing else."
        )
    return describe(model_dir, **{"name": DEFAULT_NAME, **known})


def write_manifest(model_dir: Path, manifest: Manifest) -> None:
    """Write manifest.json beside the files that it describes, replacing an earlier one at once."""
    part = model_dir / f".{MANIFEST_NAME}.part"
    part.write_bytes(manifest_bytes(manifest))
    part.replace(model_dir / MANIFEST_NAME)


def _libraries(given: Mapping[str, str] | Iterable[str] | None) -> dict[str, str]:
    if isinstance(given, Mapping):
        return dict(given)
    return installed_libraries(required_libraries(_REQUIREMENTS) if given is None else given)


def _rows(given: Any) -> list[object]:  # noqa: ANN401 - what a user's train returns
    """Return sample_rows one by one; of a DataFrame too, which by itself gives its columns.

    Raises:
        ModelVersionError: they are a dict or a string.
    """
    if isinstance(given, Mapping | str | bytes):
        raise ModelVersionError(
            f"sample_rows is {given!r:.80}, of which the rows are not known. Give a list of rows, each a "
            "list of its columns' values, or a DataFrame."
        )
    return list(given.to_numpy() if hasattr(given, "to_numpy") else given)


def _require_folder(model_dir: Path) -> None:
    if model_dir.is_file():
        raise ModelVersionError(
            f"No model: {model_dir} is a file, not a folder. Give the folder with the model's files and no "
            "others."
        )
    if not model_dir.is_dir():
        raise ModelVersionError(f"No model: {model_dir} is not there. Train first, or name another folder.")


def _refuse_foreign_manifest(model_dir: Path) -> None:
    content = read_manifest_bytes(model_dir)
    if content is not None and FORMAT.encode() not in content:
        raise ModelVersionError(
            f"Path {MANIFEST_NAME!r} is reserved for the model version itself, and the one in {model_dir} is "
            "another file. Write it under another name."
        )


def _entries(model_dir: Path, part_size: int, check: Check) -> tuple[FileEntry, ...]:
    paths = sorted(_walk(model_dir))
    if not paths:
        raise ModelVersionError(f"No model: {model_dir} holds no file. Let train write the model there.")
    check_paths(paths)
    found: dict[str, FileEntry] = {}

    def examine(path: str, alive: Check) -> None:
        with readable(model_dir / path):
            refuse_main_pickles(model_dir / path, path)
            found[path] = FileEntry(path, **asdict(digest_file(model_dir / path, part_size, alive)))

    run_all(examine, paths, threads=min(8, os.cpu_count() or 1), check=check)
    return tuple(found[path] for path in paths)


def _walk(model_dir: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(model_dir):
        for name in [*folders, *files]:
            path = Path(folder, name)
            shown = path.relative_to(model_dir).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise ModelVersionError(f"Path {shown!r} is a link. Put the file itself into {model_dir}.")
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise ModelVersionError(
                    f"Path {shown!r} is neither a file nor a folder. Remove it from {model_dir}."
                )
            if stat.S_ISREG(mode) and shown != MANIFEST_NAME:
                yield shown


def _plain(value: Any, where: str) -> Any:  # noqa: ANN401 - any JSON value, or NumPy's
    """Return a value as JSON has it: NumPy's made Python's, NaN made None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case float() if math.isnan(value):
            return None
        case Mapping():
            return {str(key): _plain(item, where) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, where) for item in value]
    raise ModelVersionError(
        f"{where} holds {value!r:.80}, which JSON has no form for. Give numbers, strings or lists."
    )


def _git_commit(folder: Path) -> str | None:
    """Return the commit that the code is at, with -dirty behind it if it is changed; None outside git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
