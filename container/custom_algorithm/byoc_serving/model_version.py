"""The door to model versions, for apps/: describe one, write its manifest, upload it, pull it."""

from byoc_serving.versions.describe import describe, describe_trained, write_manifest
from byoc_serving.versions.manifest import FileEntry, Manifest, parse_manifest, read_manifest
from byoc_serving.versions.pull import pull
from byoc_serving.versions.s3 import location_from
from byoc_serving.versions.upload import UploadedVersion, upload

__all__ = [
    "FileEntry",
    "Manifest",
    "UploadedVersion",
    "describe",
    "describe_trained",
    "location_from",
    "parse_manifest",
    "pull",
    "read_manifest",
    "upload",
    "write_manifest",
]
