"""CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

from collections.abc import Mapping

from byoc.local.errors import validation
from byoc.local.sagemaker.kinds import (
    ENDPOINT_CONFIG,
    MODEL,
    add,
    drop,
    need,
    now,
    structure,
    structures,
    tags_in,
    text,
)
from byoc.local.sagemaker.listing import Columns, page
from byoc.local.sagemaker.refusals import not_here, refuse
from byoc.local.sagemaker.store import Document
from byoc.local.world import Operation, World

# Each would change what a call does, or how many programs run; what merely describes hardware, encryption
# or a network is kept and described back.
_NOT_YET = ("AsyncInferenceConfig", "CrossRegionTrafficConfig", "ExplainerConfig", "ShadowProductionVariants")
_NOT_YET_OF_A_VARIANT = ("InstancePools", "ManagedInstanceScaling", "ServerlessConfig")


def create_endpoint_config(world: World, request: Document) -> Document:
    """Keep a configuration whose models are there; answer its ARN."""
    refuse(request, _NOT_YET, "")
    if structure(request, "DataCaptureConfig").get("EnableCapture", "DataCaptureConfig" in request):
        raise not_here("data capture", "Give EnableCapture false, or leave DataCaptureConfig out.")
    if "ExecutionRoleArn" in request:
        world.roles.check(text(request, "ExecutionRoleArn"))
    variants = structures(request, "ProductionVariants")
    names = [text(variant, "VariantName") for variant in variants]
    if len(set(names)) < len(names):
        raise validation(f"Production variant names must be unique; these are {', '.join(names)}.")
    document = {
        **{member: value for member, value in request.items() if member != "Tags"},
        "ProductionVariants": [_variant(world, variant) for variant in variants],
        "CreationTime": now(world),
    }
    return {"EndpointConfigArn": add(world, ENDPOINT_CONFIG, document, tags_in(request))}


def _variant(world: World, variant: Document) -> Document:
    """Return a variant as DescribeEndpointConfig answers it; refuse what cannot be started."""
    refuse(variant, _NOT_YET_OF_A_VARIANT, "a production variant's ")
    name = text(variant, "VariantName")
    if "ModelName" not in variant:
        raise not_here(f"inference components, and variant {name} has no ModelName", "Give one.")
    for member in ("InitialInstanceCount", "InstanceType"):
        if member not in variant:
            raise validation(f"Variant {name} has no {member}. Give it.")
    need(world, MODEL, text(variant, "ModelName"))
    return {"InitialVariantWeight": 1.0, **variant}


def describe_endpoint_config(world: World, request: Document) -> Document:
    """Answer a configuration as it was made."""
    return need(world, ENDPOINT_CONFIG, text(request, "EndpointConfigName"))


def list_endpoint_configs(world: World, request: Document) -> Document:
    """Answer a page of configurations."""
    columns = Columns("EndpointConfigs", ENDPOINT_CONFIG.name)
    return page(world.store.all(ENDPOINT_CONFIG.type), request, columns)


def delete_endpoint_config(world: World, request: Document) -> Document:
    """Forget a configuration; endpoints that were made of it go on."""
    drop(world, ENDPOINT_CONFIG, text(request, "EndpointConfigName"))
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": describe_endpoint_config,
    "ListEndpointConfigs": list_endpoint_configs,
    "DeleteEndpointConfig": delete_endpoint_config,
}
