"""What stops a deployment; every message says what, which value and what to do."""

from byoc.errors import ByocError

GO_ON = "Once that is mended, run the same command again: it takes up what is there."


class DeployError(ByocError):
    """The endpoint cannot be had as it was asked for, or the one that was made does not work.

    Attributes:
        go_on: how to go on from there, or "" where the message has it.
    """

    go_on = GO_ON


class MissingError(DeployError):
    """Something that must be there first is not: role, image, bucket or model version."""


class BrokenError(DeployError):
    """The container or the model does not work: the same once more is likely to fail once more."""

    go_on = (
        "To go on, mend that first: the same model version and image are likely to fail again. A new one "
        "goes into endpoint.toml or its flag; what is there is taken up."
    )


class SmokeError(DeployError):
    """The endpoint is up, and did not answer the request that was to show it."""

    go_on = ""
