"""SageMaker's operations as botocore's own service model describes them: what comes in, what goes out."""

from collections.abc import Mapping
from functools import cache

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    OperationNotFoundError,
    ServiceModel,
    Shape,
    StructureShape,
)

from byoc.local.errors import unknown_operation
from byoc.local.sagemaker import constraints


@cache
def service() -> ServiceModel:
    """Return the model of the control plane; it is read once (0.1 s)."""
    return botocore.session.Session().get_service_model("sagemaker")


@cache
def operation(name: str) -> OperationModel:
    """Return the model of one operation.

    Raises:
        AwsError: UnknownOperationException, where SageMaker has none of this name.
    """
    try:
        return service().operation_model(name)
    except OperationNotFoundError:
        raise unknown_operation(name) from None


def validate(name: str, request: object) -> dict[str, object]:
    """Return the request of an operation, without nulls and without what the model does not know.

    Raises:
        AwsError: with AWS's own words, for a wrong type, a missing member, or a broken constraint.
    """
    shape = operation(name).input_shape
    return constraints.check(shape, request) if isinstance(shape, StructureShape) else {}


def serialise(name: str, document: Mapping[str, object]) -> dict[str, object]:
    """Return the answer of an operation as AWS writes it: epoch seconds, known members, nothing empty.

    An empty structure, list or map is left out, as on AWS, but for what the model requires and the lists
    that the List operations are about.
    """
    shape = operation(name).output_shape
    if not isinstance(shape, StructureShape):
        return {}
    kept = {member for member, its in shape.members.items() if name.startswith("List") and _is_list(its)}
    return _structure(shape, document, kept | set(shape.required_members))


def _is_list(shape: Shape) -> bool:
    return isinstance(shape, ListShape)


def _structure(shape: StructureShape, given: Mapping[str, object], kept: set[str]) -> dict[str, object]:
    answer = {}
    for name, member in shape.members.items():
        value = _value(member, given.get(name))
        if value is not None and (value not in ({}, []) or name in kept):
            answer[name] = value
    return answer


def _value(shape: Shape, value: object) -> object:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return _structure(shape, value, set(shape.required_members))
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_value(shape.member, one) for one in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _value(shape.value, one) for key, one in value.items()}
    if shape.type_name == "timestamp" and isinstance(value, int | float):
        return round(float(value), 3)
    return value
