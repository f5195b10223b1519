"""A value that --env gives is in no report, wherever the log was cut."""

import pytest

from byoc.check.masking import masked

TOKEN = "hf_supersecret0123"


@pytest.mark.parametrize(
    ("text", "values", "shown"),
    [
        (f"ending with: t: {TOKEN}", [TOKEN], "ending with: t: ***"),
        (f"  {{'TOKEN': '{TOKEN}'}}", [TOKEN], "  {'TOKEN': '***'}"),
        ("t: hf_supersec\nnext", [TOKEN], "t: ***\nnext"),
        ("says 't: hf_supersec...'", [TOKEN], "says 't: ***...'"),
        ("t: hf_superb", [TOKEN], "t: hf_superb"),
        ("the key is\n  MIIEpQIBAAK\n  ---", ["---\nMIIEpQIBAAK\n---"], "the key is\n  ***\n  ---"),
        ("a shorter-one and shorter", ["shorter", "shorter-one"], "a *** and ***"),
        ("debug is true", ["true"], "debug is true"),
        ("/opt/ml/model holds no file", ["/opt/ml/model"], "/opt/ml/model holds no file"),
    ],
)
def test_a_variables_value_is_not_shown(text, values, shown):
    assert masked(text, values) == shown
