"""Arrow streams (IPC) as bodies and answers."""

import struct
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from byoc_serving.errors import BadRequestError, NotAcceptableError, UnsupportedMediaTypeError
from byoc_serving.formats.bounds import refuse_expansion
from byoc_serving.formats.columnar import columns_to_read, data_of, faults, pyarrow_for, table_of
from byoc_serving.formats.negotiation import MediaType

ARROW = "application/vnd.apache.arrow.stream"

# Message.fbs: the header's kind and the header; DictionaryBatch's data; RecordBatch's other two.
_HEADER_KIND, _HEADER, _DATA, _BUFFERS, _COMPRESSION = 1, 2, 1, 2, 3
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


def decode_arrow(body: bytes, content_type: MediaType, n_features: int | None) -> object:
    """Return an Arrow stream as the data that `arrays.assemble` describes, its columns as in Parquet.

    Raises:
        UnsupportedMediaTypeError: pyarrow is not installed.
        BadRequestError: it is no stream, is empty or not n_features wide, has other columns (it names the
            column), or becomes far larger than the body.
    """
    pa = pyarrow_for(content_type.name, UnsupportedMediaTypeError)
    try:
        _check_compressed(pa, body)
        reader = pa.ipc.open_stream(pa.BufferReader(body))
        batches = list(reader)
        names = columns_to_read(pa, reader.schema, sum(batch.num_rows for batch in batches), len(body))
        table = pa.Table.from_batches(batches, reader.schema)
        return data_of(pa, _chosen(table, names), n_features, len(body))
    except faults(pa) as error:
        raise BadRequestError(f"The body is no Arrow stream: {str(error)[:200]}.") from None


def encode_arrow(prediction: object) -> bytes:
    """Return a prediction as `columnar.table_of` has it, as an Arrow stream (UnencodableError as there)."""
    pa = pyarrow_for(ARROW, NotAcceptableError)
    table = table_of(pa, prediction, ARROW)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    body: bytes = out.getvalue().to_pybytes()
    return body


def _chosen(table: Any, names: list[str]) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return the columns of these names; two may have the same."""
    return table.select([place for place, name in enumerate(table.column_names) if name in names])


def _check_compressed(pa: ModuleType, body: bytes) -> None:
    """Hold what compressed buffers say that they become against the body's length.

    pyarrow takes that memory before it looks at what is in them.
    """
    total = 0
    for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(body)):
        for claimed in _claims(message.metadata.to_pybytes(), message.body):
            total += max(claimed, 0)  # -1 stands for a buffer that is not compressed
    refuse_expansion(total, len(body), "Arrow stream")


def _claims(metadata: bytes, data: Any) -> Iterator[int]:  # noqa: ANN401 - pyarrow's buffer
    """Give what each buffer of a message, if it is compressed, says that it becomes (Message.fbs)."""
    root = struct.unpack_from("<I", metadata)[0]
    kind = _field(metadata, root, _HEADER_KIND)
    batch = _table(metadata, root, _HEADER)
    if batch is not None and kind is not None and metadata[kind] == _DICTIONARY_BATCH:
        batch = _table(metadata, batch, _DATA)
    elif kind is None or metadata[kind] != _RECORD_BATCH:
        return
    if batch is None or _field(metadata, batch, _COMPRESSION) is None:
        return
    buffers = _table(metadata, batch, _BUFFERS)
    if buffers is None:
        return
    body = memoryview(data) if data is not None else b""
    for place in range(struct.unpack_from("<I", metadata, buffers)[0]):
        offset, length = struct.unpack_from("<qq", metadata, buffers + 4 + 16 * place)
        if length >= 8 and offset >= 0:
            yield struct.unpack_from("<q", body, offset)[0]


def _field(metadata: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffer's table lies, or None where it has its default."""
    layout = table - struct.unpack_from("<i", metadata, table)[0]
    entry = 4 + 2 * number
    if layout < 0 or entry >= struct.unpack_from("<H", metadata, layout)[0]:
        return None
    offset = struct.unpack_from("<H", metadata, layout + entry)[0]
    return table + offset if offset else None


def _table(metadata: bytes, table: int, number: int) -> int | None:
    """Return where the table or vector that a field points to lies."""
    place = _field(metadata, table, number)
    return None if place is None else place + int(struct.unpack_from("<I", metadata, place)[0])
