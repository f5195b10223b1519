"""The manifest of a model version: what it says, how it is read, and whether a folder keeps to it."""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from byoc_serving.errors import ModelVersionError
from byoc_serving.settings import Settings, is_sha256
from byoc_serving.stopping import Check, carry_on
from byoc_serving.versions.libraries import compare_libraries
from byoc_serving.versions.parallel import run_all
from byoc_serving.versions.parts import digest_part
from byoc_serving.versions.paths import MANIFEST_NAME, STAGING_PREFIX, check_paths, linked_part
from byoc_serving.versions.pickles import holds_pickle

FORMAT = "byoc-model-version/1"
LARGEST_MANIFEST_BYTES = 64 * 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SHA256_OF_NOTHING = hashlib.sha256().hexdigest()
_KINDS = {str: "a string", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}
# What decides how the model answers, and so its version: not when, where or how well it was trained.
_IDENTITY = ("name", "python", "libraries", "content_types", "n_features", "allow_nan", "sample_rows")


@dataclass(frozen=True)
class FileEntry:
    """One file: its path below the model directory, its size in bytes, SHA-256 of it and of its parts.

    The parts bind the bytes: they are what is verified, and what the version is named by. `sha256` is there
    for people and other tools; of a file of several parts nothing here reads it.
    """

    path: str
    size: int
    sha256: str
    part_size: int
    parts: tuple[str, ...]

    def part_range(self, index: int) -> tuple[int, int]:
        """Return where a part starts and how long it is, in bytes."""
        start = index * self.part_size
        return start, min(self.part_size, self.size - start)


@dataclass(frozen=True)
class Manifest:
    """A model version (docs/contracts.md has the meaning of every field)."""

    name: str
    version: str
    created: str
    git_commit: str | None
    python: str
    libraries: Mapping[str, str]
    metrics: Mapping[str, Any]
    content_types: tuple[str, ...]
    n_features: int | None
    allow_nan: bool
    sample_rows: tuple[Any, ...]
    files: tuple[FileEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files)


def version_of(manifest: Manifest) -> str:
    """Return the name that a version's content gives it: 16 hex digits."""
    identity: dict[str, Any] = {field: getattr(manifest, field) for field in _IDENTITY}
    identity["libraries"] = dict(manifest.libraries)
    identity["files"] = sorted([e.path, e.size, e.part_size, e.parts] for e in manifest.files)
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return manifest.json as it is stored."""
    fields = {field: getattr(manifest, field) for field in Manifest.__dataclass_fields__}
    document = {"format": FORMAT, **fields, "files": [asdict(entry) for entry in manifest.files]}
    document |= {"libraries": dict(manifest.libraries), "metrics": dict(manifest.metrics)}
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()


def parse_manifest(content: bytes) -> Manifest:
    """Return the manifest that manifest.json states.

    Raises:
        ModelVersionError: it is not JSON, not of this format, lacks a field, names an unusable path, or
            its version is not that of its content; the message says which.
    """
    try:
        document = json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        _refuse(f"is not JSON ({error})")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        _refuse(f"is not of the format {FORMAT!r}")
    manifest = _manifest_from(document)
    check_paths(entry.path for entry in manifest.files)
    if manifest.version != version_of(manifest):
        _refuse(f"says version {manifest.version!r}, and its content is version {version_of(manifest)!r}")
    return manifest


def read_manifest(model_dir: Path) -> Manifest | None:
    """Return the manifest in a model directory, None where there is none (errors as in parse_manifest)."""
    content = read_manifest_bytes(model_dir)
    return None if content is None else parse_manifest(content)


def read_manifest_bytes(model_dir: Path) -> bytes | None:
    """Return manifest.json of a model directory as it is, None where there is none."""
    path = model_dir / MANIFEST_NAME
    with readable(path):
        try:
            with path.open("rb") as file:
                return check_manifest_size(file.read(LARGEST_MANIFEST_BYTES + 1))
        except (FileNotFoundError, NotADirectoryError):
            return None


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise an OSError within as a ModelVersionError about the path."""
    try:
        yield
    except OSError as error:
        raise ModelVersionError(
            f"Cannot read: {path}: {error.strerror or error}. Check the file, and who may read it."
        ) from error


def check_manifest_size(content: bytes) -> bytes:
    """Return the content, refusing more than a manifest may have."""
    if len(content) > LARGEST_MANIFEST_BYTES:
        _refuse(f"is over {LARGEST_MANIFEST_BYTES} bytes")
    return content


def check_manifest_digest(content: bytes, expected_sha256: str | None) -> None:
    """Raise ModelVersionError if a digest was given out of band and manifest.json has another."""
    actual = hashlib.sha256(content).hexdigest()
    if expected_sha256 and actual != expected_sha256.lower():
        raise ModelVersionError(
            f"Wrong manifest digest: {MANIFEST_NAME} has SHA-256 {actual}, and {expected_sha256} was asked "
            "for. Either the digest belongs to another version, or the manifest was changed after the upload."
        )


def verify_model(settings: Settings, model_dir: Path | None = None) -> list[str]:
    """Check a model directory against its manifest, and return what is worth a warning.

    Reads every file, parts in parallel; every thread has ended when it returns.

    Args:
        settings: what is asked of the manifest, and where the model is unless `model_dir` says so.
        model_dir: that of one model among several.

    Raises:
        ModelVersionError: a file is missing, cannot be read or is not what the manifest says; the manifest
            is not the one asked for, or missing though required; or a pickled model's library has another
            major version.
    """
    model_dir = model_dir or settings.model_dir
    content = read_manifest_bytes(model_dir)
    if content is None:
        if settings.manifest_required or settings.manifest_sha256:
            raise ModelVersionError(
                f"Missing manifest: {model_dir} has no {MANIFEST_NAME}, and MODEL_MANIFEST_REQUIRED "
                "or MODEL_MANIFEST_SHA256 asks for one. apps/s3_upload.py writes it with the upload."
            )
        return [f"{model_dir} has no {MANIFEST_NAME}: the model is served unverified."]
    check_manifest_digest(content, settings.manifest_sha256)
    manifest = parse_manifest(content)
    verify_files(model_dir, manifest)
    pickled = [entry.path for entry in manifest.files if _is_pickled(model_dir / entry.path)]
    warnings = compare_libraries(manifest.libraries, manifest.python, pickled)
    if extra := unlisted_files(model_dir, manifest):
        warnings.append(f"{model_dir} holds files that its manifest does not list: {', '.join(extra[:5])}.")
    return warnings


def verify_files(model_dir: Path, manifest: Manifest, check: Check = carry_on) -> None:
    """Raise ModelVersionError, naming the file, unless the manifest's files are all there as it says."""
    for entry in manifest.files:
        with readable(model_dir / entry.path):
            _verify_place(model_dir, entry)

    def verify_part(part: tuple[FileEntry, int], alive: Check) -> None:
        entry, index = part
        path = model_dir / entry.path
        with readable(path):
            digest = digest_part(path, *entry.part_range(index), alive)
        if digest != entry.parts[index]:
            raise ModelVersionError(
                f"Wrong sha256: {path} is not the file that its manifest describes. "
                "It was changed or damaged; pull or upload the version again."
            )

    run_all(verify_part, parts_of(manifest), threads=min(8, os.cpu_count() or 1), check=check)


def _is_pickled(path: Path) -> bool:
    with readable(path):
        return holds_pickle(path)


def _verify_place(model_dir: Path, entry: FileEntry) -> None:
    """Refuse a file that is not there, is not a plain file under plain folders, or has another size."""
    path = model_dir / entry.path
    if link := linked_part(model_dir, entry.path):
        raise ModelVersionError(
            f"Path {entry.path!r} is a link or lies behind one, {link}. Put the file itself there."
        )
    if not path.is_file():
        raise ModelVersionError(f"File missing: {path} is in the manifest and not in the folder.")
    if (size := path.stat().st_size) != entry.size:
        raise ModelVersionError(f"Wrong size: {path} has {size} bytes, and its manifest says {entry.size}.")


def parts_of(manifest: Manifest) -> list[tuple[FileEntry, int]]:
    """Return every part of every file."""
    return [(entry, index) for entry in manifest.files for index in range(len(entry.parts))]


def unlisted_files(model_dir: Path, manifest: Manifest) -> list[str]:
    """Return the paths of files in the model directory that belong to no model version."""
    listed = {entry.path for entry in manifest.files} | {MANIFEST_NAME}
    found = (
        Path(folder, name).relative_to(model_dir).as_posix()
        for folder, _, names in os.walk(model_dir)  # which passes over folders that it may not read
        for name in names
    )
    return sorted(path for path in found if path not in listed and not path.startswith(STAGING_PREFIX))


def _manifest_from(document: Mapping[str, Any]) -> Manifest:
    name = _field(document, "name", str)
    check_name(name)
    return Manifest(
        name=name,
        version=_field(document, "version", str),
        created=_field(document, "created", str),
        git_commit=_optional(document, "git_commit", str),
        python=_field(document, "python", str),
        libraries=_strings_by_name(document, "libraries"),
        metrics=_field(document, "metrics", dict),
        content_types=_strings(document, "content_types"),
        n_features=_optional(document, "n_features", int),
        allow_nan=_field(document, "allow_nan", bool),
        sample_rows=tuple(_field(document, "sample_rows", list)),
        files=tuple(_entry_from(entry) for entry in _field(document, "files", list)),
    )


def check_name(name: str) -> None:
    """Raise ModelVersionError unless a model's name can stand in an S3 key."""
    if not _NAME.fullmatch(name):
        _refuse(
            f"has the name {name!r}. Use up to 63 letters, digits, '.', '_' and '-', a letter or digit first"
        )


def _entry_from(document: object) -> FileEntry:
    if not isinstance(document, dict):
        _refuse("lists a file that is not an object")
    entry = FileEntry(
        path=_field(document, "path", str),
        size=_field(document, "size", int),
        sha256=_field(document, "sha256", str),
        part_size=_field(document, "part_size", int),
        parts=_strings(document, "parts"),
    )
    if entry.size < 0 or entry.part_size < 1 or len(entry.parts) != -(-entry.size // entry.part_size):
        _refuse(f"gives {entry.path!r} {len(entry.parts)} parts of {entry.part_size} for {entry.size} bytes")
    for digest in (entry.sha256, *entry.parts):
        if not is_sha256(digest):
            _refuse(f"gives {entry.path!r} the digest {digest[:80]!r}, not 64 hex digits")
    if len(entry.parts) < 2 and (entry.parts or (_SHA256_OF_NOTHING,)) != (entry.sha256,):
        _refuse(f"gives {entry.path!r} a sha256 that is not that of its one part, or of nothing")
    return entry


def _field(document: Mapping[str, Any], key: str, kind: type) -> Any:  # noqa: ANN401 - of the kind asked for
    value = document.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        _refuse(f"has no usable {key!r}: it must be {_KINDS[kind]}")
    return value


def _optional(document: Mapping[str, Any], key: str, kind: type) -> Any:  # noqa: ANN401 - of the kind asked for
    return None if document.get(key) is None else _field(document, key, kind)


def _strings(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = _field(document, key, list)
    if not all(isinstance(value, str) for value in values):
        _refuse(f"has something other than strings in {key!r}")
    return tuple(values)


def _strings_by_name(document: Mapping[str, Any], key: str) -> dict[str, str]:
    values: dict[str, str] = _field(document, key, dict)
    if not all(isinstance(value, str) for value in values.values()):
        _refuse(f"has something other than strings in {key!r}")
    return values


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse(reason: str) -> NoReturn:
    raise ModelVersionError(f"Bad manifest: {MANIFEST_NAME} {reason}.")
