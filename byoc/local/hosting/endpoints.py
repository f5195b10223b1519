"""The operations on endpoints: create, describe, list, update (weights and capacities too), delete."""

from collections.abc import Callable, Mapping
from typing import Any

from byoc.local.errors import validation
from byoc.local.hosting import records
from byoc.local.hosting.hosting import Hosting
from byoc.local.hosting.plan import Plan, plan_of
from byoc.local.sagemaker.kinds import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    add,
    missing,
    need,
    now,
    structure,
    structures,
    tags_in,
    text,
)
from byoc.local.sagemaker.listing import Columns, page
from byoc.local.sagemaker.refusals import refuse
from byoc.local.sagemaker.store import Document
from byoc.local.world import Operation, World

_COLUMNS = Columns("Endpoints", ENDPOINT.name, "EndpointStatus")


def operations(hosting: Hosting) -> Mapping[str, Operation]:
    """Return the operations on the endpoints that `hosting` keeps."""

    def act_on(
        operation: Callable[[World, Document], str], act: Callable[[str], None], answers: bool = True
    ) -> Operation:
        def carried_out(world: World, request: Document) -> Document:
            its_arn = operation(world, request)
            act(text(need(world, ENDPOINT, text(request, "EndpointName")), "EndpointName"))
            return {"EndpointArn": its_arn} if answers else {}

        return carried_out

    return {
        "CreateEndpoint": act_on(create_endpoint, hosting.deploy),
        "UpdateEndpoint": act_on(update_endpoint, hosting.deploy),
        "UpdateEndpointWeightsAndCapacities": act_on(update_weights_and_capacities, hosting.resize),
        "DeleteEndpoint": act_on(delete_endpoint, hosting.remove, answers=False),
        "DescribeEndpoint": describe_endpoint,
        "ListEndpoints": list_endpoints,
    }


def create_endpoint(world: World, request: Document) -> str:
    """Keep a new endpoint, Creating; return its ARN."""
    plan = _plan(world, request)
    deployment = structure(request, "DeploymentConfig")
    document = records.created(text(request, "EndpointName"), plan, now(world), deployment)
    return add(world, ENDPOINT, document, tags_in(request))


def update_endpoint(world: World, request: Document) -> str:
    """Set an endpoint on its way to another configuration, Updating; return its ARN."""
    name = text(request, "EndpointName")
    before = need(world, ENDPOINT, name)
    plan = _plan(world, request)
    if request.get("RetainAllVariantProperties"):
        plan = _retaining(plan, before, request)
    deployment = structure(request, "DeploymentConfig")

    def change(document: Document) -> Document:
        updated = records.updating(document, plan, now(world))
        return {**updated, "LastDeploymentConfig": deployment} if deployment else updated

    return _change(world, name, change)


def update_weights_and_capacities(world: World, request: Document) -> str:
    """Set an endpoint on its way to other weights and instance counts, Updating; return its ARN."""
    name = text(request, "EndpointName")
    need(world, ENDPOINT, name)
    desired = structures(request, "DesiredWeightsAndCapacities")
    for one in desired:
        refuse(one, ("ServerlessUpdateConfig",), "DesiredWeightsAndCapacities.")
        if one.get("DesiredInstanceCount", 1) == 0:
            raise validation(f"DesiredInstanceCount of variant {one['VariantName']} is 0. Give 1 or more.")

    def change(document: Document) -> Document:
        plan = records.plan_in(document, "Plan")
        known = {variant.name for variant in plan.variants} if plan else set()
        unknown = [text(one, "VariantName") for one in desired if one["VariantName"] not in known]
        if plan is None or unknown:
            its_arn = text(document, "EndpointArn")
            raise validation(f'Could not find variant {", ".join(unknown)} of endpoint "{its_arn}".')
        counts = _by_variant(desired, "DesiredInstanceCount")
        weights = _by_variant(desired, "DesiredWeight")
        return records.updating(document, plan.with_counts_and_weights(counts, weights), now(world))

    return _change(world, name, change)


def delete_endpoint(world: World, request: Document) -> str:
    """Set an endpoint on its way out, Deleting; return its ARN."""

    def change(document: Document) -> Document:
        return records.in_status(document, "Deleting", now(world))

    return _change(world, text(request, "EndpointName"), change, failed_too=True)


def describe_endpoint(world: World, request: Document) -> Document:
    """Answer an endpoint as it is."""
    return need(world, ENDPOINT, text(request, "EndpointName"))


def list_endpoints(world: World, request: Document) -> Document:
    """Answer a page of endpoints."""
    return page(world.store.all(ENDPOINT.type), request, _COLUMNS)


def _change(world: World, name: str, change: Callable[[Document], Document], failed_too: bool = False) -> str:
    """Change a document in one step, if its status allows it, and return its ARN.

    Raises:
        AwsError: there is none, or something is under way with it, or it has failed.
    """
    document = need(world, ENDPOINT, name)

    def allowed(found: Document) -> Document:
        status = found["EndpointStatus"]
        if status in records.IN_PROGRESS:
            raise validation(f'Cannot update in-progress endpoint "{found["EndpointArn"]}".')
        if status == "Failed" and not failed_too:
            raise validation(
                f'Cannot update endpoint "{found["EndpointArn"]}" in status Failed. '
                "Delete it and create it again."
            )
        return change(found)

    try:
        return text(world.store.update(ENDPOINT.type, text(document, "EndpointName"), allowed), "EndpointArn")
    except KeyError:
        raise missing(ENDPOINT, text(document, "EndpointArn")) from None


def _plan(world: World, request: Document) -> Plan:
    config = need(world, ENDPOINT_CONFIG, text(request, "EndpointConfigName"))
    return plan_of(config, lambda model: need(world, MODEL, model))


def _retaining(plan: Plan, before: Document, request: Document) -> Plan:
    """Return a plan with the counts and weights that the endpoint has now, but for what is excluded."""
    excluded = {one["VariantPropertyType"] for one in structures(request, "ExcludeRetainedVariantProperties")}
    current = structures(before, "ProductionVariants")
    counts = {} if "DesiredInstanceCount" in excluded else _by_variant(current, "DesiredInstanceCount")
    weights = {} if "DesiredWeight" in excluded else _by_variant(current, "DesiredWeight")
    return plan.with_counts_and_weights(counts, weights)


def _by_variant(documents: list[Document], member: str) -> dict[str, Any]:
    return {text(one, "VariantName"): one[member] for one in documents if member in one}
