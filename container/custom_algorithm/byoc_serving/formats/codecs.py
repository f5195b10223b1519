"""Media type -> how a body is decoded, and how a prediction is encoded."""

from collections.abc import Callable, Mapping

from byoc_serving.errors import BadRequestError, UnsupportedMediaTypeError
from byoc_serving.formats.csv_codec import decode_csv, encode_csv
from byoc_serving.formats.json_codec import decode_json, decode_json_lines, encode_json, encode_json_lines
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.npy_codec import decode_npy, encode_npy
from byoc_serving.messages import JSON

Decoder = Callable[[bytes, MediaType], object]
Encoder = Callable[[object], bytes]


_JSON_LINES = (
    "application/jsonlines",
    "application/x-jsonlines",
    "application/jsonl",
    "application/x-ndjson",
)

DECODERS: Mapping[str, Decoder] = {
    JSON: decode_json,
    "text/csv": decode_csv,
    **dict.fromkeys(_JSON_LINES, decode_json_lines),
    "application/x-npy": decode_npy,
}
ENCODERS: Mapping[str, Encoder] = {
    JSON: encode_json,
    "text/csv": encode_csv,
    **dict.fromkeys(_JSON_LINES, encode_json_lines),
    "application/x-npy": encode_npy,
}


def decode(body: bytes, content_type: MediaType) -> object:
    """Return what predict_fn gets for a body: docs/serving.md has the table.

    Raises:
        UnsupportedMediaTypeError: the media type is none of DECODERS, nor application/*+json.
        BadRequestError: the body is empty, or not what its type says; it names the position.
    """
    name = content_type.name
    is_json = name.startswith("application/") and name.endswith("+json")
    decoder = decode_json if is_json else DECODERS.get(name)
    if decoder is None:
        raise UnsupportedMediaTypeError(
            f"Content-Type is {name!r}, which cannot be decoded. Send one of {', '.join(DECODERS)}.",
            sent=name,
            supported=list(DECODERS),
        )
    if not body:
        raise BadRequestError("The body is empty. Send the rows to predict.")
    return decoder(body, content_type)


def encode(prediction: object, accept: str) -> bytes:
    """Return a prediction as one of the ENCODERS' media types; text and bytes go out as they are.

    Raises:
        UnencodableError: the prediction has no form in that type.
    """
    match prediction:
        case str():
            return prediction.encode("utf-8", "replace")
        case bytes() | bytearray() | memoryview():
            return bytes(prediction)
    return ENCODERS[accept](prediction)
