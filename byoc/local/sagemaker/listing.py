"""One page of a List operation: filtered, in order, and a token for the next."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from byoc.local.errors import validation

Document = dict[str, object]
_Place = tuple[float, str]  # in the order; the name decides between equals
_DEFAULT_RESULTS = 10  # what AWS's control plane gives where MaxResults is not


@dataclass(frozen=True)
class Columns:
    """What a List operation is about.

    Attributes:
        answer: the member of its answer, such as "Models".
        name: the member of a document that has its name.
        status: the one that has its status, "" where there is none.
        sort_by, sort_order: what AWS takes where the request has none.
    """

    answer: str
    name: str
    status: str = ""
    sort_by: str = "CreationTime"
    sort_order: str = "Descending"


def page(documents: Sequence[Document], request: Mapping[str, object], columns: Columns) -> Document:
    """Return {columns.answer: the documents of this page} and NextToken where there are more.

    Heard are NameContains, CreationTimeAfter/Before, LastModifiedTimeAfter/Before, StatusEquals, SortBy
    (Name, CreationTime, Status), SortOrder, MaxResults and NextToken. The token carries where the page
    before ended, not a number, so that what is made or deleted in between neither repeats nor hides others.

    Args:
        documents: all there are.
        request: of a List operation, validated.
        columns: see there.

    Raises:
        AwsError: ValidationException for a token that is not one of these.
    """
    wanted = [document for document in documents if _matches(document, request, columns)]
    sort_by = str(request.get("SortBy", columns.sort_by))
    backwards = request.get("SortOrder", columns.sort_order) == "Descending"
    member = {"Name": columns.name, "Status": columns.status}.get(sort_by, sort_by)

    def place(document: Document) -> _Place:
        return cast("_Place", (document.get(member) or 0, document[columns.name]))

    ordered = sorted(wanted, key=place, reverse=backwards)
    if "NextToken" in request:
        last = _read_token(str(request["NextToken"]), [sort_by, backwards])
        ordered = [one for one in ordered if (place(one) < last if backwards else place(one) > last)]
    shown = ordered[: cast("int", request.get("MaxResults", _DEFAULT_RESULTS))]
    if len(ordered) == len(shown):
        return {columns.answer: shown}
    return {columns.answer: shown, "NextToken": _token([sort_by, backwards, *place(shown[-1])])}


def _matches(document: Document, request: Mapping[str, object], columns: Columns) -> bool:
    if str(request.get("NameContains", "")).lower() not in str(document[columns.name]).lower():
        return False
    if "StatusEquals" in request and document.get(columns.status) != request["StatusEquals"]:
        return False
    return all(_in_time(document, request, time) for time in ("CreationTime", "LastModifiedTime"))


def _in_time(document: Document, request: Mapping[str, object], time: str) -> bool:
    at = cast("float", document.get(time, 0.0))
    after = cast("float", request.get(f"{time}After", at - 1))
    before = cast("float", request.get(f"{time}Before", at + 1))
    return after < at < before


def _token(fields: list[object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


def _read_token(token: str, sorting: list[object]) -> _Place:
    """Return the place in the order that a token names; the sorting has to be the one it was made for."""
    try:
        *made_for, value, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):  # binascii.Error is of its kind
        made_for, value, name = [], 0.0, ""
    if made_for != sorting:
        raise validation(
            "Invalid NextToken. Give the one of the answer before, with the same SortBy and SortOrder."
        )
    return value, name
