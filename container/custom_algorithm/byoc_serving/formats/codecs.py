"""Media type -> how a body is decoded, and how a prediction is encoded."""

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec

from byoc_serving.errors import BadRequestError, UnsupportedMediaTypeError
from byoc_serving.formats.arrow_codec import ARROW, decode_arrow, encode_arrow
from byoc_serving.formats.csv_codec import decode_csv, encode_csv
from byoc_serving.formats.json_codec import decode_json, decode_json_lines, encode_json, encode_json_lines
from byoc_serving.formats.libsvm_codec import decode_libsvm
from byoc_serving.formats.negotiation import JSON, MediaType
from byoc_serving.formats.npy_codec import decode_npy, encode_npy
from byoc_serving.formats.npz_codec import decode_npz, encode_npz
from byoc_serving.formats.parquet_codec import PARQUET, decode_parquet, encode_parquet

Decoder = Callable[[bytes, MediaType, int | None], object]
Encoder = Callable[[object], bytes]


JSON_LINES = (
    "application/jsonlines",
    "application/x-jsonlines",
    "application/jsonl",
    "application/x-ndjson",
)
_PARQUET = (PARQUET, "application/vnd.apache.parquet")
_OF_PYARROW = (*_PARQUET, ARROW)
_LIBSVM = ("text/libsvm", "text/x-libsvm")

DECODERS: Mapping[str, Decoder] = {
    JSON: decode_json,
    "text/csv": decode_csv,
    **dict.fromkeys(JSON_LINES, decode_json_lines),
    "application/x-npy": decode_npy,
    "application/x-npz": decode_npz,
    **dict.fromkeys(_PARQUET, decode_parquet),
    ARROW: decode_arrow,
    **dict.fromkeys(_LIBSVM, decode_libsvm),
}
ENCODERS: Mapping[str, Encoder] = {
    JSON: encode_json,
    "text/csv": encode_csv,
    **dict.fromkeys(JSON_LINES, encode_json_lines),
    "application/x-npy": encode_npy,
    "application/x-npz": encode_npz,
    **dict.fromkeys(_PARQUET, encode_parquet),
    ARROW: encode_arrow,
}


def usable(media_types: Iterable[str]) -> list[str]:
    """Return those of some media types whose library is installed."""
    has_pyarrow = find_spec("pyarrow") is not None
    return [name for name in media_types if has_pyarrow or name not in _OF_PYARROW]


def decode(body: bytes, content_type: MediaType, n_features: int | None = None) -> object:
    """Return what predict_fn gets for a body: docs/serving.md has the table.

    Args:
        body: the bytes as they came.
        content_type: what they are.
        n_features: the number of columns that a table must have, if that is known.

    Raises:
        UnsupportedMediaTypeError: the media type is not one of DECODERS, nor application/*+json.
        BadRequestError: the body is empty, or not what its type says; it names the position.
    """
    name = content_type.name
    decoder = DECODERS.get(name)
    if decoder is None and name.startswith("application/") and name.endswith("+json"):
        decoder = decode_json
    if decoder is None:
        supported = usable(DECODERS)
        raise UnsupportedMediaTypeError(
            f"Content-Type is {name!r}, which cannot be decoded. Send one of {', '.join(supported)}.",
            sent=name,
            supported=supported,
        )
    if not body:
        raise BadRequestError("The body is empty. Send the rows to predict.")
    return decoder(body, content_type, n_features)


def encode(prediction: object, accept: str) -> bytes:
    """Return a prediction as one of the ENCODERS' media types.

    Raises:
        UnencodableError: the prediction has no form in that type; bytes have none in any.
    """
    return ENCODERS[accept](prediction)
