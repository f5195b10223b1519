"""The door to model versions, for apps/: describe one and its input, upload it, pull it."""

from byoc_serving.versions.describe import describe, describe_trained, write_manifest
from byoc_serving.versions.manifest import FileEntry, Manifest, parse_manifest, read_manifest
from byoc_serving.versions.pull import pull
from byoc_serving.versions.schema import read_schema, write_schema
from byoc_serving.versions.upload import UploadedVersion, check_destination, upload

__all__ = [
    "FileEntry",
    "Manifest",
    "UploadedVersion",
    "check_destination",
    "describe",
    "describe_trained",
    "parse_manifest",
    "pull",
    "read_manifest",
    "read_schema",
    "upload",
    "write_manifest",
    "write_schema",
]
