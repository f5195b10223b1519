"""Parquet bodies and answers."""

from byoc_serving.errors import BadRequestError, NotAcceptableError, UnsupportedMediaTypeError
from byoc_serving.formats.bounds import refuse_expansion
from byoc_serving.formats.columnar import columns_to_read, data_of, faults, is_text, pyarrow_for, table_of
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.parquet_pages import Footer

PARQUET = "application/x-parquet"


def decode_parquet(body: bytes, content_type: MediaType, n_features: int | None) -> object:
    """Return a Parquet body as the data that `arrays.assemble` describes.

    Columns of numbers, booleans and null are float64, columns of text keep their cells; pandas' own columns
    for the names of rows are left out.

    Raises:
        UnsupportedMediaTypeError: pyarrow is not installed.
        BadRequestError: it is not Parquet, is empty or not n_features wide, has other columns (it names the
            column), or becomes far larger than the body.
    """
    pa = pyarrow_for(content_type.name, UnsupportedMediaTypeError)
    import pyarrow.parquet as pq

    footer = Footer(body)
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        schema = file.schema_arrow
        names = columns_to_read(pa, schema, footer.rows(), len(body))
        texts = [place for place, kind in enumerate(schema.types) if is_text(pa, kind)]
        refuse_expansion(footer.unpacked_bytes(texts), len(body), "Parquet")
        if texts:
            as_words = [schema.names[place] for place in texts]
            file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=as_words)
        table = file.read(columns=names, use_threads=False)
        return data_of(pa, table, n_features, len(body))
    except faults(pa) as error:
        raise BadRequestError(f"The body is not Parquet: {str(error)[:200]}.") from None


def encode_parquet(prediction: object) -> bytes:
    """Return a prediction as `columnar.table_of` has it, as Parquet (UnencodableError as there)."""
    pa = pyarrow_for(PARQUET, NotAcceptableError)
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    pq.write_table(table_of(pa, prediction, PARQUET), out)
    body: bytes = out.getvalue().to_pybytes()
    return body
