"""A rule of the contract between SageMaker and a container."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from byoc.check.lab import Lab
from byoc.check.verdict import Verdict


class Part(StrEnum):
    """What a container is to be good for."""

    IMAGE = "image"
    TRAIN = "train"
    SERVE = "serve"
    BATCH = "batch"
    MULTI_MODEL = "multi-model"
    SERVERLESS = "serverless"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        id: stable, as --only and --skip name it.
        says: what the container has to do, such as "answers GET /ping within 2 s".
        why: why it matters: what SageMaker does about a container that does not.
        so: what will happen on SageMaker then, a clause for the summary, "no endpoint becomes InService".
        mend: how to mend it.
        source: the AWS page that says so, or where else it is known from.
        test: looks, and raises CannotTestError where it cannot.
        slow: whether it takes minutes, and so is left out unless asked for.
        by_url: whether it can be tested on a server that somebody else has started.
    """

    id: str
    part: Part
    says: str
    why: str
    so: str
    mend: str
    source: str
    test: Callable[[Lab], Verdict]
    slow: bool = False
    by_url: bool = False
