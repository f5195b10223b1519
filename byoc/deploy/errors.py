"""What stops a deployment; every message says what, which value and what to do."""

from byoc.errors import ByocError


class DeployError(ByocError):
    """The endpoint cannot be had as it was asked for, or the one that was made does not work."""


class MissingError(DeployError):
    """Something that must be there first is not: role, image, bucket or model version."""
