"""The document of an endpoint, as DescribeEndpoint answers it, through the stations of its life.

Beside what AWS shows it has "Plan", what it ran when it was last in service, and "Next", what it shall run,
so that both can be started again after a restart; shapes.serialise leaves them out. "Plan" is what is wanted,
whatever the status is: it stays where a restart could not bring the endpoint back, and the next one tries it.
"""

from collections.abc import Mapping
from typing import Any

from byoc.local.hosting.plan import Plan, VariantPlan, read

Document = dict[str, Any]

MOST_REASON = 1024  # botocore's model of the service: FailureReason
IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_TRIED_AGAIN = " It had been in service: the next start of the local SageMaker tries again."
_TO_BE_DROPPED = ("FailureReason", "Next", "PendingDeploymentSummary")


def created(name: str, plan: Plan, now_s: float, deployment: Mapping[str, Any] | None = None) -> Document:
    """Return a new endpoint that shall run a plan."""
    return {
        "EndpointName": name,
        "EndpointConfigName": plan.config,
        "EndpointStatus": "Creating",
        "CreationTime": now_s,
        "LastModifiedTime": now_s,
        "Next": plan.document(),
        **({"LastDeploymentConfig": deployment} if deployment else {}),
    }


def updating(document: Document, plan: Plan, now_s: float) -> Document:
    """Return it on its way to another plan."""
    pending = {
        "EndpointConfigName": plan.config,
        "ProductionVariants": [
            {**_summary(variant, 0), "InstanceType": variant.instance_type} for variant in plan.variants
        ],
        "StartTime": now_s,
    }
    kept = {member: value for member, value in document.items() if member != "FailureReason"}
    return {
        **kept,
        "EndpointStatus": "Updating",
        "LastModifiedTime": now_s,
        "Next": plan.document(),
        "PendingDeploymentSummary": pending,
    }


def in_service(document: Document, plan: Plan, now_s: float, reason: str = "") -> Document:
    """Return it answering; `reason` is why it does not run what it was asked to."""
    kept = {member: value for member, value in document.items() if member not in _TO_BE_DROPPED}
    return {
        **kept,
        "EndpointConfigName": plan.config,
        "EndpointStatus": "InService",
        "LastModifiedTime": now_s,
        "ProductionVariants": [_summary(variant, variant.count) for variant in plan.variants],
        "Plan": plan.document(),
        **({"FailureReason": reason[:MOST_REASON]} if reason else {}),
    }


def failed(document: Document, reason: str, now_s: float) -> Document:
    """Return it with nothing that answers, the reason, and what becomes of it at the next start."""
    kept = {member: value for member, value in document.items() if member not in _TO_BE_DROPPED}
    outlook = _TRIED_AGAIN if "Plan" in document else ""
    told = reason[: MOST_REASON - len(outlook)] + outlook
    return {**in_status(kept, "Failed", now_s), "FailureReason": told}


def twice_failed(reason: str, before: str) -> str:
    """Return why nothing answers: what ran before does not come up again, and neither did its successor.

    The two reasons share the room.
    """
    return f"{reason[: MOST_REASON // 2]} It ran before an update, which failed as well: {before}"


def to_be_restored(document: Document, now_s: float) -> Document:
    """Return one that was in service in another process on its way to that again, any other as it is."""
    plan = plan_in(document, "Plan")
    return document if plan is None else updating(document, plan, now_s)


def in_status(document: Document, status: str, now_s: float) -> Document:
    """Return it in another status."""
    return {**document, "EndpointStatus": status, "LastModifiedTime": now_s}


def with_current_counts(document: Document, counts: Mapping[str, int]) -> Document:
    """Return it with the number of instances that answer, by variant."""
    variants = [
        {**variant, "CurrentInstanceCount": counts.get(variant["VariantName"], 0)}
        for variant in document.get("ProductionVariants", [])
    ]
    return {**document, "ProductionVariants": variants} if variants else document


def plan_in(document: Document, member: str) -> Plan | None:
    """Return the plan under "Plan" or "Next"."""
    return read(document[member]) if member in document else None


def _summary(variant: VariantPlan, count: int) -> Document:
    return {
        "VariantName": variant.name,
        "DeployedImages": [{"SpecifiedImage": variant.image, "ResolvedImage": variant.image}],
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": variant.count,
    }
