"""Tells of a local SageMaker that runs, where a command was led to nobody who knows the caller."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from byoc.aws import UnknownCallerError, is_loopback
from byoc.local import launch
from byoc.local.instance import PORT, Instance, LocalError, port_option, state_folder, state_root


@contextmanager
def local_told(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Note on an UnknownCallerError within which local SageMakers run, unless one was meant already."""
    try:
        yield
    except UnknownCallerError as error:
        if not is_loopback(environ.get("AWS_ENDPOINT_URL", "")):
            for instance in running(environ):
                command = f'eval "$(byoc local env{port_option(instance.port)})"'
                error.add_note(f"A local SageMaker runs at {instance.url}. To use it: {command}")
        raise


def running(environ: Mapping[str, str]) -> Iterator[Instance]:
    """Yield the local SageMakers of this user that run, that of the usual port first."""
    first = state_folder(environ, PORT)
    folders = {first, *state_root(environ).glob("local-*")}
    for folder in sorted(folders, key=lambda folder: (folder != first, folder.name)):
        port = folder.name.removeprefix("local-")
        with suppress(LocalError, OSError):
            if port.isdecimal() and (instance := launch.find(environ, int(port))):
                yield instance
