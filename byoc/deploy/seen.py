"""What is there before anything is done: the data that a plan is made of."""

from dataclasses import dataclass

# Of an endpoint, while something is being done with it.
MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True)
class Inputs:
    """What a deployment needs, as AWS knows it; all of it is there.

    Attributes:
        image: a URI with the digest, where ECR could be asked.
        model_version: s3://bucket/prefix/name/version/, with the slash that ModelDataSource wants.
        notes: what could not be made sure of, or what was taken for granted; for people.
    """

    role_arn: str
    image: str
    model_version: str
    manifest_sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """An earlier training job of the same request; `artefact` is None while it runs."""

    name: str
    artefact: str | None


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that has the name.

    Attributes:
        status: as DescribeEndpoint says it.
        config: the name of the endpoint configuration that answers.
        models: the names of the models in it.
        pending: the name of the one that an update under way leads to, or "".
        reason: FailureReason, or "".
        tags: its tags, where some are asked for.
    """

    status: str
    config: str
    models: tuple[str, ...] = ()
    pending: str = ""
    reason: str = ""
    arn: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """Everything.

    Attributes:
        model: there is a model of the planned name, and its data is there too.
        stale_model: there is one, and its data is gone.
        config: there is an endpoint configuration of the planned name.
        job: an earlier training job of the same request that runs, or whose artefact is there.
        options: what the aws CLI needs to see the same, each with a space before it.
    """

    inputs: Inputs
    model: bool = False
    stale_model: bool = False
    config: bool = False
    job: Job | None = None
    endpoint: Endpoint | None = None
    options: str = ""


@dataclass(frozen=True)
class Made:
    """What there is that was made for an endpoint.

    Attributes:
        status: of the endpoint, or "" where there is none.
        configs: the names of endpoint configurations.
        models: the names of models.
    """

    status: str
    configs: tuple[str, ...]
    models: tuple[str, ...]
