"""S3's checksums: which there are, which are computed here, and how those of parts make that of an object.

AWS: "Checking object integrity for data uploads in Amazon S3". CRC32, SHA1, SHA256, SHA512 and MD5 are
verified. CRC32C, CRC64NVME and the XXHASH family are in no library that botocore needs: what the client
says is kept and told again, not verified.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from byoc.local.s3.blobs import Digest

FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"

# Algorithm -> bytes of its checksum.
LENGTHS = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
    "XXHASH64": 8,
    "XXHASH3": 8,
    "XXHASH128": 16,
}
# Algorithm -> its polynomial, lowest power first.
_POLYNOMIALS = {"CRC32": 0xEDB88320, "CRC32C": 0x82F63B78, "CRC64NVME": 0x9A6C9329AC4BC9B5}


def header_of(algorithm: str) -> str:
    """Return the header that carries a checksum."""
    return f"x-amz-checksum-{algorithm.lower()}"


def is_checksum(algorithm: str, value: str) -> bool:
    """Whether a value is base64 of the right length."""
    return len(from_base64(value)) == LENGTHS[algorithm]


def to_base64(value: bytes) -> str:
    """Return bytes as S3 writes them."""
    return base64.b64encode(value).decode()


def from_base64(text: str) -> bytes:
    """Return the bytes that S3 wrote as `text`; none where it is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def digests(algorithms: Iterable[str]) -> dict[str, Digest]:
    """Return a fresh hash for each algorithm that is computed here."""
    return {algorithm: _COMPUTED[algorithm]() for algorithm in algorithms if algorithm in _COMPUTED}


def composite(algorithm: str, parts: Sequence[str]) -> str | None:
    """Return the checksum of the parts' checksums, "-N" behind; None where it is not computed here."""
    if algorithm not in _COMPUTED or not all(parts):
        return None
    digest = _COMPUTED[algorithm]()
    digest.update(b"".join(map(from_base64, parts)))
    return f"{to_base64(digest.digest())}-{len(parts)}"


def combined(algorithm: str, parts: Sequence[tuple[str, int]]) -> str | None:
    """Return the checksum of the whole from those of its parts and their sizes, without reading a byte.

    As zlib's crc32_combine does it; None where the algorithm is no CRC or a part has no checksum.
    """
    if algorithm not in _POLYNOMIALS or not all(checksum for checksum, _size in parts):
        return None
    length, polynomial = LENGTHS[algorithm], _POLYNOMIALS[algorithm]
    whole = 0
    for checksum, size in parts:
        shift = _power_of_x(8 * size, 8 * length, polynomial)
        whole = _product(shift, whole, 8 * length, polynomial) ^ int.from_bytes(from_base64(checksum))
    return to_base64(whole.to_bytes(length))


def _power_of_x(exponent: int, width: int, polynomial: int) -> int:
    result, square = 1 << (width - 1), 1 << (width - 2)
    while exponent:
        if exponent & 1:
            result = _product(square, result, width, polynomial)
        square = _product(square, square, width, polynomial)
        exponent >>= 1
    return result


def _product(left: int, right: int, width: int, polynomial: int) -> int:
    """Multiply two polynomials over GF(2), modulo a third."""
    result = 0
    for power in range(width - 1, -1, -1):
        if left >> power & 1:
            result ^= right
        right = (right >> 1) ^ (polynomial if right & 1 else 0)
    return result


class Crc32:
    """zlib's CRC-32 as a hash."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Take in more."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """Return the hash of all that was taken in."""
        return self._value.to_bytes(4)


_COMPUTED: Mapping[str, Callable[[], Digest]] = {
    "CRC32": Crc32,
    "SHA1": partial(hashlib.sha1, usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": partial(hashlib.md5, usedforsecurity=False),
}
