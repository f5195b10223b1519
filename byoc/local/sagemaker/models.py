"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from collections.abc import Mapping

from byoc.local.errors import validation
from byoc.local.sagemaker.kinds import MODEL, add, drop, need, now, structures, tags_in, text
from byoc.local.sagemaker.listing import Columns, page
from byoc.local.sagemaker.model_data import check_model_data
from byoc.local.sagemaker.refusals import not_here, refuse
from byoc.local.sagemaker.store import Document
from byoc.local.world import Operation, World

_NOT_YET = (
    "AdditionalModelDataSources",
    "InferenceSpecificationName",
    "ModelPackageName",
    "MultiModelConfig",
)


def create_model(world: World, request: Document) -> Document:
    """Keep a model of one container, whose role, image and data are there; answer its ARN."""
    container = _container(request)
    if "ExecutionRoleArn" in request:
        world.roles.check(text(request, "ExecutionRoleArn"))
    world.images.find(text(container, "Image"))
    check_model_data(world, container)
    described = {"Mode": "SingleModel", **container}
    as_given = "Containers" if "Containers" in request else "PrimaryContainer"
    document = {
        "EnableNetworkIsolation": False,
        **{member: value for member, value in request.items() if member != "Tags"},
        as_given: [described] if as_given == "Containers" else described,
        "CreationTime": now(world),
    }
    return {"ModelArn": add(world, MODEL, document, tags_in(request))}


def container_of(model: Mapping[str, object]) -> Document:
    """Return the one container of a model, under whichever member it was given."""
    primary = model.get("PrimaryContainer")
    return primary if isinstance(primary, dict) else structures(model, "Containers")[0]


def _container(request: Document) -> Document:
    containers = structures(request, "Containers")
    if bool(containers) == ("PrimaryContainer" in request):
        raise validation("Give either PrimaryContainer or Containers, and not both.")
    if len(containers) > 1:
        raise not_here(f"models of several containers ({len(containers)})", "Give one.")
    container = container_of(request)
    if container.get("Mode") == "MultiModel":
        raise not_here("Mode MultiModel", "Give Mode SingleModel, and a model for each.")
    refuse(container, _NOT_YET, "a container's ")
    if not text(container, "Image"):
        raise validation("The container has no Image. Give the URI of one.")
    return container


def describe_model(world: World, request: Document) -> Document:
    """Answer a model as it was made."""
    return need(world, MODEL, text(request, "ModelName"))


def list_models(world: World, request: Document) -> Document:
    """Answer a page of models."""
    return page(world.store.all(MODEL.type), request, Columns("Models", MODEL.name))


def delete_model(world: World, request: Document) -> Document:
    """Forget a model; its data stays, and endpoints that serve it go on."""
    drop(world, MODEL, text(request, "ModelName"))
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "ListModels": list_models,
    "DeleteModel": delete_model,
}
