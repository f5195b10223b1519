import numpy as np
import pandas as pd
import pytest

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.arrays import refuse_missing


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (np.array([[1, 2], [3, np.nan]]), {"row": 2, "column": 2}),
        (np.array([["a", 1], [np.nan, 2]], dtype=object), {"row": 2, "column": 1}),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]}), {"row": 2, "column": 2}),
        (np.array([[[1, np.nan]]]), {"position": [1, 1, 2]}),
        (np.array([1, np.nan]), {"position": [2]}),
        (np.array(np.nan), {"position": []}),
        (np.array([[1j, complex("nan")]]), {"row": 1, "column": 2}),
    ],
)
def test_a_missing_value_is_refused_with_its_place_in_any_number_of_dimensions(data, place):
    with pytest.raises(BadRequestError, match=r"\(counted from 1\) is missing or NaN") as refused:
        refuse_missing(data)
    assert refused.value.details == place


@pytest.mark.parametrize(
    "data", [np.zeros((2, 2)), np.array([["a"]]), pd.DataFrame({"a": ["x"]}), [None], {"a": None}, "text", 1]
)
def test_what_lacks_nothing_or_is_not_a_table_passes(data):
    refuse_missing(data)
