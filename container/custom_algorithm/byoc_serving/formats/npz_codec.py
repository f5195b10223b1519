"""NPZ bodies and answers: a zip of NPY files, without pickle."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.bounds import refuse_expansion
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.npy_codec import decode_npy, encode_npy, npy_array
from byoc_serving.formats.plain import UnencodableError
from byoc_serving.formats.tables import empty_table

_SUFFIX = ".npy"
_MOST_ARRAYS = 1000
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes
_ENCRYPTED = 0x1

# What zipfile raises for a zip that is none: it looks up and unpacks what it reads before it checks it.
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,  # NotImplementedError is one
    struct.error,
)


def decode_npz(body: bytes, content_type: MediaType, n_features: int | None) -> object:
    """Return the array of an NPZ body as decode_npy does; where there are several, a dict of them, as saved.

    What the zip says that its files become is held against its length before any is read; none becomes more.

    Raises:
        BadRequestError: it is no zip of NPY files, becomes too much, or an array has a fault.
    """
    files = _files(body)
    if not files:
        raise empty_table()
    if len(files) == 1:
        return decode_npy(next(iter(files.values())), content_type, n_features)
    return {name: npy_array(file) for name, file in files.items()}


def encode_npz(prediction: object) -> bytes:
    """Return a dict of arrays, or one array under the name that numpy.savez gives it, as NPZ.

    Raises:
        UnencodableError: an array would need pickle, or is a string or bytes; a name is no string.
    """
    arrays: Mapping[Any, object] = prediction if isinstance(prediction, dict) else {"arr_0": prediction}
    if not all(isinstance(name, str) for name in arrays):
        raise UnencodableError(prediction, "application/x-npz", "a dict of names and arrays")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}{_SUFFIX}", encode_npy(array))
    return out.getvalue()


def _files(body: bytes) -> dict[str, bytes]:
    """Return the names, without their suffix, and bytes of a zip's files."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            _check_members(members, len(body))
            return {member.filename.removesuffix(_SUFFIX): _file(archive, member) for member in members}
    except BadRequestError:
        raise
    except _FAULTS as error:
        raise BadRequestError(f"The body is not NPZ: {error}. Send what numpy.savez writes.") from None


def _file(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(member.file_size)  # without a length, it would unpack all before it cuts it


def _check_members(members: list[zipfile.ZipInfo], sent_bytes: int) -> None:
    if len(members) > _MOST_ARRAYS:
        raise BadRequestError(f"The NPZ has {len(members)} arrays. Send at most {_MOST_ARRAYS}.")
    for member in members:
        is_plain = member.compress_type in _COMPRESSIONS and not member.flag_bits & _ENCRYPTED
        if not is_plain or not member.filename.endswith(_SUFFIX):
            raise BadRequestError(
                f"The NPZ has {member.filename[:100]!r}, which is no {_SUFFIX} file as numpy.savez writes it."
            )
    if len({member.filename for member in members}) != len(members):
        raise BadRequestError("The NPZ has two arrays of one name. Name each differently.")
    refuse_expansion(sum(member.file_size for member in members), sent_bytes, "NPZ")
