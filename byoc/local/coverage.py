"""Writes the table of operations in docs/local.md from the code: `python -m byoc.local.coverage`."""

import sys
from typing import Any, cast

from byoc.local.hosting.hosting import Hosting
from byoc.local.house import operations_of
from byoc.local.s3 import plane as s3
from byoc.local.s3.bucket_settings import KEPT
from byoc.local.sagemaker.shapes import service
from byoc.local.sagemaker.training_runs import TrainingRuns


def sagemaker_operations() -> list[str]:
    """Return the operations of SageMaker's control plane that are there, by name."""
    # Only their names are asked for: nothing of these is called.
    return sorted(operations_of(cast(Any, TrainingRuns), cast(Any, Hosting)))


def table() -> str:
    """Return the table, in Markdown."""
    there = sagemaker_operations()
    every = service().operation_names
    kept = ", ".join(sorted(KEPT))
    return "\n".join(
        [
            "| service | operations |",
            "|---|---|",
            f"| SageMaker ({len(there)} of {len(every)}) | {', '.join(there)} |",
            "| SageMaker Runtime | InvokeEndpoint |",
            f"| S3 | {', '.join(s3.operation_names())} |",
            f"| S3, settings of buckets that are kept and told again | {kept}, policy, acl |",
            "| IAM, STS, ECR, CloudWatch, Logs, EventBridge, SSM, SNS | moto's |",
            "| IAM, besides | SimulatePrincipalPolicy |",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
