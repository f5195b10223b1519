"""What a batch transform job is told before it sends anything: how much at once, and how large."""

from collections.abc import Mapping

from byoc_serving.settings import MEGABYTE, Settings
from byoc_serving.supervision.cores import share_cores

# SageMaker's bounds, and what it would take by itself (your-algorithms-batch-code; CreateTransformJob).
_MOST_AT_ONCE_MB = 100
_USUAL_MB = 6

# A body takes so many times its length at most while it is decoded, predicted and encoded.
_EXPANSION = 16


def execution_parameters(settings: Settings, cores: float, memory_bytes: int) -> Mapping[str, object]:
    """Return the answer to GET /execution-parameters; what the job itself says comes before it.

    Args:
        settings: of the process.
        cores: of the container: as many calls at once as there are workers.
        memory_bytes: of the container: what is sent at once has to fit into it when it is expanded.
    """
    workers = share_cores(cores, settings.workers, settings.preload).workers
    at_once = settings.max_concurrent_transforms or min(workers, _MOST_AT_ONCE_MB)
    fitting = (_MOST_AT_ONCE_MB // at_once, memory_bytes // (MEGABYTE * _EXPANSION * at_once))
    return {
        "MaxConcurrentTransforms": at_once,
        "BatchStrategy": settings.batch_strategy,
        "MaxPayloadInMB": max(1, min(_USUAL_MB, settings.max_payload_mb or _USUAL_MB, *fitting)),
    }
