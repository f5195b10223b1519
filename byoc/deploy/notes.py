"""What a person may not expect of a deployment, though it is as it was asked for."""

from collections.abc import Iterator

from byoc.config import Spec
from byoc.deploy.names import names_of
from byoc.deploy.seen import Seen

# What a model is called whose train gives it no name.
_NAMELESS = "model"


def notes_on(spec: Spec, seen: Seen, *, direct: bool) -> Iterator[str]:
    """Yield a sentence for each thing that may surprise."""
    if seen.endpoint is None:
        return
    model = _model_of(spec)
    if model != _NAMELESS and not _are_akin(model, spec.name):
        yield (
            f"The model {model} goes to the endpoint {spec.name}, which is there already. "
            "For one of its own give name in endpoint.toml, or --name."
        )
    if seen.endpoint.config == names_of(spec, seen.inputs, direct=not direct).config:
        yield _of_the_other_way(spec.name, direct=direct)


def _of_the_other_way(name: str, *, direct: bool) -> str:
    has = f"Endpoint {name} has this version and image already, deployed"
    anew = "which makes another model and configuration, and an update to them"
    if direct:
        return (
            f"{has} by a training job. With --direct SageMaker reads the version's own files instead of the "
            f"job's archive of them, {anew}. To leave it as it is, leave --direct out."
        )
    return (
        f"{has} with --direct. Without it a training job pulls the version and SageMaker reads the job's "
        f"archive, {anew}. To leave it as it is, give --direct."
    )


def _model_of(spec: Spec) -> str:
    """Return the model's name, the folder above that of the version."""
    return spec.model_version.rstrip("/").split("/")[-2]


def _are_akin(model: str, endpoint: str) -> bool:
    one, other = ("".join(char for char in name.lower() if char.isalnum()) for name in (model, endpoint))
    return one in other or other in one
