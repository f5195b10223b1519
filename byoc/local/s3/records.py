"""What the S3 knows about buckets, objects and uploads under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BINARY = "binary/octet-stream"  # S3's content type where the client gave none


@dataclass(frozen=True)
class Bucket:
    """A bucket: `created` in epoch seconds, `location` the region it was asked for ("" for us-east-1)."""

    name: str
    created: float
    location: str


@dataclass(frozen=True)
class ObjectPart:
    """A part that an object was put together from; checksums by algorithm, in base64."""

    number: int
    size: int
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What the client says of an object when it writes it.

    Attributes:
        content_type: as the client gave it.
        metadata: the client's own (x-amz-meta-*), by name without the prefix.
        headers: what else comes back with the object, such as cache-control, by lower-case name.
        tags: the object's tags.
    """

    content_type: str = BINARY
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredObject:
    """An object: its bytes are the file `path`, which nobody changes; a newer object is a new file.

    Attributes:
        size: bytes.
        etag: without the quotes around it.
        modified: epoch seconds.
        description: what the client said of it.
        checksums: by algorithm ("CRC32", "SHA256", ...), in base64; of parts with "-N" behind.
        checksum_type: FULL_OBJECT, COMPOSITE (a checksum of the parts' checksums), or "" where there is none.
        parts: in order, where it was uploaded in parts; ObjectStore.walk leaves them out.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified: float
    path: Path
    description: Description = field(default_factory=Description)
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksum_type: str = ""
    parts: tuple[ObjectPart, ...] = ()

    @property
    def content_type(self) -> str:
        """What the client said it is."""
        return self.description.content_type

    @property
    def metadata(self) -> Mapping[str, str]:
        """The client's own words about it, by name without x-amz-meta-."""
        return self.description.metadata


@dataclass(frozen=True)
class Upload:
    """A multipart upload under way; started in epoch seconds, algorithm and checksum_type "" for none."""

    id: str
    bucket: str
    key: str
    started: float
    description: Description
    algorithm: str
    checksum_type: str


@dataclass(frozen=True)
class UploadedPart:
    """One part of an upload under way: `size` bytes of the file `path` from `offset` on."""

    number: int
    size: int
    etag: str
    modified: float
    checksums: Mapping[str, str]
    path: Path
    offset: int
