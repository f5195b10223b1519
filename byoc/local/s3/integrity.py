"""What a client says of the body that it sends, and whether that is what came."""

from collections.abc import Mapping
from dataclasses import dataclass

from byoc.local.errors import AwsError
from byoc.local.s3.blobs import Digest
from byoc.local.s3.checksums import LENGTHS, digests, from_base64, header_of, is_checksum, to_base64
from byoc.local.s3.errors import invalid_request

LARGEST_PUT = 5 * 1024**3


@dataclass(frozen=True)
class Expected:
    """What shall arrive.

    Attributes:
        size: bytes of the object, whatever encoding is around it.
        md5: of Content-MD5; empty where it was not given.
        sha256: hex, of x-amz-content-sha256; "" where the body is not signed.
        algorithm: of the checksum; "" for none.
        checksum: in base64; "" where it comes behind the body.
        chunked: whether the body is aws-chunked.
    """

    size: int
    md5: bytes = b""
    sha256: str = ""
    algorithm: str = ""
    checksum: str = ""
    chunked: bool = False

    def digests(self, *more: str) -> dict[str, Digest]:
        """Return the hashes to feed with the bytes: of the ETag, of what was said, and others."""
        said = ("SHA256",) if self.sha256 else ()
        return digests({"MD5", self.algorithm, *said, *more})

    def verify(self, size: int, seen: Mapping[str, Digest], trailers: Mapping[str, str]) -> dict[str, str]:
        """Return the checksums of what came, by algorithm.

        Raises:
            AwsError: IncompleteBody, BadDigest, XAmzContentSHA256Mismatch, MalformedTrailerError.
        """
        if size != self.size:
            raise incomplete_body(self.size, size)
        if self.md5 and seen["MD5"].digest() != self.md5:
            raise AwsError("BadDigest", "The Content-MD5 you specified did not match what we received.")
        if self.sha256 and seen["SHA256"].digest().hex() != self.sha256:
            raise AwsError(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                members={"ClientComputedContentSHA256": self.sha256},
            )
        return self._verified_checksum(seen, trailers)

    def _verified_checksum(self, seen: Mapping[str, Digest], trailers: Mapping[str, str]) -> dict[str, str]:
        if not self.algorithm:
            return {}
        said = self.checksum or trailers.get(header_of(self.algorithm), "")
        if not is_checksum(self.algorithm, said):
            raise AwsError(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to our "
                "published schema.",
            )
        if self.algorithm in seen and to_base64(seen[self.algorithm].digest()) != said:
            raise AwsError(
                "BadDigest", f"The {self.algorithm} you specified did not match the calculated checksum."
            )
        return {self.algorithm: said}


def expected_of(headers: Mapping[str, str]) -> Expected:
    """Return what a request's headers say of its body.

    Raises:
        AwsError: MissingContentLength, InvalidDigest, InvalidRequest, EntityTooLarge.
    """
    signed = headers.get("x-amz-content-sha256", "")
    encodings = headers.get("content-encoding", "").replace(" ", "").split(",")
    algorithm, checksum = _checksum_of(headers)
    return Expected(
        size=_size_of(headers),
        md5=_md5_of(headers),
        sha256=signed.lower() if len(signed) == 64 else "",
        algorithm=algorithm,
        checksum=checksum,
        chunked=signed.startswith("STREAMING-") or "aws-chunked" in encodings,
    )


def incomplete_body(expected: int, came: int) -> AwsError:
    """Return the answer to a body of another length than the headers say."""
    return AwsError(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
        members={"NumberBytesExpected": expected, "NumberBytesProvided": came},
    )


def _size_of(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers and "x-amz-decoded-content-length" not in headers:
        raise AwsError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)
    given = headers.get("x-amz-decoded-content-length", headers.get("content-length", "0"))
    if not given.isdecimal():
        raise invalid_request(f"The length of the body is {given!r}. Give a number of bytes.")
    if int(given) > LARGEST_PUT:
        raise AwsError(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            members={"ProposedSize": given, "MaxSizeAllowed": LARGEST_PUT},
        )
    return int(given)


def _md5_of(headers: Mapping[str, str]) -> bytes:
    given = headers.get("content-md5", "")
    md5 = from_base64(given)
    if given and len(md5) != 16:
        raise AwsError("InvalidDigest", "The Content-MD5 you specified was invalid.")
    return md5


def _checksum_of(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return algorithm and checksum, which is "" where it comes in a trailer."""
    said = {
        algorithm: headers[header_of(algorithm)] for algorithm in LENGTHS if header_of(algorithm) in headers
    }
    trailer = headers.get("x-amz-trailer", "").strip().lower()
    coming = {algorithm: "" for algorithm in LENGTHS if header_of(algorithm) == trailer}
    if len(said | coming) > 1:
        raise invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    for algorithm, checksum in said.items():
        if not is_checksum(algorithm, checksum):
            raise invalid_request(f"Value for {header_of(algorithm)} header is invalid.")
    return next(iter((coming | said).items()), ("", ""))
