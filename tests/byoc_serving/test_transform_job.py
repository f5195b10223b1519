"""transform_job: what is asked for at once has calls and memory to be answered by."""

import pytest

from byoc_serving.settings import Settings
from byoc_serving.transform_job import execution_parameters

GB = 1024**3


@pytest.mark.parametrize(
    ("cores", "memory_gb", "said", "at_once", "payload_mb"),
    [
        (2, 8, {}, 2, 6),
        (64, 256, {}, 64, 1),
        (200, 256, {}, 100, 1),
        (4, 0.25, {}, 4, 4),
        (4, 0.01, {}, 4, 1),
        (4, 16, {"workers": 1}, 1, 6),
        (4, 16, {"max_payload_mb": 2}, 4, 2),
        (4, 16, {"max_payload_mb": 0}, 4, 6),
        (4, 16, {"max_concurrent_transforms": 50}, 50, 2),
    ],
)
def test_one_call_a_worker_and_as_much_as_memory_and_sagemaker_take(
    cores, memory_gb, said, at_once, payload_mb
):
    told = execution_parameters(Settings(**said), cores, int(memory_gb * GB))
    assert told == {
        "MaxConcurrentTransforms": at_once,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload_mb,
    }


def test_the_strategy_that_the_job_names_is_told_back():
    told = execution_parameters(Settings(batch_strategy="SINGLE_RECORD"), 1, GB)
    assert told["BatchStrategy"] == "SINGLE_RECORD"
