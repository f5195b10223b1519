"""The JSON bodies that hold a table for a model, in each form that is taken, as JSON Schema."""

from collections.abc import Sequence
from typing import Any

from byoc_serving.versions.schema import INTEGER, STRING, Column, names_of

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/"


def ref(name: str) -> Json:
    """Return what stands for a schema of the document's components."""
    return {"$ref": f"{_SCHEMAS}{name}"}


def table_schemas(
    columns: Sequence[Column] | None, width: int, is_enforced: bool, allows_missing: bool
) -> dict[str, Json]:
    """Return the schemas of a table's forms by their names; that of a body, `Body`, is made of the others.

    Args:
        columns: of the model version's schema; None where it has none.
        width: how many columns there are.
        is_enforced: whether values and names outside the schema are refused: else they are told only.
        allows_missing: whether the model takes a missing value.
    """
    if columns:
        cells = [_cell(column, is_enforced, allows_missing) for column in columns]
    else:
        cells = [_typed("number", allows_missing)] * width
    names = names_of(columns)
    bare = [ref("Rows"), ref("Records")]
    if not any(STRING in _types(cell) for cell in cells):
        bare.append(ref("Row"))  # of numbers alone; a list with text is no row
    held = [_holding(key, bare) for key in ("instances", "inputs")]
    held += [_holding("dataframe_records", [ref("Records")]), _holding("dataframe_split", [ref("Split")])]
    return {
        "Row": {"type": "array", "prefixItems": cells, "items": False, "minItems": width, "maxItems": width},
        "Rows": {"type": "array", "items": ref("Row"), "minItems": 1},
        "Records": {
            "type": "array",
            "items": _record(names, cells, is_enforced, allows_missing),
            "minItems": 1,
        },
        "Split": _split(names, cells, is_enforced),
        "Body": {"anyOf": [*bare, ref("Split"), *held]},
    }


def _record(names: Sequence[str], cells: Sequence[Json], is_enforced: bool, allows_missing: bool) -> Json:
    named = dict(zip(names, cells, strict=True)) if names else {}
    if named and is_enforced:
        return {
            "type": "object",
            "properties": named,
            "required": list(named),
            "additionalProperties": False,
        }
    return {
        "type": "object",
        "properties": named,
        "minProperties": 1 if allows_missing else len(cells),
        "maxProperties": len(cells),
        "additionalProperties": _any_of(cells),
    }


def _split(names: Sequence[str], cells: Sequence[Json], is_enforced: bool) -> Json:
    """Return the schema of pandas' form; known names may come in any order, and the cells in theirs."""
    width: Json = {"minItems": len(cells), "maxItems": len(cells)}
    heads: Json = {"type": "array", "items": {"type": ["string", "integer"]}, **width}
    rows = ref("Rows")
    if names and is_enforced:
        heads |= {"items": {"enum": list(names)}, "uniqueItems": True}
    if names:
        rows = {"type": "array", "items": {"type": "array", "items": _any_of(cells), **width}, "minItems": 1}
    return {
        "type": "object",
        "properties": {"columns": heads, "data": rows, "index": {"type": "array"}},
        "required": ["columns", "data"],
        "additionalProperties": False,
    }


def _holding(key: str, held: Sequence[Json]) -> Json:
    return {
        "type": "object",
        "properties": {key: {"anyOf": list(held)}},
        "required": [key],
        "additionalProperties": False,
    }


def _cell(column: Column, is_enforced: bool, allows_missing: bool) -> Json:
    """Return the schema of a column: its bounds bind where they are enforced, else they are told."""
    bounds: Json = {}
    if column.minimum is not None:
        bounds["minimum"] = column.minimum
    if column.maximum is not None:
        bounds["maximum"] = column.maximum
    if column.enum is not None:
        bounds["enum"] = [*column.enum, None] if column.nullable else list(column.enum)
    missing = allows_missing and (column.nullable or not is_enforced)
    kind = column.type if is_enforced or column.type != INTEGER else "number"
    said: Json = _typed(kind, missing)
    if column.name is not None:
        said["title"] = column.name
    if is_enforced:
        return {**said, **bounds}
    told = ", ".join(f"{key} {value}" for key, value in bounds.items())
    return {**said, "description": f"In the training data: {told or STRING}."}


def _typed(kind: str, may_miss: bool) -> Json:
    return {"type": [kind, "null"] if may_miss else kind}


def _types(cell: Json) -> list[str]:
    kind = cell["type"]
    return kind if isinstance(kind, list) else [kind]


def _any_of(cells: Sequence[Json]) -> Json:
    return {"type": sorted({kind for cell in cells for kind in _types(cell)})}
