"""The kinds of things that SageMaker keeps, and what all have: a name, an ARN, tags."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from byoc.local.errors import AwsError, validation
from byoc.local.sagemaker.arns import arn, named_by
from byoc.local.sagemaker.store import Document, Taken
from byoc.local.world import World


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        type: as ARNs have it, and the store: such as "endpoint-config".
        member: what its members begin with: EndpointConfigName, EndpointConfigArn.
        words: as AWS's messages call it.
    """

    type: str
    member: str
    words: str

    @property
    def name(self) -> str:
        """The member that has its name."""
        return f"{self.member}Name"

    @property
    def arn(self) -> str:
        """The member that has its ARN."""
        return f"{self.member}Arn"


MODEL = Kind("model", "Model", "model")
ENDPOINT_CONFIG = Kind("endpoint-config", "EndpointConfig", "endpoint configuration")
ENDPOINT = Kind("endpoint", "Endpoint", "endpoint")
TRAINING_JOB = Kind("training-job", "TrainingJob", "training job")
KINDS = {kind.type: kind for kind in (MODEL, ENDPOINT_CONFIG, ENDPOINT, TRAINING_JOB)}


def now(world: World) -> float:
    """Return the seconds since 1970 as documents have them, to the millisecond."""
    return round(world.clock(), 3)


def text(document: Mapping[str, object], member: str) -> str:
    """Return a member that is text, "" where it is not there."""
    return str(document.get(member, ""))


def structure(document: Mapping[str, object], member: str) -> Document:
    """Return a member that is a structure or a map, empty where it is not there."""
    return cast("Document", document.get(member, {}))


def structures(document: Mapping[str, object], member: str) -> list[Document]:
    """Return a member that is a list of structures, empty where it is not there."""
    return cast("list[Document]", document.get(member, []))


def add(world: World, kind: Kind, document: Mapping[str, object], tags: Mapping[str, str]) -> str:
    """Keep something new with its tags and return its ARN.

    Raises:
        AwsError: the name is in use; a name in other letters is the same name, as it has the same ARN.
    """
    made = arn(world, kind.type, text(document, kind.name))
    try:
        world.store.insert(kind.type, text(document, kind.name), {**document, kind.arn: made})
    except Taken:
        raise _taken(kind, made) from None
    world.store.forget_tags(made)
    world.store.tag(made, tags)
    return made


def _taken(kind: Kind, its_arn: str) -> AwsError:
    if kind is TRAINING_JOB:
        words = "Job name must be unique within an AWS account and region, and a job with this name"
        return AwsError("ResourceInUse", f"{words} already exists ({its_arn})")
    return validation(f'Cannot create already existing {kind.words} "{its_arn}".')


def need(world: World, kind: Kind, name: str) -> Document:
    """Return what has this name, or raise AWS's error."""
    found = world.store.get(kind.type, name)
    if found is None:
        raise missing(kind, arn(world, kind.type, name))
    return found


def missing(kind: Kind, its_arn: str) -> AwsError:
    """Return the error that AWS answers where there is nothing of this ARN."""
    if kind is TRAINING_JOB:
        return validation("Requested resource not found.")
    return validation(f'Could not find {kind.words} "{its_arn}".')


def drop(world: World, kind: Kind, name: str) -> None:
    """Forget something and its tags, or raise AWS's error where there is nothing of this name."""
    its_arn = text(need(world, kind, name), kind.arn)
    world.store.delete(kind.type, name)
    world.store.forget_tags(its_arn)


def tags_in(request: Mapping[str, object]) -> dict[str, str]:
    """Return the tags of a request by key."""
    return {text(tag, "Key"): text(tag, "Value") for tag in structures(request, "Tags")}


def need_arn(world: World, its_arn: str) -> None:
    """Raise AWS's error where nothing here has this ARN."""
    kind_and_name = named_by(world, its_arn)
    if kind_and_name is None or kind_and_name[0] not in KINDS:
        raise validation(f'Could not find resource "{its_arn}".')
    need(world, KINDS[kind_and_name[0]], kind_and_name[1])
