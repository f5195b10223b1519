"""Lists come in pages, filtered and in order, whatever is made and deleted in between."""

import pytest

from byoc.local.errors import AwsError
from byoc.local.sagemaker.listing import Columns, page

COLUMNS = Columns("Endpoints", "EndpointName", "EndpointStatus")


def endpoint(name, at, status="InService"):
    return {"EndpointName": name, "CreationTime": at, "LastModifiedTime": at + 10, "EndpointStatus": status}


ALL = [endpoint("b", 2.0), endpoint("a", 1.0, "Failed"), endpoint("Cd", 3.0), endpoint("e", 3.0)]


def names(request, documents=ALL, columns=COLUMNS):
    return "".join(one["EndpointName"] for one in page(documents, request, columns)["Endpoints"])


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, "eCdba"),
        ({"SortOrder": "Ascending"}, "abCde"),
        ({"SortBy": "Name", "SortOrder": "Ascending"}, "Cdabe"),
        ({"SortBy": "Status", "SortOrder": "Ascending"}, "aCdbe"),
        ({"NameContains": "D"}, "Cd"),
        ({"StatusEquals": "Failed"}, "a"),
        ({"CreationTimeAfter": 1.0, "CreationTimeBefore": 3.0}, "b"),
        ({"LastModifiedTimeAfter": 12.5}, "eCd"),
        ({"LastModifiedTimeBefore": 11.5}, "a"),
        ({"NameContains": "nothing"}, ""),
    ],
)
def test_filters_and_order_are_those_asked_for(request_, expected):
    assert names(request_) == expected


def test_the_pages_together_are_everything_once():
    documents = [endpoint(f"n{i:02}", float(i // 3)) for i in range(25)]
    seen, request = [], {"MaxResults": 4}
    while True:
        answer = page(documents, request, COLUMNS)
        seen += [one["EndpointName"] for one in answer["Endpoints"]]
        if "NextToken" not in answer:
            break
        request["NextToken"] = answer["NextToken"]
    assert seen == sorted((one["EndpointName"] for one in documents), reverse=True)


def test_a_page_holds_ten_where_nothing_is_said():
    assert len(page([endpoint(str(i), 1.0) for i in range(11)], {}, COLUMNS)["Endpoints"]) == 10


def test_what_is_deleted_between_two_pages_hides_nothing():
    first = page(ALL, {"MaxResults": 2}, COLUMNS)
    left = [one for one in ALL if one["EndpointName"] != "Cd"]
    assert names({"NextToken": first["NextToken"]}, [*left, endpoint("new", 9.0)]) == "ba"


@pytest.mark.parametrize("token", ["", "nonsense", "W10=", "eyJhIjogMX0=", "NQ=="])
def test_a_token_of_nobody_is_refused(token):
    with pytest.raises(AwsError, match="Invalid NextToken"):
        page(ALL, {"NextToken": token}, COLUMNS)


def test_a_token_is_for_the_same_order_only():
    token = page(ALL, {"MaxResults": 2}, COLUMNS)["NextToken"]
    with pytest.raises(AwsError, match="Invalid NextToken"):
        page(ALL, {"NextToken": token, "SortBy": "Name"}, COLUMNS)
