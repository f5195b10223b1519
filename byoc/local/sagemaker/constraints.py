"""Whether a value is what a shape of AWS's service model asks for; where not, in the words that AWS uses."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TypeVar

from botocore.model import ListShape, MapShape, Shape, StructureShape

from byoc.local.errors import AwsError, validation

# Java's classes of characters, as far as Python has them; a little wider where it has not.
_JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{M}": "",
    r"\p{Z}": r"\s",
    r"\p{S}": r"\W",
    r"\p{P}": r"\W",
    r"\p{Alnum}": "a-zA-Z0-9",
}
_T = TypeVar("_T")
_NUMBERS = ("integer", "long", "float", "double")


def check(shape: StructureShape, value: object) -> dict[str, object]:
    """Return what of a request its shape knows, without nulls.

    Raises:
        AwsError: SerializationException where JSON's types are not the shape's, ValidationException with
            every constraint that is not met, each with its place and value.
    """
    known = _known_members(shape, value, "")
    failures = list(_failures(shape, known, ""))
    if failures:
        plural = "s" if len(failures) > 1 else ""
        raise validation(f"{len(failures)} validation error{plural} detected: {'; '.join(failures)}")
    return known


def _known(shape: Shape, value: object, at: str) -> object:
    if isinstance(shape, StructureShape):
        return _known_members(shape, value, at)
    if isinstance(shape, MapShape):
        given = _of_type(dict, value, at)
        return {key: _known(shape.value, one, at) for key, one in given.items() if one is not None}
    if isinstance(shape, ListShape):
        ones = _of_type(list, value, at)
        return [_known(shape.member, one, f"{at}.{i}.member") for i, one in enumerate(ones, 1)]
    return _scalar(shape, value, at)


def _known_members(shape: StructureShape, value: object, at: str) -> dict[str, object]:
    given = _of_type(dict, value, at)
    return {
        name: _known(member, given[name], _member_of(at, name))
        for name, member in shape.members.items()
        if given.get(name) is not None
    }


def _of_type(expected: type[_T], value: object, at: str) -> _T:
    if isinstance(value, expected):
        return value
    wanted = "list" if expected is list else "structure or map"
    raise AwsError("SerializationException", f"Expected {wanted} or null, found {_kind(value)}{_place(at)}")


def _scalar(shape: Shape, value: object, at: str) -> object:
    kind = shape.type_name
    number = isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
    fits: Mapping[str, bool] = {
        "string": isinstance(value, str),
        "blob": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "timestamp": number,
        **dict.fromkeys(_NUMBERS, number),
    }
    if not fits.get(kind, True):
        article = "an" if kind == "integer" else "a"
        found = f"{_kind(value)} can not be converted to {article} {kind.capitalize()}"
        raise AwsError("SerializationException", f"{found}{_place(at)}")
    return int(value) if kind in ("integer", "long") and isinstance(value, float) else value


def _kind(value: object) -> str:
    """Return what AWS's parser calls a JSON value."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    names = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "DECIMAL_VALUE", list: "a list", dict: "a map"}
    return names.get(type(value), "NULL_VALUE")


def _place(at: str) -> str:
    return f" (at '{at}')" if at else ""


def _failures(shape: Shape, value: object, at: str) -> Iterator[str]:
    """Yield what is wrong with a value and all below it."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        yield from _failures_in_structure(shape, value, at)
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        yield from _own_failures(shape, value, at)
        yield from _failures_in_map(shape, value, at)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _own_failures(shape, value, at)
        yield from _failures_in_list(shape, value, at)
    else:
        yield from _own_failures(shape, value, at)


def _failures_in_structure(shape: StructureShape, value: Mapping[str, object], at: str) -> Iterator[str]:
    for name, member in shape.members.items():
        place = _member_of(at, name)
        if name in value:
            yield from _failures(member, value[name], place)
        elif name in shape.required_members:
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _failures_in_map(shape: MapShape, value: Mapping[str, object], at: str) -> Iterator[str]:
    if any(_broken(shape.key, key) for key in value):
        yield _failure(value, at, f"Map keys must satisfy constraint: {_list_of(shape.key)}")
    for key, one in value.items():
        if isinstance(shape.value, StructureShape | ListShape | MapShape):
            yield from _failures(shape.value, one, f"{at}.{key}.member")
        elif _broken(shape.value, one):
            yield _failure(value, at, f"Map value must satisfy constraint: {_list_of(shape.value)}")
            return


def _failures_in_list(shape: ListShape, value: list[object], at: str) -> Iterator[str]:
    if isinstance(shape.member, StructureShape | ListShape | MapShape):
        for number, one in enumerate(value, 1):
            yield from _failures(shape.member, one, f"{at}.{number}.member")
    elif any(_broken(shape.member, one) for one in value):
        yield _failure(value, at, f"Member must satisfy constraint: {_list_of(shape.member)}")


def _own_failures(shape: Shape, value: object, at: str) -> Iterator[str]:
    for constraint in _broken(shape, value):
        yield _failure(value, at, constraint)


def _failure(value: object, at: str, constraint: str) -> str:
    return f"Value '{_java(value)}' at '{at}' failed to satisfy constraint: {constraint}"


def _broken(shape: Shape, value: object) -> list[str]:
    """Return the constraints of the shape itself that the value does not meet."""
    return [words for words, met in _constraints(shape) if not met(value)]


def _list_of(shape: Shape) -> str:
    return f"[{', '.join(words for words, _ in _constraints(shape))}]"


def _constraints(shape: Shape) -> Iterator[tuple[str, Callable[[object], bool]]]:
    rules = shape.metadata
    measure, unit = (_as_number, "value") if shape.type_name in _NUMBERS else (_length, "length")
    if "enum" in rules:
        allowed = rules["enum"]
        yield f"Member must satisfy enum value set: [{', '.join(allowed)}]", lambda value: value in allowed
        return
    if "max" in rules:
        words = f"Member must have {unit} less than or equal to {rules['max']}"
        yield words, lambda value: measure(value) <= rules["max"]
    if "min" in rules:
        words = f"Member must have {unit} greater than or equal to {rules['min']}"
        yield words, lambda value: measure(value) >= rules["min"]
    if "pattern" in rules:
        pattern = _pattern(rules["pattern"])
        words = f"Member must satisfy regular expression pattern: {rules['pattern']}"
        yield words, lambda value: pattern is None or pattern.fullmatch(str(value)) is not None


def _as_number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _length(value: object) -> float:
    return len(value) if isinstance(value, str | list | dict) else 0


@cache
def _pattern(java: str) -> re.Pattern[str] | None:
    """Return a pattern of the model for Python, None where Python cannot have it."""
    for theirs, ours in _JAVA_CLASSES.items():
        java = java.replace(theirs, ours)
    try:
        return re.compile(java)
    except re.error:
        return None


def _java(value: object) -> str:
    """Return a value as Java prints it, which is what AWS's messages show."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_java, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _member_of(at: str, name: str) -> str:
    """Return the place of a member, in AWS's way: such as "productionVariants.1.member.modelName"."""
    own = name[:1].lower() + name[1:]
    return f"{at}.{own}" if at else own
